import type { Context } from '../context.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { ChangeResult } from '../migrations/change-tenant.ts';
import { decideDown } from '../migrations/decide.ts';
import type { MigrationFolder } from '../migrations/folder.ts';
import { readTarget } from '../migrations/plan.ts';
import type { Result } from '../output/result.ts';
import type { Command, RawOptions } from './command.ts';
import { askConsent } from './consent.ts';
import { changeFlags, consentFlags, dryRunFlag, limitFlags, selectionFlags } from './flags.ts';
import { describePlan } from './migrate-up.ts';
import { planJob, prepareEngine, runJob } from './migration-job.ts';
import { downTargetFlags, type MigrationOptions, readMigrationOptions, retryFlags } from './migration-options.ts';
import { changeView, describeChange } from './migration-view.ts';
import { type Fleet, mergeOutcomes } from './open-fleet.ts';
import { describeJobs } from './plan-text.ts';
import { readSwitch } from './read-options.ts';
import { recordRun } from './record-run.ts';
import { surveyTenants, withMigrations } from './survey-fleet.ts';

interface DownOptions extends MigrationOptions {
  readonly yes: boolean;
}

/** `tenantctl migrate down`: takes back the last migrations of each tenant by their down sections. */
export const migrateDown: Command<DownOptions, ChangeResult> = {
  name: 'migrate down',
  summary: 'take back the last migrations, each tenant in one transaction',
  examples: [
    ['tenantctl migrate down -t acme', 'take back the last migration of one tenant'],
    ['tenantctl migrate down --all --to 0141 --dry-run', 'show what would be taken back, down to 0141'],
    ['tenantctl migrate down --all --count 2 --yes', 'without a question, for scripts'],
  ],
  flags: [...selectionFlags, ...downTargetFlags, dryRunFlag, ...consentFlags, ...limitFlags, ...changeFlags],
  view: changeView,
  options: (raw: RawOptions) => ({ ...readMigrationOptions(raw), yes: readSwitch(raw, 'yes') }),
  run: (context, options) => {
    const mode = options.dryRun ? 'read' : 'change';
    return withMigrations(context, { ...options, mode, writesNothing: options.dryRun }, (fleet, folder) => {
      return takeBack(context, fleet, folder, options);
    });
  },
  retryFlags,
  canRetry: true,
};

async function takeBack(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: DownOptions,
): Promise<Result<ChangeResult>> {
  const target = readTarget(folder, options.to, options.count);
  const surveyed = await surveyTenants(context, fleet, folder, fleet.tenants, 'as-sequence');
  const job = planJob(surveyed, 'down', (standing) => decideDown(standing, folder, target, options.fake));
  if (options.dryRun) return describePlan(fleet, job, [], options.fake);

  const { environment } = fleet.inventory;
  const engine = await prepareEngine(job, options.fake);
  const settled = [...fleet.rejected, ...job.settled];
  let done: readonly Outcome<ChangeResult>[] = [];
  if (job.work.size > 0) {
    const lines = describeJobs(environment, job, []).slice(1);
    await askConsent(context, environment, { lines, risk: 'this can lose data' }, options.yes);
    const { to, count, fake } = options;
    done = await recordRun(context, fleet, 'migrate down', { to, count, fake, folder: folder.path }, (recorded) => {
      for (const outcome of settled) recorded.emit({ type: 'settled', outcome });
      return runJob(recorded, fleet, job, engine, options);
    });
  } else {
    for (const outcome of settled) context.emit({ type: 'settled', outcome });
  }
  return {
    outcomes: mergeOutcomes<ChangeResult>(fleet.selected, settled, done),
    run: job.work.size > 0 ? fleet.run : null,
    environment,
    sources: fleet.sources,
    text: describeChange(environment, job, [...settled, ...done]),
  };
}
