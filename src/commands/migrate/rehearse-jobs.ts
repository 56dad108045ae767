import type { Context } from '../../context.ts';
import { TenantError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import { placeKey, type Tenant } from '../../fleet/tenant.ts';
import type { AppliedMigration } from '../../migrations/history.ts';
import { type RehearsalResult, rehearseTenant } from '../../migrations/rehearsal.ts';
import type { Engine } from '../../migrations/tenant-work.ts';
import type { ChangeSettings } from '../change-settings.ts';
import { changeTenants } from '../change-tenants.ts';
import type { Fleet } from '../open-fleet.ts';
import { type MigrationJob, makeReplan, prepareEngine } from './migration-job.ts';
import { readLanes } from './plan-lanes.ts';
import { heldBackBy, holdBack, type UpJobs } from './up-jobs.ts';

/** One folder's migrations, and what running them needs. */
interface Part {
  readonly job: MigrationJob;
  readonly engine: Engine;
}

export interface RehearsalParts {
  readonly tenants: Part;
  readonly shared: readonly Part[];
}

/** Loads what running needs, and refuses (exit 5) what a run would refuse. */
export async function prepareRehearsal({ tenants, shared }: UpJobs): Promise<RehearsalParts> {
  const toPart = async (job: MigrationJob): Promise<Part> => ({ job, engine: await prepareEngine(job, false) });
  return { tenants: await toPart(tenants), shared: await Promise.all(shared.map(toPart)) };
}

/** The same for these tenants alone, and for what their databases share. */
export function forTenants({ tenants, shared }: RehearsalParts, some: readonly Tenant[]): RehearsalParts {
  const chosen = new Set(some);
  const places = new Set(some.map(placeKey));
  return {
    tenants: keepWork(tenants, (tenant) => chosen.has(tenant)),
    shared: shared.map((part) => keepWork(part, (each) => places.has(placeKey(each)))),
  };
}

function keepWork({ job, engine }: Part, isWanted: (tenant: Tenant) => boolean): Part {
  return { job: { ...job, work: new Map([...job.work].filter(([tenant]) => isWanted(tenant))) }, engine };
}

export interface RehearsalOutcomes {
  /** Of the tenants that were to be rehearsed, and of those that nothing can be run on. */
  readonly outcomes: readonly Outcome<RehearsalResult>[];
  readonly shared: readonly Outcome<RehearsalResult>[];
}

/** What databases share comes first, as in a run; what it makes is gone again when the tenants' turn comes. */
export async function rehearseParts(
  context: Context,
  fleet: Fleet,
  { tenants, shared }: RehearsalParts,
  settings: ChangeSettings,
): Promise<RehearsalOutcomes> {
  const sharedOutcomes: Outcome<RehearsalResult>[] = [];
  for (const part of shared)
    sharedOutcomes.push(...unfit(part), ...(await rehearsePart(context, fleet, part, settings)));
  const isHeldBack = heldBackBy(sharedOutcomes);
  const heldBack = [...tenants.job.work.keys()].filter(isHeldBack).map(holdBack);
  const settled = [...fleet.rejected, ...unfit(tenants), ...heldBack];
  for (const outcome of settled) context.emit({ type: 'settled', outcome });
  const free = keepWork(tenants, (tenant) => !isHeldBack(tenant));
  return { outcomes: [...settled, ...(await rehearsePart(context, fleet, free, settings))], shared: sharedOutcomes };
}

/** Those that could not be read, or must not be migrated as they stand. */
function unfit({ job }: Part): Outcome<never>[] {
  return job.settled.flatMap((outcome) => (outcome.status === 'done' ? [] : [outcome]));
}

async function rehearsePart(
  context: Context,
  fleet: Fleet,
  { job, engine }: Part,
  settings: ChangeSettings,
): Promise<Outcome<RehearsalResult>[]> {
  if (job.work.size === 0) return [];
  const lanesOfPlan = await readLanes(fleet, job, engine);
  const run = {
    phase: 'rehearsing',
    tenants: [...job.work.keys()],
    // All in one turn: what keeps others out does so for the whole of it.
    lanes: (tenant: Tenant) => {
      const plan = job.work.get(tenant)?.plan;
      return new Set(plan === undefined ? [] : [...lanesOfPlan(plan).values()].flatMap((lanes) => [...lanes]));
    },
    change: rehearser(job, engine),
  };
  return changeTenants(context, fleet, run, { ...settings, canary: null });
}

type RehearseOne = Parameters<typeof changeTenants<RehearsalResult>>[2]['change'];

function rehearser(job: MigrationJob, engine: Engine): RehearseOne {
  const replan = makeReplan(job, null);
  return async (session, tenant, take) => {
    const work = job.work.get(tenant);
    if (work === undefined) throw new TenantError({ message: 'nothing was planned for it', code: 'internal' });
    const { survey, plan: planned } = work;
    const plan = (applied: readonly AppliedMigration[]) => replan(planned, applied);
    return rehearseTenant(session, tenant, survey, planned, { ...take, engine, plan });
  };
}
