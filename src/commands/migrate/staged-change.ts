import { TenantError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { type ChangePlan, type ChangeResult, changeTenant, type KnownHistory } from '../../migrations/change-tenant.ts';
import { type AppliedMigration, fakedRun } from '../../migrations/history.ts';
import { cutStages, type Stage } from '../../migrations/lane-rules.ts';
import type { Lane } from '../../migrations/lanes.ts';
import { RepeatableError } from '../../migrations/repeatable.ts';
import type { TakeOptions } from '../../migrations/take-tenant.ts';
import type { Engine } from '../../migrations/tenant-work.ts';
import type { Session } from '../../postgres/session.ts';
import { GoOn, type LeftBehind } from '../change-tenants.ts';
import type { MigrationJob, Replan } from './migration-job.ts';
import type { LanesOfPlan } from './plan-lanes.ts';

/** How far a tenant has come. */
interface Progress {
  stage: number;
  /** Where it stood when its first stage began; undefined before that. */
  from: string | null | undefined;
  /** Run and recorded, by the stages before. */
  names: readonly string[];
  /** The last attempt was lost in the middle of its COMMIT. */
  lost: RepeatableError | null;
}

/** A history that no tenant has: who expects it looks at the real one. */
const unknownHistory = { count: Number.NaN, hash: 'unknown' };

/**
 * Migrations of one job, tenant by tenant and stage by stage: where its work must keep apart from that of others in the
 * same database, a tenant gives its turn back in between.
 */
export class StagedChange {
  readonly #job: MigrationJob;
  readonly #engine: Engine;
  readonly #lanesOfPlan: LanesOfPlan;
  readonly #replan: Replan;
  readonly #allLanes: ReadonlySet<Lane>;
  /** Tenants with equal histories share plan and stages. */
  readonly #stages = new Map<ChangePlan, readonly Stage[]>();
  readonly #progress = new Map<Tenant, Progress>();

  constructor(job: MigrationJob, engine: Engine, lanesOfPlan: LanesOfPlan, replan: Replan) {
    this.#job = job;
    this.#engine = engine;
    this.#lanesOfPlan = lanesOfPlan;
    this.#replan = replan;
    const plans = new Set([...job.work.values()].map(({ plan }) => plan));
    const lanes = [...plans].flatMap((plan) => [...lanesOfPlan(plan).values()]);
    this.#allLanes = new Set(lanes.flatMap((some) => [...some]));
  }

  /** The lanes of a tenant's first turn. */
  lanesOf(tenant: Tenant): ReadonlySet<Lane> {
    return this.#stagesOf(this.#workOf(tenant).plan)[0]?.lanes ?? new Set();
  }

  /** What stays of a tenant's turns when there is no other one. */
  leftBehind(tenant: Tenant): LeftBehind {
    const { names, lost } = this.#progressOf(tenant);
    return { names, isCommitUnknown: lost !== null };
  }

  /** One turn: the stage that is next, on a session of its own. */
  async turn(session: Session, tenant: Tenant, take: TakeOptions): Promise<ChangeResult | GoOn> {
    const work = this.#workOf(tenant);
    const stages = this.#stagesOf(work.plan);
    const progress = this.#progressOf(tenant);
    const stage = stages[progress.stage];
    if (stage === undefined) throw new TenantError({ message: 'there is no stage left', code: 'internal' });
    const result = await this.#runStage(session, tenant, take, stage, progress);
    if (progress.from === undefined) progress.from = result.from;
    progress.names = together(progress.names, result.names);
    progress.stage += 1;
    progress.lost = null;
    const next = stages[progress.stage];
    if (next !== undefined) return new GoOn(next.lanes);
    this.#progress.delete(tenant);
    return { from: progress.from ?? null, to: result.to, ...this.#done(progress.names) };
  }

  async #runStage(
    session: Session,
    tenant: Tenant,
    take: TakeOptions,
    stage: Stage,
    progress: Progress,
  ): Promise<Pick<ChangeResult, 'from' | 'to'> & { readonly names: readonly string[] }> {
    const { survey, plan: planned } = this.#workOf(tenant);
    const isLast = progress.stage === this.#stagesOf(planned).length - 1;
    const plan = (applied: readonly AppliedMigration[]) => {
      if (progress.lost !== null) this.#settleLost(progress, progress.lost, planned, stage, applied, take.run);
      return upTo(stage, this.#replan(without(planned, progress.names), applied), isLast);
    };
    const isFirst = progress.stage === 0 && progress.lost === null && progress.from === undefined;
    const known: KnownHistory = isFirst ? survey : { ...survey, fingerprint: unknownHistory };
    try {
      const options = { ...take, engine: this.#engine, plan };
      const result = await changeTenant(session, tenant, known, upTo(stage, planned, isLast), options);
      return { from: result.from, to: result.to, names: result.applied ?? result.reverted ?? [] };
    } catch (error) {
      if (error instanceof RepeatableError && error.committing !== null) progress.lost = error;
      throw error;
    }
  }

  /** The history tells what became of a lost COMMIT: what it shows is done and stays, the rest goes on from there. */
  #settleLost(
    progress: Progress,
    lost: RepeatableError,
    planned: ChangePlan,
    stage: Stage,
    applied: readonly AppliedMigration[],
    run: string,
  ): void {
    const isUp = this.#engine.direction === 'up';
    // What another run has applied meanwhile is not ours.
    const isOurs = (each: AppliedMigration) => !isUp || each.run === run || each.run === fakedRun(run);
    const recorded = new Set(applied.filter(isOurs).map(({ name }) => name));
    const isDone = (name: string) => recorded.has(name) === isUp;
    if (!lost.mayRepeat && !lost.committing?.every(isDone)) throw lost.reason;
    progress.lost = null;
    const done = stage.migrations.map(({ name }) => name).filter(isDone);
    if (done.length === 0) return;
    progress.from ??= planned.from;
    progress.names = together(progress.names, done);
  }

  #done(names: readonly string[]): Pick<ChangeResult, 'applied' | 'reverted'> {
    return this.#engine.direction === 'up' ? { applied: names } : { reverted: names };
  }

  #progressOf(tenant: Tenant): Progress {
    let progress = this.#progress.get(tenant);
    if (progress === undefined) {
      progress = { stage: 0, from: undefined, names: [], lost: null };
      this.#progress.set(tenant, progress);
    }
    return progress;
  }

  #stagesOf(plan: ChangePlan): readonly Stage[] {
    let stages = this.#stages.get(plan);
    if (stages === undefined) {
      const lanes = this.#lanesOfPlan(plan);
      stages = cutStages(plan.migrations, (each) => lanes.get(each) ?? new Set(), this.#allLanes);
      this.#stages.set(plan, stages);
    }
    return stages;
  }

  #workOf(tenant: Tenant) {
    const work = this.#job.work.get(tenant);
    if (work === undefined) throw new TenantError({ message: 'nothing was planned for it', code: 'internal' });
    return work;
  }
}

/** What the stages before have done is not done again, whoever undid it. */
function without(plan: ChangePlan, names: readonly string[]): ChangePlan {
  return { ...plan, migrations: plan.migrations.filter(({ name }) => !names.includes(name)) };
}

/** Most tenants have one stage: all of them share the names of their plan. */
function together(before: readonly string[], names: readonly string[]): readonly string[] {
  return before.length === 0 ? names : [...before, ...names];
}

/** A plan up to the end of a stage, with all that comes before: somebody may have changed the tenant meanwhile. */
function upTo(stage: Stage, plan: ChangePlan, isLast: boolean): ChangePlan {
  if (isLast) return plan;
  const end = plan.migrations.findLastIndex((migration) => stage.migrations.includes(migration));
  return { ...plan, migrations: plan.migrations.slice(0, end + 1) };
}
