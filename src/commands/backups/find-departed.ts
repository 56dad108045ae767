import type { Backup } from '../../backups/repository/backup.ts';
import type { BackupStore } from '../../backups/repository/store.ts';
import { readDepartures, settleDepartures, writeDepartures } from '../../backups/retention/departures.ts';
import type { Context } from '../../context.ts';
import type { Selection } from '../../fleet/selection.ts';
import type { Fleet } from '../open-fleet.ts';

/** Does the selection mean everybody? */
export function isWholeFleet({ selection, fromRun }: { selection: Selection; fromRun: unknown }): boolean {
  const { all, tenants, labels, servers, databases, except, shard } = selection;
  const narrowing = [tenants, labels, servers, databases, except];
  return all && fromRun === null && shard === null && narrowing.every((flags) => flags.length === 0);
}

/** May a tenant that this look at the fleet does not show be taken for one that left? */
export function isCompleteLook(fleet: Pick<Fleet, 'sources' | 'rejected' | 'tenants'>): boolean {
  // A fleet without a single tenant is a wrong inventory, or an empty registry, and not the end of the business.
  return fleet.sources.length === 0 && fleet.rejected.length === 0 && fleet.tenants.length > 0;
}

/**
 * Tenants that the store has backups of and that a complete look at the fleet did not show, with the time at which
 * that was first seen; it is written down in the store, unless nothing is to be written.
 */
export async function findDeparted(
  context: Context,
  fleet: Pick<Fleet, 'tenants' | 'run'>,
  store: BackupStore,
  backups: readonly Backup[],
  { writesNothing }: { readonly writesNothing: boolean },
): Promise<ReadonlyMap<string, Date>> {
  const living = new Set(fleet.tenants.map(({ id }) => id));
  const stored = new Set(backups.flatMap(({ subject }) => (subject.kind === 'tenant' ? [subject.tenant] : [])));
  const gone = [...stored].filter((tenant) => !living.has(tenant));
  const now = context.now();
  const settled = settleDepartures(await readDepartures(store), gone, now);
  if (writesNothing || settled.born.length + settled.over.length === 0) return settled.departed;
  try {
    await writeDepartures(store, settled, { now, run: fleet.run });
  } catch (error) {
    context.emit({
      type: 'notice',
      level: 'warning',
      message: `who left the fleet cannot be written down: ${(error as Error).message}`,
      hint: 'the time of --departed-after begins when it can be',
    });
  }
  return settled.departed;
}
