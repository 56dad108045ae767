import type { RdsState } from '../../aws/rds-state.ts';
import type { Context } from '../../context.ts';
import { TenantError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { resumeServer } from '../../hibernation/rds/pause-server.ts';
import type { ServerWork } from '../../hibernation/rds/server-work.ts';
import { readSleep } from '../../hibernation/rds/sleep-tags.ts';
import { forgetSleep, startServer } from '../../hibernation/rds/start-server.ts';
import { toFailure } from '../../postgres/failure.ts';
import { sql } from '../../postgres/sql.ts';
import { isLostConnection, isTooManyConnections } from '../../postgres/sqlstates.ts';
import type { Fleet } from '../open-fleet.ts';
import { RdsClients } from './rds-clients.ts';
import { describeAll } from './server-hibernate.ts';
import { refuse, runServers, type ServerJob, serverJobs } from './server-jobs.ts';
import type { ServerOptions } from './server-options.ts';
import { reportServer, type ServerReport } from './server-report.ts';
import type { WakeValue } from './wake-value.ts';

/** `value` of a done outcome of `wake` of a tenant whose server slept. Migrations and health come after. */
export interface ServerWakeValue extends WakeValue {
  readonly server: ServerReport;
}

/** Servers that sleep and whose tenants only discovery knows, which cannot look while they do. */
export function unseenServers({ sources }: Pick<Fleet, 'sources'>): readonly string[] {
  return [...new Set(sources.filter((source) => source.hibernated === true).map(({ server }) => server))];
}

/**
 * Wakes whole servers at RDS, and waits until they answer a query: one outcome for each of the tenants. `unseen`:
 * further servers, whoever lives there; what goes wrong with one of these is thrown. The tenants of a woken server can be
 * worked on as all others; a dry run only says what would be woken.
 */
export async function wakeServers(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  options: ServerOptions & { readonly dryRun: boolean },
  unseen: readonly string[] = [],
): Promise<Outcome<ServerWakeValue>[]> {
  if (tenants.length + unseen.length === 0) return [];
  await using clients = new RdsClients({ profile: options.profile, env: context.env });
  const { jobs, rejected } = await serverJobs(fleet, tenants, clients, unseen);
  if (options.dryRun) return [...rejected, ...(await wouldWake(jobs))];
  const done = await runServers<ServerWakeValue>(context, fleet, {
    phase: 'waking servers',
    jobs,
    options,
    work: (job, work) => wakeOne(context, fleet, { job, work, options }),
  });
  return [...rejected, ...done];
}

interface OneWake {
  readonly job: ServerJob;
  readonly work: ServerWork;
  readonly options: ServerOptions;
}

async function wakeOne(context: Context, fleet: Fleet, { job, work, options }: OneWake): Promise<ServerWakeValue> {
  const beganAt = performance.now();
  const before = await work.watch.now(work.target);
  const isPause = readSleep(before)?.how === 'pause';
  const state = isPause ? await resumeServer(work) : await startServer(work);
  work.onStep('waiting for its first answer');
  await untilAnswers(context, fleet, job, work, options);
  await work.watch.now(work.target).then((now) => forgetSleep(work, now));
  if (job.tenants.length === 0) context.emit({ type: 'notice', level: 'info', ...nowVisible(job) });
  const value = wakeValue(before, state, performance.now() - beganAt);
  const rtoMs = fleet.inventory.backups.rtoMs ?? null;
  return { ...value, rtoMs, withinRto: rtoMs === null ? null : (value.durationMs ?? 0) <= rtoMs };
}

/** Who lives there could not be known, so nothing was done for them. */
function nowVisible({ servers, target }: ServerJob) {
  return {
    message: `${target.kind} ${target.id} is awake: its tenants can be found now`,
    hint: `what they have missed: tenantctl migrate up --server ${servers.join(' ')}`,
  };
}

/** Its name gets a new address when it starts, and what is down or just up refuses: each attempt looks anew. */
async function untilAnswers(
  context: Context,
  fleet: Fleet,
  { servers, tenants }: ServerJob,
  { deadline, watch }: ServerWork,
  { pollMs }: ServerOptions,
): Promise<void> {
  const server = tenants[0]?.server ?? servers[0] ?? '';
  const database = tenants[0]?.database ?? fleet.servers.homeDatabase(server);
  for (;;) {
    try {
      await fleet.pools.use(server, database, (session) => session.query(sql`SELECT 1`));
      return;
    } catch (error) {
      // A password, a rule, a missing database: waiting does not help.
      if (!mayPass(error) || context.interrupts.cancel.aborted) throw error;
      if (performance.now() >= deadline) throw noAnswer(server, error);
    }
    await watch.pause(Math.min(pollMs, 2000));
  }
}

/** Of a server that is starting: it does not answer yet, or its name is not known yet. */
function mayPass(error: unknown): boolean {
  const cause = error instanceof TenantError && error.cause !== undefined ? error.cause : error;
  return isLostConnection(cause) || isTooManyConnections(cause);
}

function noAnswer(server: string, error: unknown): TenantError {
  const { message } = toFailure(error);
  const hint = 'AWS says that it is up: look at its security groups and its name, then run wake again';
  return new TenantError({
    message: `server ${server} was started, but does not answer: ${message}`,
    code: 'no-answer',
    hint,
  });
}

async function wouldWake(jobs: readonly ServerJob[]): Promise<Outcome<ServerWakeValue>[]> {
  const states = await describeAll(jobs);
  return jobs.flatMap((job) => {
    const state = states.get(job);
    return job.tenants.map((tenant): Outcome<ServerWakeValue> => {
      if (state === undefined) return refuse(tenant, missing(job));
      const { kind, id, status } = state;
      const value = { ...wakeValue(state, state, null), remarks: [`${kind} ${id} is ${status}, and would be woken`] };
      return { tenant, status: 'done', value, durationMs: 0 };
    });
  });
}

function missing({ target: { kind, id }, api }: ServerJob) {
  return { message: `there is no ${kind} ${id} in ${api.region}`, code: 'aws', hint: 'look at `rds` in the inventory' };
}

function wakeValue(before: RdsState, state: RdsState, durationMs: number | null): ServerWakeValue {
  const sleep = readSleep(before);
  return {
    how: sleep?.how ?? 'stop',
    asleepSince: sleep?.since.toISOString() ?? null,
    durationMs: durationMs === null ? null : Math.round(durationMs),
    ...{ rtoMs: null, withinRto: null, migrations: [], compared: null, remarks: [] },
    server: reportServer(state, null),
  };
}
