import type { Failure } from '../errors.ts';
import type { Outcome, Totals } from '../fleet/outcome.ts';
import type { Metric } from './metrics.ts';

/** A discovery source that could not be read: which tenants live there is not known. */
export interface SourceReport {
  readonly server: string;
  readonly database: string | null;
  readonly error: Failure;
  /** The operator said --skip-unreachable: shown, but not counted against the run. */
  readonly skipped?: boolean;
  /** The server sleeps: known, wanted, and not counted against the run either. */
  readonly hibernated?: boolean;
}

/** What a command hands back; it prints nothing itself. */
export interface Result<V = unknown> {
  /** In order of selection; empty for commands without tenants. */
  readonly outcomes: readonly Outcome<V>[];
  /** Id of the ledger. */
  readonly run?: string | null;
  readonly environment?: string;
  readonly sources?: readonly SourceReport[];
  /** Further top-level keys of the json document, documented with the command. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Plain lines that the table format prints above its rows: a histogram, a plan. */
  readonly text?: readonly string[];
  /** Findings that are not about one tenant: a hazard in a file, a health check that complains. */
  readonly findings?: readonly Failure[];
  /**
   * Called when all reports have reached their places, and not when one could not be written: for what remembers that
   * something was told. Rejects with what is said then, and the exit code is 3.
   */
  readonly delivered?: () => Promise<void>;
}

/** How a command's outcomes look to people. */
export interface CommandView<V = unknown> {
  readonly columns: readonly string[];
  /**
   * The cells of a line, or null for an outcome that is not worth one (`--verbose` shows a plain line then). `quiet`: the
   * command's text is not printed, so the line is all that is said of a finding.
   */
  row(outcome: Outcome<V>, options: { readonly verbose: boolean; readonly quiet?: boolean }): readonly string[] | null;
  /** Given by commands that check: is this done outcome a finding. */
  isFinding?(outcome: Outcome<V>): boolean;
  /** Given by commands whose result is worth watching: what `-o prometheus` writes. `at`: when the report is made. */
  metrics?(result: Result<V>, at: Date): readonly Metric[];
  /** The rows are the very answer (`tenants list`): all are printed, and no summary when all went well. */
  readonly listing?: boolean;
}

export type RetryOutcome = 'failed' | 'interrupted' | 'skipped';

/**
 * The command that does these tenants again, or null when there is no sensible one. `run` is given when the ids are
 * all the tenants of that run with one of these outcomes, so that `--from-run` selects exactly them.
 */
export type RetryCommand = (
  ids: readonly string[],
  run: string | null,
  outcomes: readonly RetryOutcome[],
) => string | null;

/** An error that ended a command as a whole, in words for a report. */
export interface ErrorDescription {
  /** Safe to print. */
  readonly message: string;
  readonly details: readonly string[];
  readonly hint: string | undefined;
}

/** What a report says beside the result. */
export interface ReportMeta {
  readonly command: string;
  readonly durationMs: number;
  readonly exitCode: number;
  readonly totals: Totals;
  /** Given when there is no result: the command was refused, or broke. */
  readonly error?: ErrorDescription;
}

/** Writes `finding` into each done outcome of a command that checks, where the command did not do so itself. */
export function markFinding<V>(outcome: Outcome<V>, view: CommandView<V>): Outcome<V> {
  if (outcome.status !== 'done' || outcome.finding !== undefined || view.isFinding === undefined) return outcome;
  return { ...outcome, finding: view.isFinding(outcome) };
}
