import type { Context } from '../../context.ts';
import { RefusedError } from '../../errors.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import { countRun, type RunRecord, type RunTotals, readRun, runState } from '../../fleet/run-records.ts';
import type { ChangeResult } from '../../migrations/change-tenant.ts';
import { readFolder } from '../../migrations/folder.ts';
import type { RepairResult } from '../../migrations/repair.ts';
import type { CommandView, Result } from '../../output/result.ts';
import { plural } from '../../words.ts';
import { restoreView } from '../backups/restore-text.ts';
import type { RestoreValue } from '../backups/restore-value.ts';
import type { Command, RawOptions } from '../command.ts';
import { changeFlags, consentFlags, dryRunFlag, limitFlags } from '../flags.ts';
import { changeView } from '../migrate/migration-view.ts';
import { readInventory } from '../open-inventory.ts';
import { readText } from '../read-options.ts';
import { changedFiles, readRecordedPlan } from './runs-plan.ts';
import { resumeCommand, unfinishedTenants } from './runs-resumable.ts';
import { tellUnswept } from './unswept.ts';

interface ResumeOptions {
  readonly config: string | null;
  /** Its id, or the last part of it. */
  readonly run: string;
  /** Flags of this invocation. */
  readonly anew: RawOptions;
}

type Resumed = ChangeResult | RepairResult | RestoreValue;

const view: CommandView<Resumed> = {
  ...changeView,
  row: (outcome, options) => {
    if (outcome.status === 'done' && 'backup' in outcome.value) {
      return restoreView.row(outcome as Outcome<RestoreValue>, options);
    }
    if (outcome.status !== 'done' || !('repaired' in outcome.value)) {
      return changeView.row(outcome as Outcome<ChangeResult>, options);
    }
    const { tenant, value, durationMs } = outcome;
    return options.verbose ? [tenant.id, '-', '-', String(value.repaired.length), String(durationMs)] : null;
  },
};

/** `tenantctl runs resume`: the same command once more, on the tenants that it left. */
export const runsResume: Command<ResumeOptions, Resumed> = {
  name: 'runs resume',
  summary: 'carry on with a run: the same command on the tenants that are not done',
  examples: [
    ['tenantctl runs resume k3f9 --dry-run', 'what is left of it'],
    ['tenantctl runs resume k3f9', 'do that: what failed, was in the middle or never started'],
    ['tenantctl runs resume k3f9 --concurrency 4 --max-failures 1', 'the same, more carefully'],
  ],
  arguments: '<run>',
  flags: [dryRunFlag, ...consentFlags, ...limitFlags, ...changeFlags],
  view,
  options: (raw: RawOptions, [run = '']: readonly string[]) => ({ config: readText(raw, 'config'), run, anew: raw }),
  run: resume,
};

async function resume(context: Context, options: ResumeOptions): Promise<Result<Resumed>> {
  // The command reads the inventory again and says then what is to be said of it.
  const inventory = await readInventory({ ...context, emit: () => {} }, { ...options, writesNothing: true });
  const record = await readRun(inventory.state, options.run);
  const { run, environment } = record.manifest;
  refuseOtherEnvironment(record, inventory);
  const left = unfinishedTenants(record);
  if (left.length === 0) {
    // It may have been killed just before its last look.
    await tellUnswept(context, inventory.state, record, options.config);
    const text = [`run ${run} left nothing to do: ${describeAllDone(countRun(record))}`];
    return { outcomes: [], run: null, environment, text };
  }
  refuseChangedFiles(context, record, inventory);
  const { command, options: typed } = await resumeCommand(context, record, options.anew);
  context.emit({
    type: 'notice',
    level: 'info',
    message: `resuming ${record.manifest.command}: ${plural(left.length, 'tenant')}`,
  });
  warnWhenRunning(context, record);
  const result: Result<Resumed> = await command.run(context, typed);
  await tellUnswept(context, inventory.state, record, options.config);
  const isDone = result.run == null || result.outcomes.every(({ status }) => status === 'done');
  return isDone
    ? result
    : { ...result, text: [...(result.text ?? []), `what is left of it: tenantctl runs resume ${result.run}`] };
}

function describeAllDone({ tenants, hibernated }: RunTotals): string {
  if (hibernated > 0) return `of its ${plural(tenants, 'tenant')}, all are done but ${hibernated} that slept`;
  return tenants === 1 ? 'its tenant is done' : `all of its ${tenants} tenants are done`;
}

function refuseOtherEnvironment({ manifest }: RunRecord, { environment, file }: Inventory): void {
  if (manifest.environment === environment) return;
  throw new RefusedError(
    `run ${manifest.run} was in environment ${manifest.environment}, and ${file} is environment ${environment}`,
    { hint: 'name the inventory that the run had, with --config' },
  );
}

/** Half of the fleet with one text of a migration and half with another is what nobody wants. */
function refuseChangedFiles(context: Context, { manifest }: RunRecord, inventory: Inventory): void {
  const plan = readRecordedPlan(manifest);
  if (inventory.migrations === null || plan.migrations === undefined) return;
  const changed = changedFiles(plan, readFolder(inventory.migrations, context.cwd));
  if (changed.length === 0) return;
  throw new RefusedError(`run ${manifest.run} cannot go on: its migrations are not as they were`, {
    details: changed,
    hint: `put them back as they were; or begin a new run on what it left: tenantctl ${manifest.command} --from-run ${manifest.run}`,
  });
}

/** Locks keep the two apart, tenant by tenant. */
function warnWhenRunning(context: Context, record: RunRecord): void {
  if (runState(record, context.now()) !== 'running') return;
  context.emit({
    type: 'notice',
    level: 'warning',
    message: `run ${record.manifest.run} gave a sign of life less than half a minute ago: it may still be going on`,
    hint: 'tenants that it works on are locked; this waits for them as long as --lock-wait says',
  });
}
