import type { RdsApi } from '../../aws/rds-api.ts';
import { type RdsTarget, targetKey } from '../../aws/rds-state.ts';
import type { Context } from '../../context.ts';
import type { Failure } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Place } from '../../fleet/place.ts';
import { runFleet } from '../../fleet/run.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { targetOf } from '../../hibernation/rds/server-states.ts';
import { ServerWatch } from '../../hibernation/rds/server-watch.ts';
import type { ServerWork } from '../../hibernation/rds/server-work.ts';
import type { Fleet } from '../open-fleet.ts';
import { errorReader, goOn } from '../read-fleet.ts';
import type { RdsClients } from './rds-clients.ts';
import type { ServerOptions } from './server-options.ts';

/** One instance or cluster, whatever the inventory calls it, and the tenants in question that live there. */
export interface ServerJob {
  readonly api: RdsApi;
  readonly target: RdsTarget;
  /** Keys of `servers` that stand for it. */
  readonly servers: readonly string[];
  /** None: only discovery knows them, and cannot look while it sleeps. */
  readonly tenants: readonly Tenant[];
}

export interface ServerJobs {
  readonly jobs: readonly ServerJob[];
  /** Tenants on servers that are not at RDS. */
  readonly rejected: readonly Outcome<never>[];
}

/** Puts together what AWS starts and stops as one. `unseen`: servers to be worked on whoever lives there. */
export async function serverJobs(
  { inventory }: Pick<Fleet, 'inventory'>,
  tenants: readonly Tenant[],
  clients: RdsClients,
  unseen: readonly string[] = [],
): Promise<ServerJobs> {
  const jobs = new Map<string, { api: RdsApi; target: RdsTarget; servers: string[]; tenants: Tenant[] }>();
  const rejected: Outcome<never>[] = [];
  const jobOf = async (id: string) => {
    const server = inventory.servers.get(id);
    const target = server === undefined ? null : targetOf(server);
    if (server === undefined || target === null) return null;
    const api = await clients.of(server);
    const key = `${api.region} ${targetKey(target)}`;
    const job = jobs.get(key) ?? { api, target, servers: [], tenants: [] };
    jobs.set(key, job);
    if (!job.servers.includes(id)) job.servers.push(id);
    return job;
  };
  for (const id of unseen) await jobOf(id);
  for (const tenant of tenants) {
    const job = await jobOf(tenant.server);
    if (job === null) rejected.push(refuse(tenant, notAtRds(tenant)));
    else job.tenants.push(tenant);
  }
  return { jobs: [...jobs.values()], rejected };
}

function notAtRds({ server }: Tenant): Failure {
  return {
    message: `server ${server} is not at RDS, as far as the inventory says: it cannot be stopped or paused`,
    code: 'refused',
    hint: `set servers.${server}.rds: { instance: … } or { cluster: … }, or use --how archive`,
  };
}

/** An outcome of a tenant that nothing was done to. */
export function refuse(tenant: Tenant, error: Failure): Outcome<never> {
  return { tenant, status: 'failed', step: 'plan', error, durationMs: 0 };
}

export interface ServersRun<V> {
  /** For progress: `stopping`. */
  readonly phase: string;
  readonly jobs: readonly ServerJob[];
  readonly options: ServerOptions;
  /** What all tenants of the job get as their value. */
  readonly work: (job: ServerJob, work: ServerWork) => Promise<V>;
}

/**
 * Works on servers, all at once: AWS does the work. One outcome for each tenant. What fails on a server without known tenants is
 * thrown when all the others are done.
 */
export async function runServers<V>(context: Context, fleet: Fleet, run: ServersRun<V>): Promise<Outcome<V>[]> {
  const { interrupts } = context;
  const { waitMs, pollMs } = run.options;
  const signal = AbortSignal.any([interrupts.cancel, interrupts.abandon]);
  const watches = new Map<RdsApi, ServerWatch>();
  const workOf = ({ api, target }: ServerJob, onStep: ServerWork['onStep']): ServerWork => {
    const watch = watches.get(api) ?? new ServerWatch(api, { pollMs, signal });
    watches.set(api, watch);
    const deadline = performance.now() + waitMs;
    return { api, watch, target, run: fleet.run, now: context.now, deadline, onStep };
  };
  const seen = run.jobs.filter(({ tenants }) => tenants.length > 0);
  const bare = run.jobs.filter(({ tenants }) => tenants.length === 0);
  const [outcomes, alone] = await Promise.all([
    seen.length === 0 ? [] : runSeen(context, fleet, { ...run, jobs: seen }, workOf),
    Promise.allSettled(
      bare.map((job) =>
        run.work(
          job,
          workOf(job, () => {}),
        ),
      ),
    ),
  ]);
  for (const each of alone) if (each.status === 'rejected') throw each.reason;
  return outcomes;
}

async function runSeen<V>(
  context: Context,
  fleet: Fleet,
  run: ServersRun<V>,
  workOf: (job: ServerJob, onStep: ServerWork['onStep']) => ServerWork,
): Promise<Outcome<V>[]> {
  const places = run.jobs.map(
    (job): Place<unknown, V> => ({
      server: job.servers[0] ?? '',
      database: targetKey(job.target),
      tenants: job.tenants,
      batches: () => [{ tenants: job.tenants }],
      work: async (_scope, { tenants }, task) => {
        const onStep = (step: string) => {
          for (const tenant of tenants) task.step(tenant, step);
        };
        try {
          const value = await run.work(job, workOf(job, onStep));
          for (const tenant of tenants) task.done(tenant, value);
        } catch (error) {
          if (task.signal.aborted) throw error;
          // It is the same for all of them: nobody is tried alone.
          for (const tenant of tenants) task.failed(tenant, error);
        }
      },
    }),
  );
  return runFleet<V>({
    phase: run.phase,
    tenants: run.jobs.flatMap(({ tenants }) => tenants),
    places,
    limits: { ...fleet.limits, fleet: { ...fleet.limits.fleet, concurrency: places.length } },
    policy: goOn,
    timeoutMs: null,
    errors: errorReader,
    interrupts: context.interrupts,
    emit: context.emit,
  });
}
