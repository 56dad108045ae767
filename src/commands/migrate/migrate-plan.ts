import type { Context } from '../../context.ts';
import { type Failure, UsageError } from '../../errors.ts';
import type { ChangeResult } from '../../migrations/change-tenant.ts';
import type { MigrationFolder } from '../../migrations/folder.ts';
import type { Result } from '../../output/result.ts';
import type { Command, RawOptions } from '../command.ts';
import { limitFlags, selectionFlags } from '../flags.ts';
import type { Fleet } from '../open-fleet.ts';
import { readText } from '../read-options.ts';
import { describePlan } from './describe-plan.ts';
import { type HazardPolicy, hazardFlags, readHazardPolicy } from './hazard-policy.ts';
import { type MigrationOptions, readMigrationOptions, upTargetFlags } from './migration-options.ts';
import { changeView } from './migration-view.ts';
import { makePlan, writePlanFile } from './plan-file.ts';
import { reviewPlan } from './plan-review.ts';
import { notAllowed, type PlacedHazard } from './plan-text.ts';
import { withReview } from './review-report.ts';
import { withMigrations } from './survey-fleet.ts';
import { planUpJobs, prepareEngines } from './up-jobs.ts';

interface PlanOptions extends MigrationOptions {
  readonly policy: HazardPolicy;
  /** Where the plan is written to, as it was typed; null: nowhere. */
  readonly out: string | null;
}

/** `tenantctl migrate plan`: what `migrate up` would do, and what of it can hurt. */
export const migratePlan: Command<PlanOptions, ChangeResult> = {
  name: 'migrate plan',
  summary: 'show what would run on whom and what of it is dangerous, and change nothing',
  examples: [
    ['tenantctl migrate plan --all', 'group by group, with the files that would run and their hazards'],
    ['tenantctl migrate plan --all --allow drop-column,rename', 'as a check in CI: other hazards end with 1'],
    ['tenantctl migrate plan --all --out plan.json', 'write down what is to be reviewed and run'],
    ['tenantctl migrate plan --all --to 0142 --json', 'the same for a program'],
  ],
  flags: [
    ...selectionFlags,
    ...upTargetFlags,
    ...hazardFlags,
    {
      flags: '--out <file>',
      description: 'write the plan to a file as well, to be reviewed and run',
      fromEnvironment: false,
      group: 'Output:',
    },
    ...limitFlags,
  ],
  view: { ...changeView, row: (outcome, options) => (options.verbose ? changeView.row(outcome, options) : null) },
  options: readPlanOptions,
  run: (context, options) => {
    return withMigrations(context, { ...options, mode: 'read', writesNothing: true }, (fleet, folder) => {
      return plan(context, fleet, folder, options);
    });
  },
};

function readPlanOptions(raw: RawOptions): PlanOptions {
  const options = { ...readMigrationOptions(raw), policy: readHazardPolicy(raw), out: readText(raw, 'out') };
  if (options.out !== null && options.fake) {
    throw new UsageError('--out and --fake exclude each other', { hint: 'a plan that is run later runs its files' });
  }
  return options;
}

async function plan(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: PlanOptions,
): Promise<Result<ChangeResult>> {
  const jobs = await planUpJobs(context, fleet, folder, options);
  const engines = await prepareEngines(jobs, options.fake);
  const described = describePlan(fleet, jobs);
  // Nothing of the files would run.
  if (options.fake) return described;
  const review = await reviewPlan(context, fleet, jobs, engines, options.policy);
  if (options.out !== null) {
    const { to, count, checkOrder } = options;
    const written = makePlan(jobs, {
      environment: fleet.inventory.environment,
      target: { to, count, checkOrder },
      now: context.now(),
      rejected: fleet.rejected.map(({ tenant }) => tenant),
    });
    await writePlanFile(options.out, context.cwd, written);
  }
  return { ...withReview(described, jobs, review), findings: notAllowed(review).map(toFinding) };
}

/** For reports that show a finding at its place in a file. */
function toFinding({ hazard, subject, message, hint, file, line, column, worst }: PlacedHazard): Failure {
  const rows = worst === null ? {} : { detail: `${worst.rows} rows on tenant ${worst.tenant.id}` };
  return {
    message: subject === '' ? message : `${subject}: ${message}`,
    code: hazard,
    file,
    line,
    column,
    ...rows,
    hint,
  };
}
