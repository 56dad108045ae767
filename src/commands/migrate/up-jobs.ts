import type { Context } from '../../context.ts';
import { cutWaves } from '../../fleet/cut-waves.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import { placeKey, type Tenant } from '../../fleet/tenant.ts';
import type { ChangeResult } from '../../migrations/change-tenant.ts';
import { decideUp } from '../../migrations/decide.ts';
import type { MigrationFolder } from '../../migrations/folder.ts';
import { readTarget } from '../../migrations/plan.ts';
import type { Engine } from '../../migrations/tenant-work.ts';
import type { Fleet } from '../open-fleet.ts';
import { type MigrationJob, type Pace, planJob, prepareEngine, runJob } from './migration-job.ts';
import type { MigrationOptions } from './migration-options.ts';
import { surveyShared, surveyTenants } from './survey-fleet.ts';

/** What a run up would do: on tenants, and before that on what their databases share. */
export interface UpJobs {
  readonly tenants: MigrationJob;
  readonly shared: readonly MigrationJob[];
}

/** Engines by job. */
export type Engines = ReadonlyMap<MigrationJob, Engine>;

/** Reads where everybody stands and decides what would run; refuses what must not. */
export async function planUpJobs(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: MigrationOptions,
): Promise<UpJobs> {
  const tenants = await planTenants(context, fleet, folder, fleet.tenants, options);
  // Faking is for tenants: what they share has a folder and a history of its own, and is left as it stands.
  const surveyedShared = options.fake ? [] : await surveyShared(context, fleet, options.sharedFiles);
  const everything = { to: null, count: null };
  const shared = surveyedShared.map((each) =>
    planJob(each, 'up', (standing) => decideUp(standing, each.folder, everything, options.checkOrder)),
  );
  return { tenants, shared };
}

/** The same for these tenants alone. */
export async function planTenants(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  tenants: readonly Tenant[],
  options: MigrationOptions,
): Promise<MigrationJob> {
  const target = readTarget(folder, options.to, options.count);
  const surveyed = await surveyTenants(context, fleet, folder, tenants);
  return planJob(surveyed, 'up', (standing) => decideUp(standing, folder, target, options.checkOrder));
}

/** Loaded before anything runs, so that an objection to a tenant's file is told before a shared schema has moved. */
export async function prepareEngines({ tenants, shared }: UpJobs, fake: boolean): Promise<Engines> {
  const jobs = [tenants, ...shared];
  return new Map(await Promise.all(jobs.map(async (job) => [job, await prepareEngine(job, fake)] as const)));
}

export interface UpOutcomes {
  readonly outcomes: readonly Outcome<ChangeResult>[];
  readonly sharedOutcomes: readonly Outcome<ChangeResult>[];
  /** Tenants that were to run were not begun: by a Ctrl-C, a policy, a health check. Not: who was held back before. */
  readonly wasStopped: boolean;
}

/** What all tenants of a database use comes first; where it fails, they are not started. */
export async function runUpJobs(
  context: Context,
  fleet: Fleet,
  { tenants, shared }: UpJobs,
  engines: Engines,
  options: MigrationOptions,
  paceOf: (tenants: readonly Tenant[]) => Pace,
): Promise<UpOutcomes> {
  const run = async (job: MigrationJob, pace: Pace) => {
    const engine = engines.get(job);
    return job.work.size === 0 || engine === undefined ? [] : runJob(context, fleet, job, engine, options, pace);
  };
  const sharedOutcomes: Outcome<ChangeResult>[] = [];
  for (const job of shared) {
    // The canary is one of the tenants.
    const pace = { waves: cutWaves([...job.work.keys()], 0, []) };
    sharedOutcomes.push(...job.settled, ...(await run(job, pace)));
  }
  const isHeldBack = heldBackBy(sharedOutcomes);
  const free = new Map([...tenants.work].filter(([tenant]) => !isHeldBack(tenant)));
  const settled = [
    ...fleet.rejected,
    ...tenants.settled.map((outcome) => (isHeldBack(outcome.tenant) ? holdBack(outcome.tenant) : outcome)),
    ...[...tenants.work.keys()].filter(isHeldBack).map(holdBack),
  ];
  for (const outcome of settled) context.emit({ type: 'settled', outcome });
  const engine = engines.get(tenants);
  const hasWork = free.size > 0 && engine !== undefined;
  const done = hasWork
    ? await runJob(context, fleet, { ...tenants, work: free }, engine, options, paceOf([...free.keys()]))
    : [];
  const wasStopped = context.interrupts.stop.aborted || done.some(({ status }) => status === 'skipped');
  return { outcomes: [...settled, ...done], sharedOutcomes, wasStopped };
}

/** Tenants in a database whose shared schema failed: also those that had nothing to do, or the run would look well. */
export function heldBackBy(sharedOutcomes: readonly Outcome[]): (tenant: Tenant) => boolean {
  const failed = sharedOutcomes.filter(({ status }) => status !== 'done').map(({ tenant }) => placeKey(tenant));
  const places = new Set(failed);
  return (tenant) => places.has(placeKey(tenant));
}

export function holdBack(tenant: Tenant): Outcome<never> {
  const because = `the shared schema of database ${tenant.database} could not be migrated`;
  return { tenant, status: 'skipped', reason: 'not-started', because, durationMs: 0 };
}
