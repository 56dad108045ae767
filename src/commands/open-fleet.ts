import { setImmediate } from 'node:timers/promises';
import type { Context } from '../context.ts';
import { type Failure, RefusedError, StoppedError, UsageError } from '../errors.ts';
import type { Inventory } from '../fleet/inventory/types.ts';
import { newRunId } from '../fleet/ledger.ts';
import { limitsOf, type RunLimits } from '../fleet/limits.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { Selection } from '../fleet/selection.ts';
import { placeKey, type Tenant } from '../fleet/tenant.ts';
import { toFailure } from '../postgres/failure.ts';
import { Servers } from '../postgres/servers.ts';
import { SessionPools } from '../postgres/session-pools.ts';
import { applicationName } from '../postgres/tenant-session.ts';
import { type FindOptions, type FoundTenants, findBorn, findOthers, findTenants } from './find-tenants.ts';
import type { FleetOptions } from './fleet-options.ts';
import { noteOwnSessions } from './hibernation/own-work.ts';
import { connectionSettings, readInventory } from './open-inventory.ts';
import { askServerSleeps, type ServerSleeps } from './server-sleeps.ts';
import { type DatabasePlace, homeOf } from './tenant-states.ts';

/** So long the servers have to close their side of connections. */
const goodbyeMs = 5000;

/** The part of the fleet that a command works on, and the means to reach it. */
export interface Fleet extends FoundTenants {
  readonly inventory: Inventory;
  /** Names the run in application_name, and in the ledger when there is one. */
  readonly run: string;
  /** The flags that this fleet was opened with. */
  readonly typed: NonNullable<FleetOptions['typed']>;
  readonly pools: SessionPools;
  readonly servers: Servers;
  readonly limits: RunLimits;
  /** Looks again: those whom the same selection finds now and did not find when the command began. */
  readonly findBorn: () => Promise<FoundTenants>;
  /** All other tenants of the inventory, for who must know what is usual in it; on the same connections. */
  readonly findOthers: () => Promise<Fleet>;
}

/** Tenants that share a database. */
export interface FleetPlace {
  readonly server: string;
  readonly database: string;
  readonly tenants: readonly Tenant[];
}

export interface OpenOptions extends FindOptions {
  /** Work that needs the inventory only: done while the first server's answer is on its way. */
  readonly beside?: (inventory: Inventory) => void;
  /** Of the AWS configuration files, for servers at RDS; null: the default chain. */
  readonly profile?: string | null;
  /** A dry run writes nothing anywhere, not even to a cache. */
  readonly writesNothing?: boolean;
  /** False: the command knows by itself which sessions in tenants' databases are its own. */
  readonly notesSessions?: boolean;
}

/** From the inventory to the selected tenants and their servers; lets go of every connection at the end. */
export async function withFleet<T>(
  context: Context,
  options: OpenOptions,
  work: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  const startedAt = context.now();
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
  const asked = new Map<string, Promise<ServerSleeps>>();
  const serverSleeps = (selection: Selection) => {
    // Only these narrow the question down.
    const key = JSON.stringify(selection.servers);
    const answer = asked.get(key) ?? askServerSleeps(context, inventory, selection, options.profile ?? null);
    asked.set(key, answer);
    return answer;
  };
  const access = { context, options, inventory, run, servers, pools, serverSleeps, failureOf: failureOrThrow };
  const leave = () => cut.abort();
  const { stop, abandon } = context.interrupts;
  abandon.addEventListener('abort', leave);
  // Until the work begins nothing is lost by leaving at the first Ctrl-C.
  stop.addEventListener('abort', leave);
  let tenants: readonly Tenant[] = [];
  try {
    const found = await whileWaiting(findTenants(access), () => options.beside?.(inventory));
    tenants = found.selected;
    stop.throwIfAborted();
    stop.removeEventListener('abort', leave);
    const own = { typed: options.typed ?? {}, inventory, run, pools, servers, findBorn: () => findBorn(access, found) };
    const fleetOf = (part: FoundTenants): Fleet => {
      // What is free on a server is known once somebody was there.
      const perServer = new Map([...inventory.servers.keys()].map((id) => [id, limitOf(id)]));
      const others = async () => fleetOf(await findOthers(access, found));
      return { ...part, ...own, findOthers: others, limits: { ...configured, perServer } };
    };
    return await work(fleetOf(found));
  } catch (error) {
    // What fails because the connections were cut is no failure of a server.
    throw cut.signal.aborted && !abandon.aborted ? new StoppedError('stopped before anything was begun') : error;
  } finally {
    stop.removeEventListener('abort', leave);
    abandon.removeEventListener('abort', leave);
    await closeConnections(pools, cut);
    const isSilent = options.writesNothing === true || options.notesSessions === false;
    if (!isSilent) await noteOwnSessions(context, inventory, { startedAt, tenants, servers });
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

/** Where it is written down whether a tenant sleeps: with its data; for one whose whole database may go, beside it. */
export function statePlace({ servers }: Pick<Fleet, 'servers'>, tenant: Tenant): DatabasePlace {
  return homeOf(servers, tenant);
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

/** A guard's refusal, or a mistake in the settings, is about the whole command and not about one server. */
function failureOrThrow(error: unknown): Failure {
  if (error instanceof RefusedError || error instanceof UsageError) throw error;
  return toFailure(error);
}
