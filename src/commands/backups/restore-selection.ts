import type { Backup } from '../../backups/repository/backup.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import { UsageError } from '../../errors.ts';
import { hasWildcard } from '../../fleet/glob.ts';
import { toTenant } from '../../fleet/inventory/tenants.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import { readRun } from '../../fleet/run-records.ts';
import { selectTenants } from '../../fleet/selection.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Fleet } from '../open-fleet.ts';
import type { RestoreOptions } from './restore-options.ts';

/** Tenants that are selected by name or by an earlier run, and of which the store has backups: they may have left the fleet. */
export interface StoredTenants {
  /** Null: no earlier run was named. */
  readonly ofRun: readonly string[] | null;
  /** Newest first, by tenant. */
  readonly backups: ReadonlyMap<string, readonly Backup[]>;
}

export async function findStored(
  repository: Repository,
  inventory: Inventory,
  { selection, fromRun }: RestoreOptions,
): Promise<StoredTenants> {
  // Flags that look at more than names would leave out living tenants, which must not pass for those who left.
  const { labels, servers, databases } = selection;
  if (labels.length + servers.length + databases.length > 0) return { ofRun: null, backups: new Map() };
  const ofRun = fromRun === null ? null : await idsOfRun(inventory, fromRun);
  const names = ofRun ?? selection.tenants.filter(isName);
  return { ofRun, backups: names.length === 0 ? new Map() : await listTenants(repository, names) };
}

function isName(pattern: string): boolean {
  return pattern !== '-' && !hasWildcard(pattern);
}

async function idsOfRun(inventory: Inventory, fromRun: NonNullable<RestoreOptions['fromRun']>): Promise<string[]> {
  const { tenants, entries } = await readRun(inventory.state, fromRun.run);
  return tenants.filter((id) => fromRun.outcomes.includes(entries.get(id)?.status ?? 'interrupted'));
}

/** The backups of these tenants, by tenant. */
export async function listTenants(
  repository: Repository,
  tenants: readonly string[],
): Promise<ReadonlyMap<string, readonly Backup[]>> {
  const backups = await repository.listBackups({ tenants, kinds: ['tenant'] });
  return Map.groupBy(backups, ({ subject }) => (subject.kind === 'tenant' ? subject.tenant : ''));
}

/** Those who are only in the store, at the place of their newest backup. A name that is neither here nor there is a mistake. */
export function findLost(fleet: Fleet, { ofRun, backups }: StoredTenants, options: RestoreOptions): readonly Tenant[] {
  const { selection } = options;
  const living = new Set(fleet.selected.map(({ id }) => id));
  const gone = [...backups].flatMap(([id, stored]) => {
    const manifest = stored.find((backup) => backup.manifest !== null)?.manifest ?? null;
    if (living.has(id) || manifest === null) return [];
    const { place, labels } = manifest;
    return [toTenant(fleet.inventory, { id, ...place, labels, searchPath: null, role: null })];
  });
  const tenants = selection.tenants.filter((pattern) => pattern !== '-');
  // With a part of the fleet unread nobody can say who left it.
  const isKnown = fleet.sources.length === 0;
  const { tenants: lost } = selectTenants<Tenant>(isKnown ? gone : [], {
    ...selection,
    ...{ tenants, fromRun: ofRun, allowEmpty: true },
  });
  refuseUnknown(fleet, lost, options);
  for (const { id, server } of lost) {
    if (!fleet.inventory.servers.has(server)) throw unknownServer(id, server, fleet.inventory.file);
  }
  return lost;
}

function refuseUnknown(fleet: Fleet, lost: readonly Tenant[], { selection }: RestoreOptions): void {
  if (selection.allowEmpty) return;
  const known = new Set([...fleet.selected, ...lost].map(({ id }) => id));
  const unknown = selection.tenants.filter((name) => isName(name) && !known.has(name));
  if (unknown.length === 0 && known.size > 0) return;
  throw new UsageError(
    unknown.length === 0
      ? 'the selection matches no tenant'
      : `neither in the fleet nor in the store: ${unknown.map((name) => JSON.stringify(name)).join(', ')}`,
    { hint: 'see who is there: tenantctl tenants list --all, and what the store has: tenantctl backups list' },
  );
}

function unknownServer(id: string, server: string, file: string): UsageError {
  return new UsageError(`tenant ${id} lived on server ${server}, which ${file} does not know`, {
    hint: 'add the server to the inventory under that name',
  });
}
