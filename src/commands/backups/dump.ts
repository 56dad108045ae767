import type { Dumped } from '../../backups/dump/dumped-place.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import { formatDuration } from '../../fleet/duration.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Result } from '../../output/result.ts';
import { formatBytes, plural } from '../../words.ts';
import type { Command } from '../command.ts';
import { dryRunFlag, limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { recordRun } from '../record-run.ts';
import { type DumpOptions, dumpFlags, readDumpOptions } from './dump-options.ts';
import { describeDump, type PlannedDump } from './dump-plan.ts';
import { refuseNarrowLimits, runDumps } from './dump-run.ts';
import { DumpSources } from './dump-sources.ts';
import { openRepository, storeFlag } from './open-repository.ts';

/** `tenantctl dump`: an archive for each tenant, all of a database at one instant. */
export const dump: Command<DumpOptions, Dumped | PlannedDump> = {
  name: 'dump',
  summary: 'back up tenants: an archive each, all of a database at one instant',
  examples: [
    ['tenantctl dump --all', 'the whole fleet, to the place that the inventory names'],
    ['tenantctl dump -t acme', 'one tenant, before something risky'],
    ['tenantctl dump --all --from replica --rate 50MB/s', 'at night, without weighing on the application'],
    ['tenantctl dump --all --dry-run', 'what would be dumped together, and how large it is'],
  ],
  flags: [...selectionFlags, storeFlag, dryRunFlag, ...limitFlags, ...dumpFlags],
  view: {
    columns: ['tenant', 'backup', 'size', 'tables', 'rows', 'version', 'note'],
    row: (outcome, { verbose }) => {
      if (outcome.status !== 'done' || !verbose) return null;
      if ('diskBytes' in outcome.value) {
        const { diskBytes, batch } = outcome.value;
        return [outcome.tenant.id, '-', formatBytes(diskBytes), '-', '-', '-', `in a batch of ${batch}`];
      }
      const { time, sizeBytes, tables, rows, version, isCommon } = outcome.value;
      const note = isCommon ? '' : 'not at the common instant';
      return [outcome.tenant.id, time, formatBytes(sizeBytes), String(tables), String(rows), version ?? '-', note];
    },
  },
  options: readDumpOptions,
  run: (context, options) => withFleet(context, { ...options, mode: 'read' }, (fleet) => run(context, fleet, options)),
  retryFlags: ({ fromReplica, rate }) => [
    ...(fromReplica ? ['--from', 'replica'] : []),
    ...(rate === null ? [] : ['--rate', `${rate}B/s`]),
  ],
};

async function run(context: Context, fleet: Fleet, options: DumpOptions): Promise<Result<Dumped | PlannedDump>> {
  refuseNarrowLimits(fleet);
  await using repository = await openRepository(context, fleet.inventory, { ...options.repository, for: 'write' });
  await using sources = new DumpSources(context, fleet, options);
  // What discovery left idle counts against the limits of the dumps.
  for (const server of fleet.inventory.servers.keys()) await fleet.pools.closeIdle(server);
  if (options.dryRun) return await describeDump(context, fleet, sources);
  const { outcomes, lacking } = await recordRun(context, fleet, 'dump', {}, (recorded) => {
    for (const outcome of fleet.rejected) recorded.emit({ type: 'settled', outcome });
    return runDumps(recorded, fleet, options, { repository, sources });
  });
  return {
    outcomes: mergeOutcomes<Dumped>(fleet.selected, fleet.rejected, outcomes),
    run: fleet.run,
    environment: fleet.inventory.environment,
    sources: fleet.sources,
    text: describeDumped(outcomes, repository),
    findings: lacking.map((message) => ({ message, code: 'lacking' })),
    extra: { store: repository.name },
  };
}

function describeDumped(outcomes: readonly Outcome<Dumped>[], repository: Repository): string[] {
  const done = outcomes.flatMap((outcome) => (outcome.status === 'done' ? [outcome] : []));
  if (done.length === 0) return [];
  const bytes = done.reduce((sum, { value }) => sum + value.sizeBytes, 0);
  const longest = done.reduce((most, { durationMs }) => Math.max(most, durationMs), 0);
  const later = done.filter(({ value }) => !value.isCommon);
  return [
    `${plural(done.length, 'archive')}, ${formatBytes(bytes)}, in ${repository.name} (longest batch ${formatDuration(longest)})`,
    ...(later.length === 0
      ? []
      : [`${plural(later.length, 'tenant')} not at the common instant of their database: see them with -v`]),
  ];
}
