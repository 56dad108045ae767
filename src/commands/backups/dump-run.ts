import { dumpPlace } from '../../backups/dump/dump-place.ts';
import type { Dumped, DumpedPlace } from '../../backups/dump/dumped-place.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import { runFleet } from '../../fleet/run.ts';
import { type Fleet, groupByPlace } from '../open-fleet.ts';
import { errorReader, goOn } from '../read-fleet.ts';
import type { DumpOptions } from './dump-options.ts';
import type { DumpSources } from './dump-sources.ts';

/** What a run of dumps came to. */
export interface DumpRun {
  readonly outcomes: readonly Outcome<Dumped>[];
  /** What could not be dumped beside the tenants. */
  readonly lacking: readonly string[];
}

/** Dumps all tenants of a fleet, those of a database under one snapshot: one outcome for each. */
export async function runDumps(
  context: Context,
  fleet: Fleet,
  options: DumpOptions,
  { repository, sources }: Pick<PlaceParts, 'repository' | 'sources'>,
): Promise<DumpRun> {
  const lacking: string[] = [];
  const places = groupByPlace(fleet.tenants).map((place) => {
    return dumpPlace(dumpedPlace(context, fleet, options, { ...place, repository, sources, lacking }));
  });
  const outcomes = await runFleet<Dumped>({
    phase: 'dumping',
    tenants: fleet.tenants,
    places,
    limits: fleet.limits,
    policy: goOn,
    timeoutMs: options.timeoutMs,
    outageMs: options.retryForMs,
    errors: errorReader,
    interrupts: context.interrupts,
    emit: context.emit,
  });
  return { outcomes, lacking };
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
export function refuseNarrowLimits({ limits, tenants }: Fleet): void {
  for (const { server } of groupByPlace(tenants)) {
    const perServer = limits.perServer.get(server) ?? limits.fleet.perServer;
    const perDatabase = limits.perDatabase.get(server) ?? limits.fleet.perDatabase;
    if (Math.min(perServer, perDatabase) >= 2) continue;
    throw new UsageError(`a dump takes two connections, and server ${server} may have one`, {
      hint: 'raise --per-server and --per-database, or `limits` in the inventory, or free connections on the server',
    });
  }
}
