import type { RdsState } from '../../aws/rds-state.ts';
import type { Context } from '../../context.ts';
import type { Failure } from '../../errors.ts';
import { type Connected, readConnected } from '../../hibernation/rds/connected.sql.ts';
import { stateKind } from '../../hibernation/rds/judge-state.ts';
import { readSleep } from '../../hibernation/rds/sleep-tags.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { listNames, plural } from '../../words.ts';
import { readFleetOptions } from '../fleet-options.ts';
import { type Fleet, withFleet } from '../open-fleet.ts';
import type { ServerJob } from './server-jobs.ts';
import type { ServerOptions } from './server-options.ts';

/** Tells what speaks against putting a server to sleep that stands so; null: nothing. Only reads. */
export type LookAround = (job: ServerJob, state: RdsState) => Promise<Failure | null>;

/** Who else lives on the servers, and whether another run works there. */
export function lookAround(context: Context, fleet: Fleet, options: ServerOptions): LookAround {
  return async (job, state) => {
    // What was begun was looked at then, and what does not run has no users.
    if (readSleep(state) !== null || stateKind(state.status) !== 'available') return null;
    return (await whoElse(context, fleet, job, options)) ?? otherRuns(await readUsers(fleet, job));
  };
}

/** An instance is put to sleep for all of its tenants, or for none. */
async function whoElse(
  context: Context,
  fleet: Fleet,
  job: ServerJob,
  { profile }: ServerOptions,
): Promise<Failure | null> {
  const { inventory } = fleet;
  const servers = serversOf(fleet, job);
  const everybody = {
    ...readFleetOptions({ server: servers, allowEmpty: true }),
    ...({ config: inventory.file, mode: 'read', profile, takesSleeping: true, asksStates: false } as const),
    ...{ reachesServers: false, writesNothing: true },
  };
  const found = await withFleet({ ...context, emit: () => {} }, everybody, async ({ selected, sources }) => {
    return { selected, sources };
  });
  const unread = found.sources[0];
  const { kind, id } = job.target;
  if (unread !== undefined) {
    return {
      message: `not all tenants of ${kind} ${id} are known: ${unread.error.message}`,
      code: 'refused',
      hint: 'it is only put to sleep when all of its tenants are selected',
    };
  }
  const known = new Set(job.tenants.map((tenant) => tenant.id));
  const others = found.selected.filter((tenant) => !known.has(tenant.id)).map((tenant) => tenant.id);
  if (others.length === 0) return null;
  return {
    message: `${kind} ${id} holds ${plural(others.length, 'tenant')} more that would sleep with it: ${listNames(others, 10)}`,
    code: 'shared-server',
    hint: `select all of them: --server ${servers.join(' ')}; or use --how archive`,
  };
}

/** All names that the inventory has for the same instance or cluster. */
function serversOf({ inventory }: Fleet, { target, servers }: ServerJob): readonly string[] {
  const same = [...inventory.servers.values()].filter(({ rds }) => {
    return rds !== null && rds[target.kind]?.toLowerCase() === target.id.toLowerCase();
  });
  const regions = new Set(servers.map((id) => inventory.servers.get(id)?.rds?.region));
  return same.filter(({ id, rds }) => servers.includes(id) || regions.has(rds?.region)).map(({ id }) => id);
}

/** Who is connected, asked on the session of one of the tenants. */
export async function readUsers(fleet: Fleet, { tenants, servers }: ServerJob): Promise<Connected> {
  const [tenant] = tenants;
  const server = tenant?.server ?? servers[0] ?? '';
  const database = tenant?.database ?? fleet.servers.homeDatabase(server);
  const own = applicationName(fleet.run, '');
  const connected = await fleet.pools.use(server, database, async (session) => {
    await prepareReader(session, applicationName(fleet.run, 'looking'));
    return readConnected(session, own);
  });
  await fleet.pools.closeIdle(server);
  return connected;
}

function otherRuns({ runs }: Connected): Failure | null {
  if (runs.length === 0) return null;
  return {
    message: `another run of tenantctl works on this server: ${listNames(runs)}`,
    code: 'busy',
    hint: 'let it come to its end, then run the same command again',
  };
}
