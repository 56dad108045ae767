import type { Context } from '../../context.ts';
import {
  countRun,
  listRuns,
  type RunRecord,
  type RunTotals,
  runState,
  type UnreadableRun,
} from '../../fleet/run-records.ts';
import type { Result } from '../../output/result.ts';
import { plural } from '../../words.ts';
import { type Command, type Flag, type RawOptions, textView } from '../command.ts';
import { readInventory } from '../open-inventory.ts';
import { readCount, readText } from '../read-options.ts';

interface ListOptions {
  readonly config: string | null;
  readonly limit: number;
}

const defaultLimit = 20;

const limitFlag: Flag = {
  flags: '--limit <n>',
  description: `show the newest n (default: ${defaultLimit})`,
  fromEnvironment: false,
};

/** `tenantctl runs list`: what was done to the fleet, when, and how it ended. */
export const runsList: Command<ListOptions, never> = {
  name: 'runs list',
  summary: 'show the recorded runs, the newest first',
  examples: [
    ['tenantctl runs list', `the last ${defaultLimit} runs and how they ended`],
    ['tenantctl runs list --limit 1 --json | jq -r .runs[0].run', 'the id of the last one'],
  ],
  flags: [limitFlag],
  view: textView,
  options: (raw: RawOptions) => ({ config: readText(raw, 'config'), limit: readCount(raw, 'limit') ?? defaultLimit }),
  run: list,
};

async function list(context: Context, options: ListOptions): Promise<Result<never>> {
  const inventory = await readInventory(context, { ...options, writesNothing: true });
  const { runs, total } = await listRuns(inventory.state, options.limit);
  const now = context.now();
  const more = total - runs.length;
  return {
    outcomes: [],
    environment: inventory.environment,
    text: [
      ...(runs.length === 0 ? [`no run is recorded in ${inventory.state}`] : alignColumns(runs, now)),
      ...(more > 0 ? [`… and ${more} more, shown with --limit ${total}`] : []),
    ],
    extra: { total, runs: runs.map((run) => runJson(run, now)) },
  };
}

function runJson(run: RunRecord | UnreadableRun, now: Date): Readonly<Record<string, unknown>> {
  if ('problem' in run) return { run: run.folder, state: 'unreadable', problem: run.problem };
  const { manifest, end } = run;
  return {
    run: manifest.run,
    command: manifest.command,
    environment: manifest.environment,
    state: runState(run, now),
    startedAt: manifest.startedAt,
    endedAt: end?.endedAt ?? null,
    totals: countRun(run),
  };
}

function alignColumns(runs: readonly (RunRecord | UnreadableRun)[], now: Date): readonly string[] {
  const rows = [
    ['RUN', 'STARTED (UTC)', 'COMMAND', 'ENVIRONMENT', 'STATE', 'TENANTS'],
    ...runs.map((run) => {
      if ('problem' in run) return [run.folder, '-', '-', '-', 'unreadable', run.problem];
      const { run: id, command, environment, startedAt } = run.manifest;
      return [id, utc(startedAt), command, environment, runState(run, now), describeTotals(countRun(run))];
    }),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** `2026-11-22 10:15:00`. */
export function utc(time: string | Date): string {
  return new Date(time).toISOString().slice(0, 19).replace('T', ' ');
}

/** `50 tenants: 49 done, 1 failed`. */
export function describeTotals({ tenants, ...counts }: RunTotals): string {
  const words = { skipped: 'not started', unsettled: 'unsettled' } as Readonly<Record<string, string>>;
  const parts = Object.entries(counts).flatMap(([key, count]) =>
    count === 0 ? [] : [`${count} ${words[key] ?? key}`],
  );
  return parts.length === 0 ? plural(tenants, 'tenant') : `${plural(tenants, 'tenant')}: ${parts.join(', ')}`;
}
