import type { OutputStream } from '../context.ts';
import { exitCodes } from '../errors.ts';
import type { EventListener } from '../fleet/events.ts';
import { countOutcomes } from '../fleet/outcome.ts';
import { describeError, errorText } from './errors-text.ts';
import { exitCodeOf, exitCodeOfError, type InterruptSignal } from './exit-code.ts';
import type { FormatSpec } from './formats.ts';
import { openProgress } from './open-progress.ts';
import { openReports, type Report } from './open-reports.ts';
import { type CommandView, markFinding, type ReportMeta, type Result, type RetryCommand } from './result.ts';
import { safeText } from './safe-text.ts';
import { type ColorMode, makeStyle } from './style.ts';

/** stdout as main gives it: `write` may return a promise when the reader is slow, `flush` waits for all. */
export type ResultStream = Omit<OutputStream, 'write'> & {
  write(text: string): void | Promise<void>;
  flush?(): Promise<void>;
};

export interface OutputOptions {
  /** As in the json report: `migrate`, `migrate status`. */
  readonly command: string;
  readonly view: CommandView;
  readonly formats: readonly FormatSpec[];
  readonly stdout: ResultStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly now: () => Date;
  readonly color?: ColorMode;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly retryCommand?: RetryCommand | null;
}

/** The one door through which results and progress leave the program. */
export interface Outputs {
  /** Progress on stderr and the formats that show events. Never throws. */
  readonly emit: EventListener;
  /** Ends the progress and writes all reports; returns the exit code of the command. Call it once. */
  finish(result: Result, end: { readonly durationMs: number; readonly interrupted?: InterruptSignal }): Promise<number>;
  /**
   * Instead of `finish`, when the command ended with an error: programs that read a document get one that says so,
   * people read it on stderr, which is the caller's to write. Gives the terminal back.
   */
  fail(error: unknown, end: { readonly durationMs: number }): Promise<void>;
}

/** Opens everything the command will write to, so that what cannot be written is known before a tenant is touched. */
export async function openOutputs(options: OutputOptions): Promise<Outputs> {
  const reports = await openReports(options);
  const progress = openProgress({
    ...options,
    style: makeStyle(options.color ?? 'auto', options.env, options.stderr),
    // Lines of events on the same terminal would tear the live display apart.
    isLiveAllowed: !(options.stdout.isTTY && options.formats.some((it) => it.format === 'ndjson' && it.file === null)),
  });
  return {
    emit(event) {
      progress.onEvent(event);
      for (const { event: lines, sink } of reports) {
        const text = lines?.(event) ?? '';
        if (text !== '') void sink.write(text);
      }
    },
    async finish(result, { durationMs, interrupted }) {
      progress.close();
      const marked = { ...result, outcomes: result.outcomes.map((it) => markFinding(it, options.view)) };
      const exitCode = exitCodeOf(marked, interrupted === undefined ? {} : { interrupted });
      const counted = countOutcomes(marked.outcomes);
      const totals = { ...counted, findings: counted.findings + (result.findings ?? []).length };
      const meta = { command: options.command, durationMs, exitCode, totals };
      const written = await writeReports(reports, marked, meta, options.stderr);
      if (!written.isDelivered || result.delivered === undefined) return written.exitCode;
      try {
        await result.delivered();
        return written.exitCode;
      } catch (error) {
        options.stderr.write(errorText(error));
        return unlessGood(written.exitCode);
      }
    },
    async fail(error, { durationMs }) {
      progress.close();
      const meta = {
        command: options.command,
        durationMs,
        exitCode: exitCodeOfError(error),
        totals: countOutcomes([]),
        error: describeError(error),
      };
      const forPrograms = reports.filter((report) => !report.isForPeople);
      for (const { sink } of reports.filter((report) => report.isForPeople)) await sink.discard();
      await writeReports(forPrograms, { outcomes: [] }, meta, options.stderr);
    },
  };
}

interface Written {
  readonly exitCode: number;
  /** No report is missing. */
  readonly isDelivered: boolean;
}

/** The tenants are what they are, but whoever waits for what could not be written must not take it for success. */
function unlessGood(exitCode: number): number {
  return exitCode === exitCodes.ok || exitCode === exitCodes.findings ? exitCodes.partial : exitCode;
}

/** Files come first: when one cannot be written, the document on stdout already tells the exit code that follows. */
async function writeReports(
  reports: readonly Report[],
  result: Result,
  meta: ReportMeta,
  stderr: OutputStream,
): Promise<Written> {
  let exitCode = meta.exitCode;
  let isDelivered = true;
  for (const { sink, end, isExtra, isWanted } of reports) {
    try {
      if (isWanted?.({ ...meta, exitCode }) === false) {
        await sink.discard();
        continue;
      }
      for await (const piece of end(result, { ...meta, exitCode })) await sink.write(piece);
      await sink.close();
    } catch (error) {
      const reason = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);
      const [word, what] = isExtra === true ? ['warning', 'step summary'] : ['error', 'report'];
      stderr.write(`${word}: cannot write the ${what} to ${safeText(sink.name)}: ${safeText(reason)}\n`);
      await sink.discard().catch(() => {});
      if (isExtra === true) continue;
      isDelivered = false;
      exitCode = unlessGood(exitCode);
    }
  }
  return { exitCode, isDelivered };
}
