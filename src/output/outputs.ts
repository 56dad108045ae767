import type { OutputStream } from '../context.ts';
import { exitCodes, UsageError } from '../errors.ts';
import type { EventListener, RunEvent } from '../fleet/events.ts';
import { countOutcomes } from '../fleet/outcome.ts';
import { describeError } from './errors-text.ts';
import { exitCodeOf, exitCodeOfError, type InterruptSignal } from './exit-code.ts';
import { openFileSink } from './file-sink.ts';
import type { Format, FormatSpec } from './formats.ts';
import { openProgress } from './open-progress.ts';
import { jsonReport } from './report-json.ts';
import { NdjsonReport } from './report-ndjson.ts';
import { type TableOptions, tableReport } from './report-table.ts';
import { type CommandView, markFinding, type ReportMeta, type Result, type RetryCommand } from './result.ts';
import { safeText } from './safe-text.ts';
import type { Sink } from './sink.ts';
import { type ColorMode, makeStyle, noStyle } from './style.ts';

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

interface Report {
  readonly sink: Sink;
  readonly isForPeople?: boolean;
  readonly event: (event: RunEvent) => string;
  readonly end: (result: Result, meta: ReportMeta) => Iterable<string> | AsyncIterable<string>;
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
        const text = lines(event);
        if (text !== '') void sink.write(text);
      }
    },
    async finish(result, { durationMs, interrupted }) {
      progress.close();
      const marked = { ...result, outcomes: result.outcomes.map((it) => markFinding(it, options.view)) };
      const exitCode = exitCodeOf(marked, interrupted === undefined ? {} : { interrupted });
      const counted = countOutcomes(marked.outcomes);
      const totals = { ...counted, findings: counted.findings + (result.findings ?? 0) };
      return writeReports(reports, marked, { command: options.command, durationMs, exitCode, totals }, options.stderr);
    },
    async fail(error, { durationMs }) {
      progress.close();
      const meta = {
        command: options.command,
        durationMs,
        exitCode: exitCodeOfError(error),
        totals: countOutcomes([]),
      };
      const forPrograms = reports.filter((report) => !report.isForPeople);
      for (const { sink } of reports.filter((report) => report.isForPeople)) await sink.discard();
      const { message, details, hint } = describeError(error);
      await writeReports(
        forPrograms,
        { outcomes: [], extra: { error: { message, details, hint } } },
        meta,
        options.stderr,
      );
    },
  };
}

/** Files come first: when one cannot be written, the document on stdout already tells the exit code that follows. */
async function writeReports(
  reports: readonly Report[],
  result: Result,
  meta: ReportMeta,
  stderr: OutputStream,
): Promise<number> {
  let exitCode = meta.exitCode;
  for (const { sink, end } of reports) {
    try {
      for await (const piece of end(result, { ...meta, exitCode })) await sink.write(piece);
      await sink.close();
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? String(error);
      stderr.write(`error: cannot write the report to ${safeText(sink.name)}: ${safeText(reason)}\n`);
      await sink.discard().catch(() => {});
      // The tenants are what they are, but whoever waits for the report must not take its absence for success.
      if (exitCode === exitCodes.ok || exitCode === exitCodes.findings) exitCode = exitCodes.partial;
    }
  }
  return exitCode;
}

async function openReports(options: OutputOptions): Promise<readonly Report[]> {
  const files = options.formats.filter((spec) => spec.file !== null);
  const reports: Report[] = [];
  const names = new Set<string>();
  try {
    for (const { format, file } of files) {
      if (names.has(file!)) throw new UsageError(`two reports cannot go to one file: ${file}`);
      names.add(file!);
      reports.push(makeReport(format, await openFileSink(file!, options.cwd), null, options));
    }
  } catch (error) {
    for (const { sink } of reports) await sink.discard();
    throw error;
  }
  for (const { format, file } of options.formats) {
    if (file === null) reports.push(makeReport(format, stdoutSink(options.stdout), options.stdout, options));
  }
  return reports;
}

function makeReport(format: Format, sink: Sink, terminal: ResultStream | null, options: OutputOptions): Report {
  const nothing = (): string => '';
  if (format === 'json') return { sink, event: nothing, end: jsonReport };
  if (format === 'ndjson') {
    const report = new NdjsonReport(options.view, options.now);
    return { sink, event: (event) => report.event(event), end: (result, meta) => report.end(result, meta) };
  }
  const table: TableOptions = {
    view: options.view,
    style: terminal === null ? noStyle : makeStyle(options.color ?? 'auto', options.env, terminal),
    width: terminal?.isTTY ? terminal.columns : null,
    quiet: options.quiet ?? false,
    verbose: options.verbose ?? false,
    retryCommand: options.retryCommand ?? null,
  };
  return { sink, isForPeople: true, event: nothing, end: (result, meta) => tableReport(result, meta, table) };
}

function stdoutSink(stdout: ResultStream): Sink {
  return {
    name: 'stdout',
    write: (text) => (text === '' ? undefined : stdout.write(text)),
    close: async () => stdout.flush?.(),
    discard: async () => {},
  };
}
