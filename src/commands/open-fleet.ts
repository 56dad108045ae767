import { setImmediate } from 'node:timers/promises';
import type { Context } from '../context.ts';
import { type Failure, RefusedError, StoppedError, UsageError } from '../errors.ts';
import { discoverTenants, type ReadSource } from '../fleet/discovery.ts';
import { literalPrefix } from '../fleet/glob.ts';
import type { DiscoverEntry, Inventory } from '../fleet/inventory/types.ts';
import { newRunId } from '../fleet/ledger.ts';
import { limitsOf, type RunLimits } from '../fleet/limits.ts';
import type { Outcome } from '../fleet/outcome.ts';
import { type Selection, selectTenants, sourcesToRead } from '../fleet/selection.ts';
import { placeKey, type Tenant } from '../fleet/tenant.ts';
import type { SourceReport } from '../output/result.ts';
import { listDatabases, listSchemas, runRegistryQuery } from '../postgres/discovery.ts';
import { errorKind, isRefusedLogin, toFailure } from '../postgres/failure.ts';
import { Servers } from '../postgres/servers.ts';
import { SessionPools } from '../postgres/session-pools.ts';
import type { ConnectionSettings } from '../postgres/settings/connection-settings.ts';
import { applicationName, prepareReader } from '../postgres/tenant-session.ts';
import type { FleetOptions } from './fleet-options.ts';
import { connectionSettings, readInventory } from './open-inventory.ts';
import { rejectFailed, rejectSkipped } from './rejected.ts';
import { resolveSelection } from './resolve-selection.ts';

/** So long the servers have to close their side of connections. */
const goodbyeMs = 5000;

/** The part of the fleet that a command works on, and the means to reach it. */
export interface Fleet {
  readonly inventory: Inventory;
  /** Names the run in application_name, and in the ledger when there is one. */
  readonly run: string;
  /** The flags that this fleet was opened with. */
  readonly typed: NonNullable<FleetOptions['typed']>;
  /** Selected and fit to be worked on, in order. */
  readonly tenants: readonly Tenant[];
  /** Selected, but not to be worked on: what discovery could not use, what lives on a server that is skipped. */
  readonly rejected: readonly Outcome<never>[];
  /** All selected, in the order in which they are reported. */
  readonly selected: readonly Tenant[];
  readonly sources: readonly SourceReport[];
  readonly pools: SessionPools;
  readonly servers: Servers;
  readonly limits: RunLimits;
  /** Looks again: those whom the same selection finds now and did not find when the command began. */
  readonly findBorn: () => Promise<Pick<Fleet, 'tenants' | 'rejected' | 'selected' | 'sources'>>;
}

/** Tenants that share a database. */
export interface FleetPlace {
  readonly server: string;
  readonly database: string;
  readonly tenants: readonly Tenant[];
}

export interface OpenOptions extends FleetOptions {
  /** Commands that change things refuse to go on without a server; those that read report what they reach. */
  readonly mode: 'read' | 'change';
  /** Only tenants that this run moved: those of its record where there is one. */
  readonly ofRun?: string | null;
  /** False: only discovery speaks to servers. */
  readonly reachesServers?: boolean;
  /** Work that needs the inventory only: done while the first server's answer is on its way. */
  readonly beside?: (inventory: Inventory) => void;
  /** A dry run writes nothing anywhere, not even to a cache. */
  readonly writesNothing?: boolean;
}

/** From the inventory to the selected tenants and their servers; lets go of every connection at the end. */
export async function withFleet<T>(
  context: Context,
  options: OpenOptions,
  work: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  const inventory = await readInventory(context, options);
  const run = newRunId(context.now());
  const settingsOf = connectionSettings(context, inventory);
  const cut = new AbortController();
  const servers = new Servers(settingsOf, { applicationName: applicationName(run, '-'), cut: cut.signal });
  const configured = limitsOf({ ...inventory.limits, ...options.limits }, inventory.servers.values());
  const limitOf = (server: string) => serverLimit(server, configured, servers);
  const pools = new SessionPools(
    (server, database) => servers.connect(server, database),
    limitOf,
    (server) => servers.asking(server),
  );
  const access = { context, options, inventory, run, settingsOf, servers, pools, failureOf: failureOrThrow };
  const leave = () => cut.abort();
  const { stop, abandon } = context.interrupts;
  abandon.addEventListener('abort', leave);
  // Until the work begins nothing is lost by leaving at the first Ctrl-C.
  stop.addEventListener('abort', leave);
  try {
    const found = await whileWaiting(findTenants(access), () => options.beside?.(inventory));
    stop.throwIfAborted();
    stop.removeEventListener('abort', leave);
    const perServer = new Map([...inventory.servers.keys()].map((id) => [id, limitOf(id)]));
    const own = { typed: options.typed ?? {}, findBorn: () => findBorn(access, found) };
    return await work({ ...found, ...own, inventory, run, pools, servers, limits: { ...configured, perServer } });
  } catch (error) {
    // What fails because the connections were cut is no failure of a server.
    throw cut.signal.aborted && !abandon.aborted ? new StoppedError('stopped before anything was begun') : error;
  } finally {
    stop.removeEventListener('abort', leave);
    abandon.removeEventListener('abort', leave);
    await closeConnections(pools, cut);
  }
}

/** A network that is gone must not keep the command, and neither must what discovery still waits for. */
async function closeConnections(pools: SessionPools, cut: AbortController): Promise<void> {
  const timer = setTimeout(() => cut.abort(), goodbyeMs);
  await pools.closeAll();
  clearTimeout(timer);
  cut.abort();
}

/** Does something of our own once the questions are sent; what it throws does not wait for the answers. */
async function whileWaiting<T>(answers: Promise<T>, work: () => void): Promise<T> {
  // Whoever waits for neither must not be told of a rejection that nobody handles.
  answers.catch(() => {});
  await setImmediate();
  work();
  return answers;
}

interface FleetAccess extends Pick<Fleet, 'inventory' | 'run' | 'servers' | 'pools'> {
  readonly context: Context;
  readonly options: OpenOptions;
  readonly settingsOf: (server: string) => ConnectionSettings;
  /** What went wrong with one server; throws what ends the whole command. */
  readonly failureOf: (error: unknown) => Failure;
}

interface FoundFleet extends Pick<Fleet, 'tenants' | 'rejected' | 'selected' | 'sources'> {
  readonly selection: Selection;
}

/** Discovery, selection, and a first word with each server. */
async function findTenants(access: FleetAccess): Promise<FoundFleet> {
  const selection = await resolveSelection(access.context, access.inventory.state, access.options);
  return findSelected(access, selection);
}

/** Tenants by the id that they had not. Now that tenants were changed nothing is refused, and a lost name no mistake. */
async function findBorn(access: FleetAccess, { selected, selection }: FoundFleet): Promise<FoundFleet> {
  const options = { ...access.options, skipUnreachable: true };
  const quiet = { ...access, options, context: { ...access.context, emit: () => {} }, failureOf: toFailure };
  const now = await findSelected(quiet, { ...selection, allowEmpty: true });
  const known = new Set(selected.map(({ id }) => id));
  const isNew = ({ id }: Tenant) => !known.has(id);
  const born = { tenants: now.tenants.filter(isNew), selected: now.selected.filter(isNew) };
  return { ...now, ...born, rejected: now.rejected.filter(({ tenant }) => isNew(tenant)) };
}

async function findSelected(access: FleetAccess, selection: Selection): Promise<FoundFleet> {
  const { context, options, inventory } = access;
  const found = await discoverTenants(inventory, sourceReader(access), {
    entries: sourcesToRead(inventory, selection),
    concurrency: inventory.limits.concurrency,
    toFailure: access.failureOf,
  });
  const failures = new Map(found.failed.map(({ tenant, failure }) => [tenant, failure]));
  const unread = found.sources.flatMap(({ server, database, error }) =>
    error === undefined ? [] : [{ server, database, error }],
  );
  refuseUnread(unread, options);
  // With a source unread nobody can say that a name matches no tenant.
  const lenient = unread.length > 0 ? { ...selection, allowEmpty: true } : selection;
  const { tenants: selected, warnings } = selectTenants([...found.tenants, ...failures.keys()], lenient);
  for (const message of warnings) context.emit({ type: 'notice', level: 'warning', message });
  const workable = selected.filter((tenant) => !failures.has(tenant));
  const unreachable = options.reachesServers === false ? [] : await reachServers(workable, access);
  refuseUnread(unreachable, options);
  const down = new Set(options.mode === 'read' ? [] : unreachable.map(({ server }) => server));
  const isOut = ({ server }: Tenant) => down.has(server);
  return {
    selection,
    tenants: workable.filter((tenant) => !isOut(tenant)),
    rejected: [...rejectFailed(selected, failures), ...rejectSkipped(workable.filter(isOut))],
    selected,
    // A server that is down is told once, whoever met it first.
    sources: [
      ...unread.filter(({ server }) => !unreachable.some((down) => down.server === server)),
      ...unreachable,
    ].map((source) => (options.skipUnreachable ? { ...source, skipped: true } : source)),
  };
}

/** Groups tenants by the database they live in. */
export function groupByPlace(tenants: readonly Tenant[]): FleetPlace[] {
  const places = new Map<string, { server: string; database: string; tenants: Tenant[] }>();
  for (const tenant of tenants) {
    const key = placeKey(tenant);
    const place = places.get(key) ?? { server: tenant.server, database: tenant.database, tenants: [] };
    place.tenants.push(tenant);
    places.set(key, place);
  }
  return [...places.values()];
}

/** Outcomes from several lists in the order of selection; a later list has the last word on its tenants. */
export function mergeOutcomes<V>(selected: readonly Tenant[], ...lists: (readonly Outcome<V>[])[]): Outcome<V>[] {
  const byTenant = new Map(lists.flat().map((outcome) => [outcome.tenant, outcome]));
  return selected.flatMap((tenant) => byTenant.get(tenant) ?? []);
}

/** At most half of the connections that are free when the run begins: the application needs them too. */
function serverLimit(server: string, configured: RunLimits, servers: Servers): number {
  const limit = configured.perServer.get(server) ?? configured.fleet.perServer;
  const facts = servers.facts(server);
  return facts === undefined ? limit : Math.min(limit, Math.max(1, Math.floor(facts.freeConnections / 2)));
}

function sourceReader({ pools, settingsOf, run }: FleetAccess): ReadSource {
  return (entry: DiscoverEntry) => {
    const database = entry.kind === 'databases' ? settingsOf(entry.server).database : entry.database;
    return pools.use(entry.server, database, async (session) => {
      if (entry.kind === 'query') return runRegistryQuery(session, entry.query);
      const prefix = literalPrefix(entry.pattern);
      const names = entry.kind === 'schemas' ? listSchemas(session, prefix) : listDatabases(session, prefix);
      const [found] = await Promise.all([names, prepareReader(session, applicationName(run, 'discovery'))]);
      return found;
    });
  };
}

/** A guard's refusal, or a mistake in the settings, is about the whole command and not about one server. */
function failureOrThrow(error: unknown): Failure {
  if (error instanceof RefusedError || error instanceof UsageError) throw error;
  return toFailure(error);
}

/** Makes sure that each server was asked about itself before the work begins; returns those that are down. */
async function reachServers(tenants: readonly Tenant[], access: FleetAccess): Promise<readonly SourceReport[]> {
  const databases = new Map<string, Set<string>>();
  for (const { server, database } of tenants) {
    databases.set(server, (databases.get(server) ?? new Set()).add(database));
  }
  const reports = await Promise.all(
    [...databases].map(async ([server, names]) => {
      if (access.servers.facts(server) !== undefined) return [];
      const error = await reachServer(server, [...names], access);
      return error === null ? [] : [{ server, database: null, error }];
    }),
  );
  return reports.flat();
}

/**
 * A database that is missing or closed is its tenants' affair; the next one tells whether the server is there. Only a
 * login that all of them refuse is the server's. A server that is full is there: the run waits for its connections.
 */
async function reachServer(
  server: string,
  databases: readonly string[],
  { pools, failureOf }: FleetAccess,
): Promise<Failure | null> {
  const refusals: Failure[] = [];
  for (const database of databases) {
    try {
      await pools.use(server, database, async () => {});
      return null;
    } catch (error) {
      const failure = failureOf(error);
      const kind = errorKind(error);
      if (kind === 'too-many-connections') return null;
      if (isRefusedLogin(error)) refusals.push(failure);
      else if (kind === 'connection') return failure;
    }
  }
  return refusals.length === databases.length ? (refusals[0] ?? null) : null;
}

/** A command that changes things does not go on without a part of the fleet unless it is told to. */
function refuseUnread(unread: readonly SourceReport[], options: OpenOptions): void {
  if (options.mode === 'read' || options.skipUnreachable || unread.length === 0) return;
  throw new RefusedError('part of the fleet cannot be reached, and this command changes things', {
    details: unread.map(({ server, database, error }) => {
      return `server ${server}${database === null ? '' : `, database ${database}`}: ${error.message}`;
    }),
    hint: 'leave it out by the selection, or go on without it: --skip-unreachable',
  });
}
