import type { Tenant } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import type { Migration } from './folder.ts';
import { recordChecksums } from './history.ts';
import { type TakeOptions, takeTenant } from './take-tenant.ts';

/** `value` of a done outcome. */
export interface RepairResult {
  /** Names of the migrations whose recorded checksum is now that of the file. */
  readonly repaired: readonly string[];
}

/** Makes the history say that the tenant ran the files as they are now. */
export async function repairChecksums(
  session: Session,
  tenant: Tenant,
  edited: readonly Migration[],
  options: TakeOptions,
): Promise<RepairResult> {
  await takeTenant(session, tenant, options);
  options.onStep('recording checksums');
  await session.query(recordChecksums(tenant, edited));
  return { repaired: edited.map(({ name }) => name) };
}
