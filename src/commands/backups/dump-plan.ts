import { cutBatches } from '../../backups/dump/cut-batches.ts';
import { locksWithin, weighTenants } from '../../backups/dump/dump-place.ts';
import { readLockTable, weighSchemas } from '../../backups/dump/snapshot.sql.ts';
import type { Context } from '../../context.ts';
import type { Place } from '../../fleet/place.ts';
import type { Result } from '../../output/result.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { formatBytes, plural } from '../../words.ts';
import { type Fleet, groupByPlace, mergeOutcomes } from '../open-fleet.ts';
import { readFleet } from '../read-fleet.ts';
import type { DumpSources } from './dump-sources.ts';

/** `value` of a done outcome of a dry run. */
export interface PlannedDump {
  /** Of its tables on disk; the archive is smaller. */
  readonly diskBytes: number;
  /** Tenants that one pg_dump would write together. */
  readonly batch: number;
}

/** What `dump --dry-run` answers: how tenants would be dumped together. Nothing is locked and nothing is written. */
export async function describeDump(context: Context, fleet: Fleet, sources: DumpSources): Promise<Result<PlannedDump>> {
  const text: string[] = [];
  const places = groupByPlace(fleet.tenants).map((place): Place<unknown, PlannedDump> => {
    const { server, database, tenants } = place;
    const settings = sources.settings(server);
    return {
      ...place,
      batches: () => [{ tenants }],
      work: (_scope, _batch, task) =>
        sources.pools.use(server, database, async (session) => {
          await prepareReader(session, applicationName(fleet.run, 'dump'));
          const weighed = weighTenants(tenants, await weighSchemas(session, null));
          const locks = locksWithin(await readLockTable(session), settings);
          const batches = cutBatches(weighed, { ...settings, locks });
          const bytes = weighed.reduce((sum, { diskBytes }) => sum + diskBytes, 0);
          const what = `${plural(tenants.length, 'tenant')}, ${formatBytes(bytes)} on disk`;
          text.push(`${server}/${database}: ${what}, in ${plural(batches.length, 'batch', 'batches')}`);
          for (const batch of batches) {
            for (const { tenant, diskBytes } of weighed.filter((each) => batch.includes(each.tenant))) {
              task.done(tenant, { diskBytes, batch: batch.length });
            }
          }
        }),
    };
  });
  const outcomes = await readFleet(context, fleet, 'looking at sizes', fleet.tenants, places);
  for (const outcome of [...fleet.rejected, ...outcomes]) context.emit({ type: 'settled', outcome });
  return {
    outcomes: mergeOutcomes<PlannedDump>(fleet.selected, fleet.rejected, outcomes),
    run: null,
    environment: fleet.inventory.environment,
    sources: fleet.sources,
    text: text.toSorted(),
    extra: { dryRun: true },
  };
}
