import { dumpPlace } from '../../backups/dump/dump-place.ts';
import type { Dumped, DumpedPlace } from '../../backups/dump/dumped-place.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { formatDuration } from '../../fleet/duration.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import { runFleet } from '../../fleet/run.ts';
import type { Result } from '../../output/result.ts';
import { formatBytes, plural } from '../../words.ts';
import type { Command } from '../command.ts';
import { dryRunFlag, limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, groupByPlace, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { errorReader, goOn } from '../read-fleet.ts';
import { recordRun } from '../record-run.ts';
import { type DumpOptions, dumpFlags, readDumpOptions } from './dump-options.ts';
import { describeDump, type PlannedDump } from './dump-plan.ts';
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
  const lacking: string[] = [];
  const outcomes = await recordRun(context, fleet, 'dump', {}, async (recorded) => {
    for (const outcome of fleet.rejected) recorded.emit({ type: 'settled', outcome });
    const places = groupByPlace(fleet.tenants).map((place) => {
      return dumpPlace(dumpedPlace(recorded, fleet, options, { ...place, repository, sources, lacking }));
    });
    return runFleet<Dumped>({
      phase: 'dumping',
      tenants: fleet.tenants,
      places,
      limits: fleet.limits,
      policy: goOn,
      timeoutMs: options.timeoutMs,
      outageMs: options.retryForMs,
      errors: errorReader,
      interrupts: context.interrupts,
      emit: recorded.emit,
    });
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

interface PlaceParts extends Pick<DumpedPlace, 'server' | 'database' | 'tenants'> {
  readonly repository: Repository;
  readonly sources: DumpSources;
  /** Filled with what could not be dumped beside the tenants. */
  readonly lacking: string[];
}

function dumpedPlace(context: Context, fleet: Fleet, options: DumpOptions, parts: PlaceParts): DumpedPlace {
  const { server, database, tenants, repository, sources, lacking } = parts;
  const say = (message: string) => context.emit({ type: 'notice', level: 'warning', message });
  return {
    server,
    database,
    tenants,
    facts: sources.facts,
    settings: sources.settings(server),
    holder: sources.holder(server, database, say),
    heldConnections: options.fromReplica ? 2 : 1,
    sharedSchemas: sharedSchemas(fleet, { server, database, tenants }),
    toolsFor: (session) => sources.toolsFor(session, { server, database, repository, warn: say }),
    ask: (question) => sources.ask(server, database, question),
    rolesFile: (tools, session) => sources.rolesFile({ server, database }, tools, session, say),
    stop: context.interrupts.stop,
    say,
    onLacking: (message) => void lacking.push(message),
  };
}

/** What the tenants of a database use beside their own schema: what the inventory says is shared, and their search paths. */
function sharedSchemas(
  { inventory }: Fleet,
  { server, database, tenants }: Pick<DumpedPlace, 'server' | 'database' | 'tenants'>,
): readonly string[] {
  const declared = inventory.shared.filter((shared) => shared.server === server && shared.database === database);
  const schemas = [
    ...declared.map(({ schema }) => schema),
    ...tenants.flatMap(({ searchPath, schema }) => searchPath.filter((name) => name !== schema)),
  ];
  return [...new Set(schemas)].filter((name) => name !== '$user' && !name.startsWith('pg_')).toSorted();
}

/** One connection holds the snapshot while pg_dump has another. */
function refuseNarrowLimits({ limits, tenants }: Fleet): void {
  for (const { server } of groupByPlace(tenants)) {
    const perServer = limits.perServer.get(server) ?? limits.fleet.perServer;
    const perDatabase = limits.perDatabase.get(server) ?? limits.fleet.perDatabase;
    if (Math.min(perServer, perDatabase) >= 2) continue;
    throw new UsageError(`a dump takes two connections, and server ${server} may have one`, {
      hint: 'raise --per-server and --per-database, or `limits` in the inventory, or free connections on the server',
    });
  }
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
