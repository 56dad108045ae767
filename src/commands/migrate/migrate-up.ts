import type { Context } from '../../context.ts';
import type { Rollout } from '../../fleet/inventory/rollout.ts';
import { isHibernated, type Outcome } from '../../fleet/outcome.ts';
import type { ChangeResult } from '../../migrations/change-tenant.ts';
import type { MigrationFolder } from '../../migrations/folder.ts';
import { readTarget } from '../../migrations/plan.ts';
import type { Result } from '../../output/result.ts';
import type { Command, RawOptions } from '../command.ts';
import { changeFlags, dryRunFlag, limitFlags, rolloutFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes } from '../open-fleet.ts';
import { readText, readTexts } from '../read-options.ts';
import { type JoinRun, recordRun } from '../record-run.ts';
import { recordedPlan } from '../runs/runs-plan.ts';
import { checkPlan, folderOfPlan } from './check-plan.ts';
import { describePlan } from './describe-plan.ts';
import { refuseHealthSql } from './health.ts';
import { type MigrationOptions, readMigrationOptions, retryFlags, upTargetFlags } from './migration-options.ts';
import { changeView, describeChange } from './migration-view.ts';
import { type PlanFile, readPlanFile } from './plan-file.ts';
import { reviewPlan } from './plan-review.ts';
import { fleetOfPlan, optionsOfPlan, refuseBesidePlan } from './plan-run.ts';
import { runPreflight } from './preflight.ts';
import { withReview } from './review-report.ts';
import { afterWave, askHealth, cutRollout, readRolloutFlags } from './rollout.ts';
import { sharedEntries, withMigrations } from './survey-fleet.ts';
import { type Sweep, sweepBorn } from './sweep.ts';
import { type Engines, planUpJobs, prepareEngines, runUpJobs, type UpJobs, type UpOutcomes } from './up-jobs.ts';

/** What `migrate up` takes beside what every change takes. */
export interface UpOptions extends MigrationOptions {
  /** What the flags say; the inventory says the rest. */
  readonly rollout: Partial<Rollout>;
  readonly sweep: boolean;
  readonly preflightSql: readonly string[];
  /** Of a plan that was reviewed, as it was typed; null: none. */
  readonly plan: string | null;
}

/** `tenantctl migrate`: brings tenants to the newest migration, or to the one that `--to` names. */
export const migrateUp: Command<UpOptions, ChangeResult> = {
  name: 'migrate up',
  summary: 'run pending migrations, each tenant in one transaction',
  examples: [
    ['tenantctl migrate --all', 'bring every tenant to the newest migration'],
    ['tenantctl migrate --all --dry-run', 'show what would run, write nothing'],
    ['tenantctl migrate -l tier=free --canary 3', 'three tenants first; the others only if those succeed'],
    ['tenantctl migrate --all --canary 1 --waves 10%,50%,100% --soak 5min', 'gradually, with time to look in between'],
    ['tenantctl migrate --plan plan.json', 'run what was reviewed (migrate plan --out), or refuse'],
    ['tenantctl migrate --from-run k3f9 --outcome failed', 'once more those that failed in a run'],
  ],
  flags: [
    ...selectionFlags,
    ...upTargetFlags,
    {
      flags: '--plan <file>',
      description: 'exactly what `migrate plan --out <file>` wrote, on its tenants; refuses when anything has changed',
      fromEnvironment: false,
      group: 'Which migrations:',
    },
    dryRunFlag,
    {
      flags: '--preflight-sql <sql...>',
      description: 'run on every tenant before the first one moves; a row that comes back stops the run',
      fromEnvironment: false,
      group: 'Which migrations:',
    },
    {
      flags: '--no-sweep',
      description: 'do not look at the end for tenants that were born during the run',
      fromEnvironment: false,
      group: 'Which tenants:',
    },
    ...rolloutFlags,
    ...limitFlags,
    ...changeFlags,
  ],
  view: changeView,
  options: (raw: RawOptions) => {
    const plan = readText(raw, 'plan');
    const options = {
      ...readMigrationOptions(raw),
      rollout: readRolloutFlags(raw),
      sweep: raw.sweep !== false,
      preflightSql: readTexts(raw, 'preflightSql'),
      plan,
    };
    if (plan !== null) refuseBesidePlan(options);
    return options;
  },
  run: async (context, typed) => {
    const plan = typed.plan === null ? null : await readPlanFile(typed.plan, context.cwd);
    const options = plan === null ? typed : { ...typed, ...optionsOfPlan(plan, typed) };
    const mode = options.dryRun ? 'read' : 'change';
    return withMigrations(context, { ...options, mode, writesNothing: options.dryRun }, (fleet, folder) => {
      if (plan === null) return migrate(context, fleet, folder, options, null);
      return migrate(context, fleetOfPlan(context, fleet, plan), folderOfPlan(plan, folder), options, plan);
    });
  },
  retryFlags,
  canRetry: true,
};

async function migrate(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: UpOptions,
  plan: PlanFile | null,
): Promise<Result<ChangeResult>> {
  const jobs = await planUpJobs(context, fleet, folder, options);
  if (plan !== null) checkPlan(plan, jobs);
  const rollout = { ...fleet.inventory.rollout, ...options.rollout };
  const engines = await prepareEngines(jobs, options.fake);
  await refuseHealthSql({ sql: rollout.healthSql, command: rollout.healthCommand });
  if (!options.fake) await runPreflight(context, fleet, [jobs.tenants, ...jobs.shared], options.preflightSql);
  if (options.dryRun) {
    const described = describePlan(fleet, jobs);
    return options.fake ? described : withReview(described, jobs, await reviewPlan(context, fleet, jobs, engines));
  }

  const run = new UpRun(fleet, folder, jobs, engines, options, rollout);
  const isRecorded = hasSomethingToTell(fleet, jobs);
  const done = isRecorded
    ? await recordRun(context, fleet, 'migrate', manifestOptions(options, jobs), (it, join) => run.perform(it, join))
    : await run.perform(context, async () => {});
  return toResult(fleet, jobs, done, isRecorded ? fleet.run : null);
}

/** A run that finds everybody up to date leaves no record. */
function hasSomethingToTell(fleet: Fleet, { tenants, shared }: UpJobs): boolean {
  const hasWork = [tenants, ...shared].some((job) => job.work.size > 0);
  // Those that sleep are left alone by every run: no news.
  const told = [...fleet.rejected.filter((outcome) => !isHibernated(outcome)), ...tenants.settled];
  return hasWork || told.some(({ status }) => status !== 'done');
}

interface UpDone extends UpOutcomes {
  readonly born: Sweep;
  /** Why the health check after the last wave is no good news; null: it is well, or was not asked for. */
  readonly complaint: string | null;
}

const nobodyBorn: Sweep = { selected: [], outcomes: [], sources: [] };

/** One run: shared schemas, tenants in waves, those born meanwhile, a last look at how all are. */
class UpRun {
  readonly #fleet: Fleet;
  readonly #folder: MigrationFolder;
  readonly #jobs: UpJobs;
  readonly #engines: Engines;
  readonly #options: UpOptions;
  readonly #rollout: Rollout;

  constructor(
    fleet: Fleet,
    folder: MigrationFolder,
    jobs: UpJobs,
    engines: Engines,
    options: UpOptions,
    rollout: Rollout,
  ) {
    this.#fleet = fleet;
    this.#folder = folder;
    this.#jobs = jobs;
    this.#engines = engines;
    this.#options = { ...options, maxFailures: rollout.maxFailures };
    this.#rollout = rollout;
  }

  async perform(context: Context, join: JoinRun): Promise<UpDone> {
    const [fleet, rollout] = [this.#fleet, this.#rollout];
    let count = 1;
    const { outcomes, sharedOutcomes, wasStopped } = await runUpJobs(
      context,
      fleet,
      this.#jobs,
      this.#engines,
      this.#options,
      (tenants) => {
        const waves = cutRollout(tenants, rollout);
        count = waves.length;
        const isExact = this.#options.plan !== null;
        return { waves, afterWave: afterWave(context, fleet, rollout), isExact };
      },
    );
    const hasRun = this.#jobs.tenants.work.size > 0;
    const mayGoOn = hasRun && !wasStopped;
    if (hasRun && wasStopped) this.#tellLeftOut(context);
    const born =
      mayGoOn && this.#options.sweep
        ? await sweepBorn(context, join, fleet, this.#folder, sharedOutcomes, this.#options)
        : nobodyBorn;
    const moved = [...outcomes, ...born.outcomes].filter(({ status, tenant }) => {
      return status === 'done' && this.#jobs.tenants.work.has(tenant);
    });
    const done = moved.map(({ tenant }) => tenant);
    const isAsked = mayGoOn && !context.interrupts.stop.aborted;
    const complaint = isAsked
      ? await askHealth(context, fleet, rollout, { name: '', number: count, count, done })
      : null;
    return { outcomes, sharedOutcomes, wasStopped, born, complaint };
  }

  /** Whoever reads the report of a stopped run must not take it for more than it is. */
  #tellLeftOut(context: Context): void {
    const { healthSql, healthCommand } = this.#rollout;
    const left = [
      ...(this.#options.sweep ? ['nobody looked for tenants that were born during it'] : []),
      ...(healthSql === null && healthCommand === null ? [] : ['no last health check was made']),
    ];
    if (left.length === 0) return;
    context.emit({ type: 'notice', level: 'info', message: `the run was stopped: ${left.join(', and ')}` });
  }
}

function toResult(fleet: Fleet, jobs: UpJobs, done: UpDone, run: string | null): Result<ChangeResult> {
  const { outcomes, sharedOutcomes, born, complaint } = done;
  const { environment } = fleet.inventory;
  const all = [...outcomes, ...born.outcomes];
  const complaints = complaint === null ? [] : [complaint];
  return {
    outcomes: mergeOutcomes<ChangeResult>([...fleet.selected, ...born.selected], all),
    run,
    environment,
    sources: [...fleet.sources, ...born.sources],
    text: [...describeChange(environment, isMoved(jobs, born), all, sharedOutcomes), ...complaints],
    findings: complaints.map((message) => ({ message, code: 'health' })),
    extra: {
      ...sharedEntries(
        sharedOutcomes.map(({ tenant }) => tenant),
        sharedOutcomes,
      ),
      ...(complaint === null ? {} : { health: complaint }),
    },
  };
}

/** Whether a run had something to do on a tenant. */
function isMoved({ tenants }: UpJobs, born: Sweep): (outcome: Outcome<ChangeResult>) => boolean {
  const isBorn = new Set(born.selected);
  return ({ tenant }) => tenants.work.has(tenant) || isBorn.has(tenant);
}

function manifestOptions(options: UpOptions, { tenants, shared }: UpJobs) {
  const { to, count, fake, checkOrder, limits, timeoutMs } = options;
  const planned = recordedPlan(tenants, readTarget(tenants.folder, to, count), shared);
  return { to, count, fake, checkOrder, limits, timeoutMs, ...planned };
}
