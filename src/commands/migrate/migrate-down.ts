import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { ChangePlan, ChangeResult } from '../../migrations/change-tenant.ts';
import { type Decision, decideBackOut, decideDown, decideRunBack } from '../../migrations/decide.ts';
import type { MigrationFolder } from '../../migrations/folder.ts';
import { readTarget, type Standing, type Target } from '../../migrations/plan.ts';
import type { Result } from '../../output/result.ts';
import type { Command, Flag, RawOptions } from '../command.ts';
import { askConsent } from '../consent.ts';
import { changeFlags, consentFlags, dryRunFlag, limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes } from '../open-fleet.ts';
import { readSwitch, readText } from '../read-options.ts';
import { recordRun } from '../record-run.ts';
import { wholeRunId } from '../resolve-selection.ts';
import { recordedPlan, standByPlan } from '../runs/runs-plan.ts';
import { describePlan } from './describe-plan.ts';
import { type MigrationJob, planJob, prepareEngine, runJob } from './migration-job.ts';
import { downTargetFlags, type MigrationOptions, readMigrationOptions, targetFlags } from './migration-options.ts';
import { changeView, describeChange } from './migration-view.ts';
import { describeJobs } from './plan-text.ts';
import { surveyTenants, withMigrations } from './survey-fleet.ts';

export interface DownOptions extends MigrationOptions {
  readonly yes: boolean;
  /** Take back what this run did; null: by `to` and `count`. */
  readonly run: string | null;
  /** Of a run that is resumed, by tenant: take back these, and nothing in their place. */
  readonly planned: ReadonlyMap<string, ReadonlySet<string>>;
}

const runFlag: Flag = {
  flags: '--run <run>',
  description: 'take back what that run applied, on the tenants that it moved',
  fromEnvironment: false,
  group: 'Which migrations:',
};

/** `tenantctl migrate down`: takes back migrations of each tenant by their down sections. */
export const migrateDown: Command<DownOptions, ChangeResult> = {
  name: 'migrate down',
  summary: 'take back the last migrations, each tenant in one transaction',
  examples: [
    ['tenantctl migrate down -t acme', 'take back the last migration of one tenant'],
    ['tenantctl migrate down --run k3f9', 'take back exactly what one run did, on exactly the tenants it moved'],
    ['tenantctl migrate down --all --to 0141 --dry-run', 'show what would be taken back, down to 0141'],
    ['tenantctl migrate down --all --count 2 --yes', 'without a question, for scripts'],
  ],
  flags: [...selectionFlags, ...downTargetFlags, runFlag, dryRunFlag, ...consentFlags, ...limitFlags, ...changeFlags],
  view: changeView,
  options: readDownOptions,
  run: (context, options) => {
    const mode = options.dryRun ? 'read' : 'change';
    const open = { ...options, mode, writesNothing: options.dryRun, ofRun: options.run } as const;
    return withMigrations(context, open, (fleet, folder) => takeBack(context, fleet, folder, options));
  },
  // One step back said again is another step back.
  retryFlags: ({ run, ...options }) => {
    if (run === null && options.to === null) return null;
    return [...targetFlags(options), ...(run === null ? [] : ['--run', run])];
  },
  canRetry: true,
};

function readDownOptions(raw: RawOptions): DownOptions {
  const options = readMigrationOptions(raw);
  const run = readText(raw, 'run');
  if (run !== null && (options.to !== null || options.count !== null)) {
    throw new UsageError('--run goes without --to and --count', { hint: 'the run itself says how far to go back' });
  }
  return { ...options, yes: readSwitch(raw, 'yes'), run, planned: new Map() };
}

async function takeBack(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: DownOptions,
): Promise<Result<ChangeResult>> {
  const target = readTarget(folder, options.to, options.count);
  const job = await planBack(context, fleet, folder, target, options);
  const engine = await prepareEngine(job, options.fake);
  if (options.dryRun) return describePlan(fleet, { tenants: job, shared: [] });

  const { environment } = fleet.inventory;
  const settled = [...fleet.rejected, ...job.settled];
  let done: readonly Outcome<ChangeResult>[] = [];
  if (job.work.size > 0) {
    const lines = describeJobs(environment, job, []).slice(1);
    await askConsent(context, environment, { lines, risk: 'this can lose data' }, options.yes);
    const { to, count, run, fake } = options;
    const recorded = { to, count, run, fake, ...recordedPlan(job, target) };
    done = await recordRun(context, fleet, 'migrate down', recorded, (recorder) => {
      for (const outcome of settled) recorder.emit({ type: 'settled', outcome });
      return runJob(recorder, fleet, job, engine, options);
    });
  } else {
    for (const outcome of settled) context.emit({ type: 'settled', outcome });
  }
  return {
    outcomes: mergeOutcomes<ChangeResult>(fleet.selected, settled, done),
    run: job.work.size > 0 ? fleet.run : null,
    environment,
    sources: fleet.sources,
    text: describeChange(environment, ({ tenant }) => job.work.has(tenant), [...settled, ...done]),
  };
}

/** Reads where everybody stands and decides what would be taken back. */
async function planBack(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  target: Target,
  options: DownOptions,
): Promise<MigrationJob> {
  const { fake } = options;
  if (options.run !== null) {
    const run = await wholeRunId(fleet.inventory.state, options.run);
    const surveyed = await surveyTenants(context, fleet, folder, fleet.tenants, { run });
    return planJob(surveyed, 'down', (standing) => decideRunBack(standing, folder, run, fake));
  }
  const read = await surveyTenants(context, fleet, folder, fleet.tenants, 'as-sequence');
  const { surveyed, meant } = standByPlan(read, options.planned);
  // Looked at again under its lock, a tenant has a standing that nobody knows: what was planned for it decides.
  const decide = (standing: Standing, planned: ChangePlan | null): Decision => {
    const names = planned === null ? meant.get(standing) : new Set(planned.migrations.map(({ name }) => name));
    if (names === undefined) return decideDown(standing, folder, target, fake);
    return decideBackOut(standing, folder, ({ name }) => names.has(name), fake);
  };
  return planJob(surveyed, 'down', decide);
}
