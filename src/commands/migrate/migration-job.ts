import type { Context } from '../../context.ts';
import { TenantError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { ChangePlan, ChangeResult } from '../../migrations/change-tenant.ts';
import { type Audience, type Decision, keepToPlan, refuseEdited, refuseObjections } from '../../migrations/decide.ts';
import type { Migration, MigrationFolder } from '../../migrations/folder.ts';
import type { AppliedMigration } from '../../migrations/history.ts';
import { Inspector } from '../../migrations/inspection.ts';
import { loadJavaScript } from '../../migrations/javascript.ts';
import { compareToFolder, type Standing, upToPlanned } from '../../migrations/plan.ts';
import { loadParser } from '../../migrations/statements.ts';
import type { Survey } from '../../migrations/survey.ts';
import type { Engine } from '../../migrations/tenant-work.ts';
import { type ChangeRun, changeTenants } from '../change-tenants.ts';
import type { Fleet } from '../open-fleet.ts';
import type { MigrationOptions } from './migration-options.ts';
import { readLanes } from './plan-lanes.ts';
import { StagedChange } from './staged-change.ts';
import type { Surveyed } from './survey-fleet.ts';

/**
 * What is to be done with a tenant that stands so. `planned`: what was decided before its lock was held, when its history
 * is another one now; null: it is looked at for the first time.
 */
export type Decide = (standing: Standing, planned: ChangePlan | null) => Decision;

/** One folder's migrations on the tenants that it is for: what was decided, before anything is done. */
export interface MigrationJob {
  readonly folder: MigrationFolder;
  readonly direction: 'up' | 'down';
  /** Not tenants, but what their databases share. */
  readonly isShared: boolean;
  readonly decide: Decide;
  /** Tenants with something to run, and what was read of them. */
  readonly work: ReadonlyMap<Tenant, { readonly survey: Survey; readonly plan: ChangePlan }>;
  /** Tenants that are where they should be, and what was read of them. */
  readonly idle: ReadonlyMap<Tenant, Survey>;
  /** Outcomes that stand already: nothing to run, not readable, not to be run. */
  readonly settled: readonly Outcome<ChangeResult>[];
  /** How many tenants there are of each standing. */
  readonly standings: ReadonlyMap<Standing, number>;
}

/** Decides for each tenant what is to be run on it; refuses (exit 5) when an applied file was edited. */
export function planJob(
  { folder, outcomes, isShared }: Surveyed,
  direction: 'up' | 'down',
  decide: Decide,
): MigrationJob {
  const standings = new Map<Standing, number>();
  for (const outcome of outcomes) {
    if (outcome.status !== 'done') continue;
    const { standing } = outcome.value;
    standings.set(standing, (standings.get(standing) ?? 0) + 1);
  }
  refuseEdited(standings);
  const decisions = new Map(
    [...standings.keys()].map((standing) => [standing, settle(decide(standing, null), direction)]),
  );
  const work = new Map<Tenant, { survey: Survey; plan: ChangePlan }>();
  const idle = new Map<Tenant, Survey>();
  const settled: Outcome<ChangeResult>[] = [];
  for (const outcome of outcomes) {
    if (outcome.status !== 'done') {
      settled.push(outcome);
      continue;
    }
    const { tenant, durationMs, value: survey } = outcome;
    const decision = decisions.get(survey.standing);
    if (decision === undefined) continue;
    if ('plan' in decision) work.set(tenant, { survey, plan: decision.plan });
    else if ('failure' in decision) {
      settled.push({ tenant, status: 'failed', step: 'plan', error: decision.failure, durationMs });
    } else {
      idle.set(tenant, survey);
      settled.push({ tenant, status: 'done', value: decision.nothingToDo, durationMs });
    }
  }
  return { folder, direction, isShared, decide, work, idle, settled, standings };
}

/** A plan without migrations is an outcome: the tenant is where it should be. Shared by all that stand so. */
function settle(decision: Decision, direction: 'up' | 'down'): Decision | { readonly nothingToDo: ChangeResult } {
  if ('failure' in decision || decision.plan.migrations.length > 0) return decision;
  const { from, to } = decision.plan;
  return { nothingToDo: { from, to, ...(direction === 'up' ? { applied: [] } : { reverted: [] }) } };
}

/** Loads what running needs and refuses (exit 5) what must not be run as it stands. */
export async function prepareEngine(job: MigrationJob, fake: boolean): Promise<Engine> {
  const migrations = plannedMigrations(job);
  const usesJavaScript = [...migrations].some(({ kind }) => kind === 'js');
  const inspector = new Inspector(migrations.size > 0 ? await loadParser() : () => null);
  if (!fake) refuseObjections(migrations, job.direction, inspector, job.isShared ? 'shared' : audienceOf(job));
  const build = usesJavaScript && !fake ? await loadJavaScript(job.folder) : noJavaScript;
  return { direction: job.direction, fake, inspector, build };
}

function audienceOf({ work }: MigrationJob): Audience {
  return [...work.keys()].some(({ schema }) => schema !== null) ? 'schemas' : 'databases';
}

/** All that runs on at least one tenant. */
function plannedMigrations(job: MigrationJob): ReadonlySet<Migration> {
  return new Set([...job.work.values()].flatMap(({ plan }) => plan.migrations));
}

const noJavaScript = (): never => {
  throw new TenantError({ message: 'a migration in JavaScript was not loaded', code: 'internal' });
};

/** How a job goes through the fleet; the canary and then all others at once, when nothing is said. */
export interface Pace extends Pick<ChangeRun<ChangeResult>, 'waves' | 'afterWave'> {
  /** Whatever a tenant lacks under its lock, it gets no more than was planned for it. */
  readonly isExact?: boolean;
}

/** The plan for a tenant whose history is another one under its lock than the one that was planned for. */
export type Replan = (planned: ChangePlan, applied: readonly AppliedMigration[]) => ChangePlan;

/** `mayRun`: all that may run on a tenant which lacks more than it did; null: nothing beyond its own plan. */
export function makeReplan(job: MigrationJob, mayRun: ReadonlySet<Migration> | null): Replan {
  return (planned, applied) => {
    const standing = compareToFolder(applied, job.folder);
    const decision = job.decide(mayRun === null ? upToPlanned(standing, planned.migrations) : standing, planned);
    if ('failure' in decision) throw new TenantError(decision.failure);
    return keepToPlan(planned, decision.plan, applied, job.direction, mayRun ?? new Set(planned.migrations));
  };
}

/** Runs a job over the fleet: one outcome for each tenant that had something to run. */
export async function runJob(
  context: Context,
  fleet: Fleet,
  job: MigrationJob,
  engine: Engine,
  options: MigrationOptions,
  { isExact = false, ...pace }: Pace = {},
): Promise<Outcome<ChangeResult>[]> {
  // Who asked for everything gets everything that was looked through; who counted gets what was counted.
  const isOpen = job.direction === 'up' && options.count === null && options.files === null && !isExact;
  const replan = makeReplan(job, isOpen ? plannedMigrations(job) : null);
  const change = new StagedChange(job, engine, await readLanes(fleet, job, engine), replan);
  const run: ChangeRun<ChangeResult> = {
    phase: job.direction === 'up' ? 'migrating' : 'taking back',
    tenants: [...job.work.keys()],
    lanes: (tenant) => change.lanesOf(tenant),
    change: (session, tenant, take) => change.turn(session, tenant, take),
    leftBehind: (tenant) => change.leftBehind(tenant),
    ...pace,
  };
  return changeTenants(context, fleet, run, options);
}
