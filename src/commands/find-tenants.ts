import type { Context } from '../context.ts';
import type { Failure } from '../errors.ts';
import { discoverTenants, type ReadSource } from '../fleet/discovery.ts';
import { literalPrefix } from '../fleet/glob.ts';
import type { DiscoverEntry, Inventory } from '../fleet/inventory/types.ts';
import type { Outcome } from '../fleet/outcome.ts';
import { isEveryone, noSelection, type Selection, selectTenants, sourcesToRead } from '../fleet/selection.ts';
import type { Tenant } from '../fleet/tenant.ts';
import type { TenantSleep } from '../fleet/tenant-state.ts';
import type { SourceReport } from '../output/result.ts';
import { listDatabases, listSchemas, runRegistryQuery } from '../postgres/discovery.ts';
import { toFailure } from '../postgres/failure.ts';
import type { Servers } from '../postgres/servers.ts';
import type { SessionPools } from '../postgres/session-pools.ts';
import { applicationName, prepareReader } from '../postgres/tenant-session.ts';
import type { FleetOptions } from './fleet-options.ts';
import { reachServers, refuseUnread } from './reach-servers.ts';
import { rejectFailed, rejectSkipped, rejectSleeping } from './rejected.ts';
import { resolveSelection } from './resolve-selection.ts';
import { type ServerSleeps, sleepingSources } from './server-sleeps.ts';
import { homeOf, type KnownStates, TenantStates } from './tenant-states.ts';

/** Whom a command works on. */
export interface FindOptions extends FleetOptions {
  /** Commands that change things refuse to go on without a server; those that read report what they reach. */
  readonly mode: 'read' | 'change';
  /** Only tenants that this run moved: those of its record where there is one. */
  readonly ofRun?: string | null;
  /** False: only discovery speaks to servers, and who asks for tenants that sleep. */
  readonly reachesServers?: boolean;
  /** True: tenants that sleep are worked on like all others. */
  readonly takesSleeping?: boolean;
  /** False: who sleeps is known as far as discovery sees it; nobody else is asked. */
  readonly asksStates?: boolean;
}

/** Who was found, and what is to become of whom. */
export interface FoundTenants {
  /** Selected and fit to be worked on, in order. */
  readonly tenants: readonly Tenant[];
  /**
   * Selected, but not to be worked on: what discovery could not use, what lives on a server that is skipped, what sleeps.
   */
  readonly rejected: readonly Outcome<never>[];
  /** All selected, in the order in which they are reported. */
  readonly selected: readonly Tenant[];
  readonly sources: readonly SourceReport[];
  /** Those of the selected that are not active, whether they are worked on or not. */
  readonly sleeping: ReadonlyMap<Tenant, TenantSleep>;
  /** Those of whom nobody could be asked whether they sleep; they count as active. */
  readonly unknown?: ReadonlySet<Tenant>;
}

export interface FleetAccess {
  readonly context: Context;
  readonly options: FindOptions;
  readonly inventory: Inventory;
  readonly run: string;
  readonly servers: Servers;
  readonly pools: SessionPools;
  /** Servers that sleep as a whole: nobody connects to them, which would fail, or wake them. */
  readonly serverSleeps: (selection: Selection) => Promise<ServerSleeps>;
  /** What went wrong with one server; throws what ends the whole command. */
  readonly failureOf: (error: unknown) => Failure;
}

export interface FoundFleet extends FoundTenants {
  readonly selection: Selection;
}

/** Discovery, selection, and a first word with each server. */
export async function findTenants(access: FleetAccess): Promise<FoundFleet> {
  const selection = await resolveSelection(access.context, access.inventory.state, access.options);
  return findSelected(access, selection);
}

/** Tenants by the id that they had not. Now that tenants were changed nothing is refused, and a lost name no mistake. */
export async function findBorn(access: FleetAccess, { selected, selection }: FoundFleet): Promise<FoundFleet> {
  const options = { ...access.options, skipUnreachable: true };
  const quiet = { ...access, options, context: { ...access.context, emit: () => {} }, failureOf: toFailure };
  const now = await findSelected(quiet, { ...selection, allowEmpty: true });
  const known = new Set(selected.map(({ id }) => id));
  const isNew = ({ id }: Tenant) => !known.has(id);
  const born = { tenants: now.tenants.filter(isNew), selected: now.selected.filter(isNew) };
  return { ...now, ...born, rejected: now.rejected.filter(({ tenant }) => isNew(tenant)) };
}

/**
 * All other tenants of the inventory, those that can be reached. The command is not about them: nothing is refused for
 * them, and nothing is said.
 */
export async function findOthers(access: FleetAccess, found: FoundFleet): Promise<FoundTenants> {
  if (isEveryone(found.selection)) return { tenants: [], rejected: [], selected: [], sources: [], sleeping: new Map() };
  const everyone = { ...noSelection, all: true };
  return findBorn({ ...access, options: { ...access.options, mode: 'change' } }, { ...found, selection: everyone });
}

async function findSelected(access: FleetAccess, selection: Selection): Promise<FoundFleet> {
  const { context, options, inventory } = access;
  const asleep = await access.serverSleeps(selection);
  const states = new TenantStates(access);
  const entries = sourcesToRead(inventory, selection);
  const found = await discoverTenants(inventory, sourceReader(access, states), {
    entries: entries.filter(({ server }) => !asleep.has(server)),
    concurrency: inventory.limits.concurrency,
    toFailure: access.failureOf,
  });
  const failures = new Map(found.failed.map(({ tenant, failure }) => [tenant, failure]));
  const slept = sleepingSources(entries, asleep);
  const unread = found.sources.flatMap(({ server, database, error }) =>
    error === undefined ? [] : [{ server, database, error }],
  );
  refuseUnread(unread, options);
  // With a source unread nobody can say that a name matches no tenant.
  const lenient = unread.length + slept.length > 0 ? { ...selection, allowEmpty: true } : selection;
  const { tenants: selected, warnings } = selectTenants([...found.tenants, ...failures.keys()], lenient);
  for (const message of warnings) context.emit({ type: 'notice', level: 'warning', message });
  const sound = selected.filter((tenant) => !failures.has(tenant));
  const judged = await judgeTenants(access, sound, { asleep, states });
  const failed = withoutRepeats([...unread, ...judged.unread]);
  return {
    selection,
    tenants: judged.tenants,
    rejected: [...rejectFailed(selected, failures), ...judged.rejected],
    selected,
    sources: [...failed.map((source) => (options.skipUnreachable ? { ...source, skipped: true } : source)), ...slept],
    sleeping: judged.sleeping,
    unknown: judged.unknown,
  };
}

interface Judged extends KnownStates {
  readonly tenants: readonly Tenant[];
  readonly rejected: readonly Outcome<never>[];
}

/** Who of those found can be worked on: not who lives on a server that is down, and not who sleeps. */
async function judgeTenants(
  access: FleetAccess,
  sound: readonly Tenant[],
  { asleep, states }: { readonly asleep: ServerSleeps; readonly states: TenantStates },
): Promise<Judged> {
  const { options } = access;
  const awake = sound.filter(({ server }) => !asleep.has(server));
  const unreachable = options.reachesServers === false ? [] : await reachServers(awake, access);
  refuseUnread(unreachable, options);
  const isUp = ({ server }: Tenant) => !unreachable.some((down) => down.server === server);
  const known = await states.of(awake.filter(isUp), { asks: options.asksStates !== false });
  refuseUnread(known.unread, options);
  const unread = [...unreachable, ...known.unread];
  const out = options.mode === 'read' ? new Map<Tenant, string>() : leftOut(awake, unread, access);
  const sleeping = new Map([...known.sleeping, ...sleepOfServers(sound, asleep)]);
  const isRejected = (tenant: Tenant) => out.has(tenant) || (sleeping.has(tenant) && options.takesSleeping !== true);
  return {
    tenants: sound.filter((tenant) => !isRejected(tenant)),
    rejected: [...rejectSkipped(out), ...(options.takesSleeping === true ? [] : rejectSleeping(sleeping))],
    sleeping,
    unread,
    unknown: known.unknown,
  };
}

/** Tenants that a command must not change: on servers that are down, and where nobody may know whether they sleep. */
function leftOut(
  tenants: readonly Tenant[],
  unread: readonly SourceReport[],
  access: FleetAccess,
): ReadonlyMap<Tenant, string> {
  const why = (tenant: Tenant) => {
    const home = homeOf(access.servers, tenant);
    const source = unread.find(({ server, database }) => {
      return server === tenant.server && (database === null || database === home.database);
    });
    if (source === undefined) return null;
    return source.database === null
      ? `server ${tenant.server} cannot be reached`
      : `database ${source.database} does not tell whether it sleeps`;
  };
  return new Map(
    tenants.flatMap((tenant) => {
      const because = why(tenant);
      return because === null ? [] : [[tenant, because] as const];
    }),
  );
}

function sleepOfServers(tenants: readonly Tenant[], asleep: ServerSleeps): (readonly [Tenant, TenantSleep])[] {
  return tenants.flatMap((tenant) => {
    const sleep = asleep.get(tenant.server);
    return sleep === undefined ? [] : [[tenant, sleep] as const];
  });
}

/** A server that is down, and a database that keeps its secrets, are told once, whoever met them first. */
function withoutRepeats(sources: readonly SourceReport[]): readonly SourceReport[] {
  const down = new Set(sources.flatMap(({ server, database }) => (database === null ? [server] : [])));
  const told = new Set<string>();
  return sources.filter(({ server, database }) => {
    if (database !== null && down.has(server)) return false;
    const key = `${server}\0${database ?? ''}`;
    const isFirst = !told.has(key);
    told.add(key);
    return isFirst;
  });
}

function sourceReader({ servers, pools, run, options }: FleetAccess, states: TenantStates): ReadSource {
  return (entry: DiscoverEntry) => {
    const database = entry.kind === 'databases' ? servers.homeDatabase(entry.server) : entry.database;
    return pools.use(entry.server, database, async (session) => {
      if (entry.kind === 'query') return runRegistryQuery(session, entry.query);
      const prefix = literalPrefix(entry.pattern);
      const listed = entry.kind === 'schemas' ? listSchemas(session, prefix) : listDatabases(session, prefix);
      const ready = prepareReader(session, applicationName(run, 'discovery'));
      const [{ names, rows, denied }] = await Promise.all([listed, ready]);
      // Whoever changes tenants must know which to leave alone.
      if (denied !== null && options.mode === 'change') throw denied;
      if (denied === null) states.note({ server: entry.server, database }, rows);
      else states.noteUnread({ server: entry.server, database }, denied);
      // Whose schema or database is gone or closed is a tenant all the same.
      const slept = rows.flatMap((row) => {
        if (entry.kind === 'databases') return row.schema === null ? [row.database] : [];
        return row.schema === null || row.database !== database ? [] : [row.schema];
      });
      return [...new Set([...names, ...slept])];
    });
  };
}
