import type { Context } from '../../context.ts';
import { countRun, isShared, type RunRecord, type RunState, readRun, runState } from '../../fleet/run-records.ts';
import type { Result } from '../../output/result.ts';
import { shellQuote } from '../../words.ts';
import { type Command, type RawOptions, textView } from '../command.ts';
import { readInventory } from '../open-inventory.ts';
import { readSwitch, readText } from '../read-options.ts';
import { readRecordedPlan } from './runs-plan.ts';
import { canResume, unfinishedTenants } from './runs-resumable.ts';
import { describeRun, describeTenants, describeTroubles, runDurationMs } from './runs-text.ts';

interface ShowOptions {
  readonly config: string | null;
  /** Its id, or the last part of it. */
  readonly run: string;
  readonly verbose: boolean;
}

/** `tenantctl runs show`: one recorded run. That it failed is what is shown, and no failure of the showing. */
export const runsShow: Command<ShowOptions, never> = {
  name: 'runs show',
  summary: 'show what one run was to do, and what became of each tenant',
  examples: [
    ['tenantctl runs show k3f9', 'how it ended, failures by cause, and what is left to do'],
    ['tenantctl runs show k3f9 -v', 'with a line for each tenant'],
    ['tenantctl runs show k3f9 --json', 'all that is recorded'],
  ],
  arguments: '<run>',
  flags: [],
  view: textView,
  options: (raw: RawOptions, [run = '']: readonly string[]) => ({
    config: readText(raw, 'config'),
    run,
    verbose: readSwitch(raw, 'verbose'),
  }),
  run: show,
};

async function show(context: Context, options: ShowOptions): Promise<Result<never>> {
  const inventory = await readInventory(context, { ...options, writesNothing: true });
  const record = await readRun(inventory.state, options.run);
  const state = runState(record, context.now());
  const troubles = describeTroubles(record, state, options.verbose);
  const isOpen = state !== 'running' && canResume(record.manifest.command) && unfinishedTenants(record).length > 0;
  return {
    outcomes: [],
    run: record.manifest.run,
    environment: record.manifest.environment,
    text: [
      ...describeRun(record, state),
      ...(options.verbose ? ['', ...describeTenants(record)] : []),
      ...(troubles.length > 0 ? ['', ...troubles] : []),
      ...(isOpen ? ['', `carry on: ${resumeCommand(record.manifest.run, options.config)}`] : []),
    ],
    extra: { record: recordJson(record, state) },
  };
}

/** All that is recorded. */
function recordJson(record: RunRecord, state: RunState): Readonly<Record<string, unknown>> {
  const { manifest, end, tenants, entries, lastSignAt } = record;
  const { command, environment, startedAt, version, host = null, flags = null, options } = manifest;
  return {
    run: manifest.run,
    command,
    environment,
    state,
    startedAt,
    endedAt: end?.endedAt ?? null,
    lastSignAt: lastSignAt.toISOString(),
    durationMs: runDurationMs(record),
    interrupted: end?.interrupted ?? null,
    error: end?.error ?? null,
    incomplete: end?.incomplete ?? false,
    version,
    host,
    target: readRecordedPlan(manifest).target ?? null,
    flags,
    options,
    totals: countRun(record),
    tenants: tenants.map((tenant) => entries.get(tenant) ?? { tenant, status: null }),
    shared: [...entries.values()].filter(isShared),
  };
}

/** Of another inventory than the one that would be found, when this one was named. */
function resumeCommand(run: string, config: string | null): string {
  return ['tenantctl', 'runs', 'resume', run, ...(config === null ? [] : ['--config', config])]
    .map(shellQuote)
    .join(' ');
}
