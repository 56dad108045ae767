import { setTimeout as pause } from 'node:timers/promises';
import type { Context } from '../../context.ts';
import { TenantError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Place } from '../../fleet/place.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { type Counted, readDatabaseCounters, readSchemaCounters } from '../../hibernation/idle/counters.sql.ts';
import { askLastLogin } from '../../hibernation/idle/last-login.ts';
import type { SamplePlace } from '../../hibernation/idle/sample-file.ts';
import type { Stretch } from '../../hibernation/idle/stretch.ts';
import { withReplica } from '../../hibernation/idle/with-replica.ts';
import { historyTable } from '../../migrations/history.ts';
import type { Session } from '../../postgres/session.ts';
import { applicationName, prepareReader, prepareSession } from '../../postgres/tenant-session.ts';
import { type Fleet, groupByPlace } from '../open-fleet.ts';
import { readFleet } from '../read-fleet.ts';
import { type Answer, Replicas } from './idle-replicas.ts';

/** Tenants whose counters are read together. */
export interface SampleGroup extends SamplePlace {
  readonly tenants: readonly Tenant[];
}

/** Counters, and when they were read (milliseconds since 1970). */
export interface Reading extends Counted {
  readonly at: number;
}

/** Nobody can tell of this tenant whether it is used. */
export interface Uncounted {
  /** In words. */
  readonly uncounted: string;
}

const tooOld: Uncounted = { uncounted: 'its server counts no sessions: that needs PostgreSQL 14' };

/** Before 14 a server does not count the sessions of its databases, and before 15 it tells counters after a while. */
const sessionsCountedSince = 140_000;
const toldAtOnceSince = 150_000;
const oldServerDelayMs = 1000;

export function groupForSamples(tenants: readonly Tenant[]): readonly SampleGroup[] {
  const schemas = tenants.filter(({ schema }) => schema !== null);
  const databases = Map.groupBy(
    tenants.filter(({ schema }) => schema === null),
    ({ server }) => server,
  );
  return [
    ...groupByPlace(schemas),
    ...[...databases].map(([server, members]) => ({ server, database: null, tenants: members })),
  ];
}

/** What the server's statistics call a tenant. */
export function countedName({ schema, database }: Tenant): string {
  return schema ?? database;
}

/** Reads counters of tenants, all of a place at once: on their server, and on its replica where the inventory names one. */
export async function readCounters(
  context: Context,
  fleet: Fleet,
  groups: readonly SampleGroup[],
): Promise<Outcome<Reading | Uncounted>[]> {
  await using replicas = new Replicas(context, fleet);
  const places = groups.map((group) => countingPlace(context, fleet, replicas, group));
  const tenants = groups.flatMap((group) => group.tenants);
  return await readFleet(context, fleet, 'reading counters', tenants, places);
}

function countingPlace(
  context: Context,
  fleet: Fleet,
  replicas: Replicas,
  group: SampleGroup,
): Place<unknown, Reading | Uncounted> {
  const { server, tenants } = group;
  const database = group.database ?? fleet.servers.homeDatabase(server);
  return {
    server,
    database,
    tenants,
    batches: () => [{ tenants }],
    work: async (_, batch, task) => {
      const part = { ...group, tenants: batch.tenants };
      const counted = await fleet.pools.use(server, database, (session) => {
        return count(session, fleet, part, fleet.servers.facts(server)?.versionNum ?? 0);
      });
      const replica = await replicas.ask(server, database, (session, versionNum) => {
        return count(session, fleet, part, versionNum);
      });
      const at = context.now().getTime();
      for (const tenant of batch.tenants) {
        const found = counted?.get(countedName(tenant));
        if (counted === null) task.done(tenant, tooOld);
        else if (found === undefined) task.failed(tenant, missing(tenant));
        else task.done(tenant, addReplica({ ...found, at }, replica));
      }
    },
  };
}

type Counts = ReadonlyMap<string, Counted> | null;

function addReplica(reading: Reading, replica: Answer<Counts> | null): Reading | Uncounted {
  if (replica === null) return reading;
  if ('unread' in replica) return { uncounted: `its replica cannot be read: ${replica.unread}` };
  const standby = replica.value?.get(reading.name);
  if (standby === undefined) return { uncounted: 'its replica does not have it' };
  return { ...withReplica(reading, standby), at: reading.at };
}

/** By name; null: the server is too old to tell. */
async function count(session: Session, fleet: Fleet, group: SampleGroup, versionNum: number): Promise<Counts> {
  await prepareReader(session, applicationName(fleet.run, 'idle'));
  const names = group.tenants.map(countedName);
  if (group.database === null && versionNum < sessionsCountedSince) return null;
  const counted =
    group.database === null
      ? await readDatabaseCounters(session, names)
      : await readSchemaCounters(session, names, { historyTable, versionNum });
  return new Map(counted.map((each) => [each.name, each]));
}

function missing(tenant: Tenant): TenantError {
  const isSchema = tenant.schema !== null;
  return new TenantError({
    message: isSchema ? `schema ${tenant.schema} does not exist` : `database ${tenant.database} does not exist`,
    code: isSchema ? 'schema-missing' : 'database-missing',
    hint: 'correct the inventory, or create the tenant',
  });
}

/** Asks tenants for their last login: milliseconds since 1970, or null for never. What that counts for is told when it resolves. */
export async function askLogins(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  query: string,
): Promise<Outcome<number | null>[]> {
  const places = groupByPlace(tenants).map((place): Place<unknown, number | null> => {
    const { server, database } = place;
    return {
      ...place,
      batches: () => place.tenants.map((tenant) => ({ tenants: [tenant] })),
      work: async (_, { tenants: [tenant] }, task) => {
        if (tenant === undefined) return;
        const login = await fleet.pools.use(server, database, (session) => ask(session, fleet, tenant, query));
        task.done(tenant, login);
      },
    };
  });
  const outcomes = await readFleet(context, fleet, 'asking for the last login', tenants, places);
  // A session tells what it has counted when it ends.
  for (const { server, database } of places) await fleet.pools.closeIdle(server, database);
  const isOld = places.some(({ server }) => (fleet.servers.facts(server)?.versionNum ?? 0) < toldAtOnceSince);
  if (isOld) await pause(oldServerDelayMs);
  return outcomes;
}

async function ask(session: Session, fleet: Fleet, tenant: Tenant, query: string): Promise<number | null> {
  const { timeouts } = fleet.inventory;
  await prepareSession(session, {
    searchPath: tenant.searchPath,
    role: null,
    lockTimeoutMs: timeouts.lockMs,
    statementTimeoutMs: timeouts.statementMs,
    applicationName: applicationName(fleet.run, tenant.id),
  });
  return askLastLogin(session, query);
}

/** A sample: what was read before and, where tenantctl itself asked something in between, after it. */
export function toStretch(before: Reading, after: Reading, login: Stretch['login']): Stretch {
  return {
    from: before.at,
    to: after.at,
    samples: 1,
    longestGapMs: 0,
    before: before.counts,
    after: after.counts,
    mark: after.mark,
    set: after.set,
    started: after.started,
    lastScan: after.lastScan,
    isPresent: before.isPresent || after.isPresent,
    sizeBytes: after.sizeBytes,
    login,
  };
}
