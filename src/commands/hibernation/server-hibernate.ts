import type { RdsState } from '../../aws/rds-state.ts';
import { targetKey } from '../../aws/rds-state.ts';
import type { Context } from '../../context.ts';
import type { Failure } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { pauseServer } from '../../hibernation/rds/pause-server.ts';
import { whyNotPause, whyNotStop } from '../../hibernation/rds/refusals.ts';
import { noSuchServer } from '../../hibernation/rds/server-watch.ts';
import type { ServerWork } from '../../hibernation/rds/server-work.ts';
import { readSleep, sleepTags } from '../../hibernation/rds/sleep-tags.ts';
import { stopServer } from '../../hibernation/rds/stop-server.ts';
import type { Fleet } from '../open-fleet.ts';
import type { HibernateValue } from './hibernate-value.ts';
import { RdsClients } from './rds-clients.ts';
import { refuse, runServers, type ServerJob, serverJobs } from './server-jobs.ts';
import type { ServerOptions } from './server-options.ts';
import { reportServer, restartRemarks, type ServerReport } from './server-report.ts';
import { lookAround } from './server-users.ts';

export interface PlannedServerSleep {
  readonly tenant: Tenant;
  readonly how: 'stop' | 'pause';
}

/** `value` of a done outcome of `hibernate` by `stop` or `pause`. */
export interface ServerHibernateValue extends HibernateValue {
  readonly server: ServerReport;
}

interface SleepJob extends ServerJob {
  readonly how: 'stop' | 'pause';
  readonly state: RdsState;
}

/**
 * Puts whole servers at RDS to sleep with the tenants on them: one outcome for each tenant. What speaks against it is found
 * before anything is done to that server. A dry run ends there, with what would be done as remarks.
 */
export async function hibernateServers(
  context: Context,
  fleet: Fleet,
  planned: readonly PlannedServerSleep[],
  options: ServerOptions & { readonly dryRun: boolean },
): Promise<Outcome<ServerHibernateValue>[]> {
  if (planned.length === 0) return [];
  await using clients = new RdsClients({ profile: options.profile, env: context.env });
  const { sound, rejected } = await planJobs(context, fleet, planned, clients, options);
  if (options.dryRun) return [...rejected, ...sound.flatMap((job) => wouldSleep(job, options))];
  if (sound.some(({ how }) => how === 'pause')) context.emit({ type: 'notice', level: 'warning', ...staysAwake });
  const byKey = new Map(sound.map((job) => [job as ServerJob, job]));
  const done = await runServers<ServerHibernateValue>(context, fleet, {
    phase: 'putting servers to sleep',
    jobs: sound,
    options,
    work: async (job, work) => {
      // Our own connections would be cut, or keep a paused one awake.
      await Promise.all(job.servers.map((server) => fleet.pools.closeIdle(server)));
      return byKey.get(job)?.how === 'pause' ? pauseOne(work, options) : stopOne(work, options);
    },
  });
  return [...rejected, ...done];
}

const staysAwake = {
  message:
    'a paused cluster goes down only while nobody is connected: any tool that connects keeps it awake, tenantctl too',
  hint: 'leave it out of monitoring, of poolers that keep connections, and of nightly runs: --except',
};

interface PlannedJobs {
  readonly sound: readonly SleepJob[];
  readonly rejected: readonly Outcome<never>[];
}

async function planJobs(
  context: Context,
  fleet: Fleet,
  planned: readonly PlannedServerSleep[],
  clients: RdsClients,
  options: ServerOptions,
): Promise<PlannedJobs> {
  const how = new Map(planned.map((each) => [each.tenant, each.how]));
  const { jobs, rejected } = await serverJobs(fleet, [...how.keys()], clients);
  const states = await describeAll(jobs);
  const usersOf = lookAround(context, fleet, options);
  const judged = await Promise.all(
    jobs.map(
      async (job): Promise<{ readonly job: SleepJob } | { readonly job: ServerJob; readonly failure: Failure }> => {
        const state = states.get(job);
        if (state === undefined) return { job, failure: noSuchServer(job.target, job.api.region).failure };
        const ways = new Set(job.tenants.map((tenant) => how.get(tenant)));
        if (ways.size > 1) return { job, failure: twoWays(state) };
        const way = ways.has('pause') ? 'pause' : 'stop';
        const refused = way === 'pause' ? whyNotPause(state) : whyNotStop(state, options);
        const failure = refused ?? (await usersOf(job, state));
        return failure === null ? { job: { ...job, how: way, state } } : { job, failure };
      },
    ),
  );
  return {
    sound: judged.flatMap((each) => ('failure' in each ? [] : [each.job])),
    rejected: [
      ...rejected,
      ...judged.flatMap((each) => ('failure' in each ? each.job.tenants.map((it) => refuse(it, each.failure)) : [])),
    ],
  };
}

function twoWays({ kind, id }: RdsState): Failure {
  const hint = 'give one way for all its tenants: --how';
  return {
    message: `${kind} ${id} cannot be stopped for some of its tenants and paused for others`,
    code: 'refused',
    hint,
  };
}

/** Where these servers stand: one batched request a region. */
export async function describeAll(jobs: readonly ServerJob[]): Promise<ReadonlyMap<ServerJob, RdsState>> {
  const apis = [...new Set(jobs.map(({ api }) => api))];
  const found = await Promise.all(
    apis.map(async (api) => {
      const own = jobs.filter((job) => job.api === api);
      const states = await api.describe(own.map(({ target }) => target));
      return own.flatMap((job) => {
        const state = states.get(targetKey(job.target));
        return state === undefined ? [] : [[job, state] as const];
      });
    }),
  );
  return new Map(found.flat());
}

function wouldSleep({ how, state, tenants }: SleepJob, options: ServerOptions): Outcome<ServerHibernateValue>[] {
  const already = readSleep(state)?.state === 'hibernated';
  const { kind, id } = state;
  const snapshot = options.snapshot && how === 'stop' ? ', after a snapshot' : '';
  const remark = already
    ? `${kind} ${id} sleeps already`
    : how === 'stop'
      ? `${kind} ${id} would be stopped${snapshot}`
      : `${kind} ${id} may go down to no capacity, from now ${state.scaling?.min ?? 0} to ${state.scaling?.max ?? 0} ACU`;
  const value = { ...sleepValue(how, state, null, already), remarks: [remark] };
  return tenants.map((tenant) => ({ tenant, status: 'done', value, durationMs: 0 }));
}

async function stopOne(work: ServerWork, options: ServerOptions): Promise<ServerHibernateValue> {
  const { state, snapshot, already } = await stopServer(work, options);
  const value = sleepValue('stop', state, snapshot, already);
  return { ...value, remarks: [...(already ? ['it was stopped already'] : []), ...restartRemarks(value.server)] };
}

async function pauseOne(work: ServerWork, options: ServerOptions): Promise<ServerHibernateValue> {
  const { state, already } = await pauseServer(work, options);
  const { max, pauseAfterS } = state.scaling ?? { max: 0, pauseAfterS: null };
  const remark = `it goes down from ${max} ACU to nothing after ${pauseAfterS ?? 300} s without a connection`;
  return { ...sleepValue('pause', state, null, already), remarks: [remark] };
}

function sleepValue(
  how: 'stop' | 'pause',
  state: RdsState,
  snapshot: string | null,
  already: boolean,
): ServerHibernateValue {
  const server = reportServer(state, snapshot ?? state.tags.get(sleepTags.snapshot) ?? null);
  const nothing = { backup: null, sizeBeforeBytes: null, sizeAfterBytes: null, phases: null };
  return { how, already, ...nothing, remarks: [], server };
}
