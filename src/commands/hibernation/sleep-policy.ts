import { matchGlob } from '../../fleet/glob.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { SleepWay } from '../../fleet/tenant-state.ts';

/** How a tenant is put to sleep: as the flag says, else the inventory where that can be. An archive fits anywhere. */
export function wayOf(
  { hibernate }: Inventory,
  { schema }: Tenant,
  { how }: { readonly how: SleepWay | null },
): SleepWay {
  if (how !== null) return how;
  return hibernate.how === null || (hibernate.how === 'lock' && schema !== null) ? 'archive' : hibernate.how;
}

/** The inventory says that it never sleeps. */
export function neverSleeps({ hibernate }: Inventory, { id }: Tenant): boolean {
  return hibernate.never.some((pattern) => matchGlob(pattern, id) !== null);
}
