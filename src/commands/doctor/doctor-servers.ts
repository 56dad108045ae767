import type { Context } from '../../context.ts';
import { checkDatabases, type ExaminedDatabase, type UnreadDatabase } from '../../diagnosis/check-databases.ts';
import { checkDumps } from '../../diagnosis/check-machine.ts';
import { checkPasswordFile, checkServer } from '../../diagnosis/check-server.ts';
import { checkSleepers } from '../../diagnosis/check-sleepers.ts';
import { count, type Finding, findingsAbout, someOf } from '../../diagnosis/finding.ts';
import { RefusedError, StoppedError, UsageError } from '../../errors.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import { limitsOf } from '../../fleet/limits.ts';
import { isHibernated } from '../../fleet/outcome.ts';
import { noSelection } from '../../fleet/selection.ts';
import { tenantSchema } from '../../fleet/tenant.ts';
import { readDatabaseHealth, readSchemaAccess } from '../../postgres/database-health.ts';
import { toFailure } from '../../postgres/failure.ts';
import { readServerHealth, type ServerHealth } from '../../postgres/server-health.ts';
import { majorOf } from '../../postgres/server-version.ts';
import { Servers } from '../../postgres/servers.ts';
import type { ConnectionSettings } from '../../postgres/settings/connection-settings.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { type Fleet, type FleetPlace, groupByPlace, withFleet } from '../open-fleet.ts';
import { connectionSettings } from '../open-inventory.ts';
import { findStraySleepers } from './stray-sleepers.ts';

interface Examination {
  readonly config: string | null;
  readonly inventory: Inventory;
  /** Where PostgreSQL's programs may lie. */
  readonly folders: readonly string[];
}

/** A server that answered. */
interface Reached {
  readonly id: string;
  readonly health: ServerHealth;
}

interface Visit {
  readonly findings: readonly Finding[];
  readonly reached: Reached | null;
}

/** Servers that are visited at once. */
const visits = 8;
/** Tenants of a database whose schemas are looked at. */
const sampleSize = 20;
const name = applicationName(null, 'doctor');

/** Visits every server of the inventory, then every database in which tenants live. A server that is down is a finding. */
export async function examineServers(context: Context, examination: Examination): Promise<readonly Finding[]> {
  // What it would say in passing is a finding here.
  const quiet: Context = { ...context, emit: () => {} };
  const ids = [...examination.inventory.servers.keys()];
  const visited = new Map<string, Visit>();
  const next = ids.values();
  const visitSome = async () => {
    for (const id of next) {
      if (!context.interrupts.stop.aborted) visited.set(id, await visitServer(quiet, examination, id));
    }
  };
  await Promise.all(Array.from({ length: visits }, visitSome));
  const reached = [...visited.values()].flatMap((visit) => visit.reached ?? []);
  const isStopped = context.interrupts.stop.aborted || reached.length === 0;
  const inDatabases = isStopped ? [] : await examineTenants(quiet, examination, reached);
  return [...ids.flatMap((id) => visited.get(id)?.findings ?? []), ...inDatabases];
}

async function visitServer(context: Context, examination: Examination, id: string): Promise<Visit> {
  const about = findingsAbout(`server ${id}`);
  const { inventory, folders } = examination;
  let settings: ConnectionSettings;
  try {
    settings = connectionSettings(context, inventory)(id);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const message = error.message.replace(`server ${id}: `, '');
    return { findings: [about.error('settings', message, error.hint ?? 'correct the inventory')], reached: null };
  }
  const passwordFile = checkPasswordFile(id, settings);
  const { stop } = context.interrupts;
  const answer = await askServer(settings, stop).catch((error: unknown) => unreachable(error, id));
  // Cut off by us, it says nothing about the server.
  if (stop.aborted) return { findings: [], reached: null };
  if ('level' in answer) return { findings: [answer, ...passwordFile], reached: null };
  const { health } = answer;
  const perServer = limitsOf(inventory.limits, inventory.servers.values()).perServer.get(id) ?? 1;
  const findings = [
    ...checkServer({ id, settings, ...answer, perServer }, context.now()),
    ...passwordFile,
    await checkDumps({ id, major: majorOf(health.versionNum) }, context.env, folders),
  ];
  return { findings, reached: { id, health } };
}

async function askServer(
  settings: ConnectionSettings,
  cut: AbortSignal,
): Promise<{ readonly health: ServerHealth; readonly isPooled: boolean }> {
  const id = settings.serverId;
  const servers = new Servers(() => settings, { applicationName: name, cut });
  const session = await servers.connect(id, settings.database);
  try {
    await prepareReader(session, name);
    return { health: await readServerHealth(session), isPooled: servers.facts(id)?.isPooled === true };
  } finally {
    await session.end();
  }
}

function unreachable(error: unknown, id: string): Finding {
  const about = findingsAbout(`server ${id}`);
  if (error instanceof RefusedError) return about.error('pooler', error.message, error.hint ?? 'connect directly');
  const { message, hint } = toFailure(error);
  return about.error(
    'reachable',
    `cannot be reached: ${message}`,
    hint ?? 'check host, port and login in the inventory',
  );
}

/** Looks up the tenants of the servers that answered, and looks at each database they live in. */
async function examineTenants(
  context: Context,
  { config, inventory }: Examination,
  reached: readonly Reached[],
): Promise<readonly Finding[]> {
  const options = {
    config,
    selection: { ...noSelection, servers: reached.map(({ id }) => id), allowEmpty: true },
    fromRun: null,
    limits: {},
    timeoutMs: null,
    skipUnreachable: false,
    mode: 'read',
    reachesServers: false,
    writesNothing: true,
  } as const;
  try {
    return await withFleet(context, options, async (fleet) => {
      const limits = limitsOf(inventory.limits, inventory.servers.values());
      const places = Map.groupBy(groupByPlace(fleet.tenants), ({ server }) => server);
      const checked = await Promise.all(
        reached.map(async (server) => {
          const perDatabase = limits.perDatabase.get(server.id) ?? inventory.limits.perDatabase;
          const read = await readPlaces(context, fleet, places.get(server.id) ?? [], server);
          return [
            ...tenantFindings(fleet, server.id),
            ...checkDatabases({ ...read, ...server, perDatabase }),
            ...checkSleepers(
              server.id,
              fleet.servers.homeDatabase(server.id),
              await findStraySleepers(fleet, server.id, name),
            ),
          ];
        }),
      );
      return checked.flat();
    });
  } catch (error) {
    if (error instanceof StoppedError) return [];
    // A registry behind a pooler, for one: the servers themselves have been looked at.
    if (!(error instanceof RefusedError || error instanceof UsageError)) throw error;
    const fix = error.hint ?? 'correct the inventory';
    return [findingsAbout('inventory').error('tenants', `the tenants cannot be looked up: ${error.message}`, fix)];
  }
}

function tenantFindings(fleet: Fleet, id: string): readonly Finding[] {
  const about = findingsAbout(`server ${id}`);
  const tenants = fleet.tenants.filter(({ server }) => server === id);
  const rejected = fleet.rejected.filter((outcome) => outcome.tenant.server === id && !isHibernated(outcome));
  const databases = new Set(tenants.map(({ database }) => database));
  return [
    ...fleet.sources
      .filter(({ server, hibernated }) => server === id && hibernated !== true)
      .map(({ database, error }) => {
        const where = database === null ? 'the databases' : `database ${database}`;
        return about.error(
          'tenants',
          `tenants in ${where} cannot be looked up: ${error.message}`,
          error.hint ?? 'see above',
        );
      }),
    ...(rejected.length === 0
      ? []
      : [
          about.warning(
            'unusable-tenants',
            `${count(rejected.length, 'tenant')} cannot be used (${someOf(rejected.map(({ tenant }) => tenant.id))})`,
            'tenantctl tenants list --all says why',
          ),
        ]),
    tenants.length > 0
      ? about.ok('tenants', `${count(tenants.length, 'tenant')} in ${count(databases.size, 'database')}`)
      : about.info('tenants', 'no tenants live here', 'name them under `tenants` or `discover` in the inventory'),
  ];
}

async function readPlaces(
  context: Context,
  fleet: Fleet,
  places: readonly FleetPlace[],
  { id: server, health }: Reached,
): Promise<{
  readonly server: string;
  readonly examined: readonly ExaminedDatabase[];
  readonly unread: readonly UnreadDatabase[];
}> {
  const examined: ExaminedDatabase[] = [];
  const unread: UnreadDatabase[] = [];
  const readOne = async (place: FleetPlace) => {
    const { database } = place;
    try {
      await fleet.pools.use(server, database, async (session) => {
        if (context.interrupts.stop.aborted) return;
        await prepareReader(session, name);
        const wanted = place.tenants
          .slice(0, sampleSize)
          .map((each) => ({ schema: tenantSchema(each), role: each.role }));
        const [read, access] = await Promise.all([
          readDatabaseHealth(session),
          readSchemaAccess(session, wanted, health.versionNum),
        ]);
        const schemaTenants = place.tenants.filter(({ schema }) => schema !== null).length;
        examined.push({ database, schemaTenants, health: read, access });
      });
    } catch (error) {
      unread.push({ database, failure: toFailure(error) });
    }
  };
  await Promise.all(places.map(readOne));
  return { server, examined: examined.toSorted(byName), unread: unread.toSorted(byName) };
}

function byName(a: { readonly database: string }, b: { readonly database: string }): number {
  return a.database < b.database ? -1 : 1;
}
