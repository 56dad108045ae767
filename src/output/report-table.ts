import type { Outcome } from '../fleet/outcome.ts';
import { listNames } from '../words.ts';
import { waitedLine } from './blockers.ts';
import { describeProblems } from './problems.ts';
import type { CommandView, ReportMeta, Result, RetryCommand } from './result.ts';
import { safeText } from './safe-text.ts';
import type { Style } from './style.ts';
import { summaryText } from './summary-text.ts';
import { renderTable } from './table.ts';
import { formatDuration } from './text.ts';

export interface TableOptions {
  readonly view: CommandView;
  readonly style: Style;
  /** Columns of the terminal; null when the table goes to a pipe or a file: nothing is cut then. */
  readonly width: number | null;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly retryCommand: RetryCommand | null;
}

/** Above this a table of a run shows its first rows only; --verbose and listings show all. */
const maxRows = 40;
const shownRows = 20;

/** The report for people, in pieces of text: plan or histogram, rows, failures by cause, one line to end with. */
export async function* tableReport(result: Result, meta: ReportMeta, options: TableOptions): AsyncGenerator<string> {
  const { view, quiet, verbose, style, width } = options;
  const isClean = meta.exitCode === 0;
  if (quiet && isClean) return;
  const foundElsewhere = (result.findings ?? []).length > 0;
  if (!quiet || foundElsewhere) yield (result.text ?? []).map((line) => `${safeText(line)}\n`).join('');

  const rows = quiet ? findingRows(result, options) : allRows(result, options);
  const isAllShown = verbose || view.listing === true || rows.length <= maxRows;
  const shown = isAllShown ? rows : rows.slice(0, shownRows);
  yield* renderTable(view.columns, shown, { width, style });
  if (!isAllShown) yield style.dim(`… and ${rows.length - shown.length} more, listed with --verbose`).concat('\n');

  const waited = quiet ? null : waitedLine(result.outcomes, verbose);
  if (waited !== null) yield `${waited}\n`;

  const problems = describeProblems(result, options);
  const hasAbove = rows.length > 0 || waited !== null || (!quiet && (result.text ?? []).length > 0);
  if (problems.length > 0) yield `${hasAbove ? '\n' : ''}${problems.join('\n')}\n`;
  // A listing that went well is its rows and nothing else.
  const isAnswered = view.listing === true && meta.totals.done === meta.totals.selected;
  const summary = isAnswered ? null : summaryText(result, meta, style);
  if (summary !== null) yield `${problems.length > 0 ? '\n' : ''}${summary}\n`;
}

function allRows(result: Result, { view, verbose }: TableOptions): readonly (readonly string[])[] {
  return result.outcomes.flatMap((outcome) => {
    const row = view.row(outcome, { verbose });
    if (row !== null) return [row];
    return verbose && outcome.status !== 'failed' ? [plainRow(outcome)] : [];
  });
}

/** Cron wants to hear of what was found, not of what is well. */
function findingRows(result: Result, { view, verbose }: TableOptions): readonly (readonly string[])[] {
  const found = result.outcomes.filter((outcome) => outcome.status === 'done' && outcome.finding === true);
  return found.flatMap((outcome) => {
    const row = view.row(outcome, { verbose, quiet: true });
    return row === null ? [] : [row];
  });
}

function plainRow(outcome: Outcome): readonly string[] {
  const word = outcome.status === 'skipped' ? skippedText(outcome) : outcome.status;
  return [outcome.tenant.id, outcome.durationMs > 0 ? `${word} in ${formatDuration(outcome.durationMs)}` : word];
}

/** With what it will get when it wakes, where that is known. */
function skippedText({ reason, value }: Extract<Outcome, { status: 'skipped' }>): string {
  const owed = value?.owed ?? [];
  return owed.length === 0 ? reason : `${reason}, owed ${listNames(owed)}`;
}
