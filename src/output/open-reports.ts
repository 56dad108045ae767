import { exitCodes, UsageError } from '../errors.ts';
import type { RunEvent } from '../fleet/events.ts';
import { openFileSink } from './file-sink.ts';
import type { Format } from './formats.ts';
import type { OutputOptions, ResultStream } from './outputs.ts';
import { githubReport } from './report-github.ts';
import { jsonReport } from './report-json.ts';
import { junitReport } from './report-junit.ts';
import { NdjsonReport } from './report-ndjson.ts';
import { prometheusReport } from './report-prometheus.ts';
import { tableReport } from './report-table.ts';
import type { ReportMeta, Result } from './result.ts';
import type { Sink } from './sink.ts';
import { stepSummary } from './step-summary.ts';
import { openStepSummary } from './step-summary-file.ts';
import { makeStyle, noStyle } from './style.ts';

/** One format on its way to one place. */
export interface Report {
  readonly sink: Sink;
  /** It says nothing when the command ends with an error: people read that on stderr. */
  readonly isForPeople?: boolean;
  /** Nobody asked for it by name: when it cannot be written, that is a warning. */
  readonly isExtra?: boolean;
  /** Given where no report is better than one of this command that came to nothing: what stood there before stays. */
  readonly isWanted?: (meta: ReportMeta) => boolean;
  readonly event?: (event: RunEvent) => string;
  readonly end: (result: Result, meta: ReportMeta) => Iterable<string> | AsyncIterable<string>;
}

/** Files first, what goes to stdout last. A file that cannot be written is a usage error, and no other stays behind. */
export async function openReports(options: OutputOptions): Promise<readonly Report[]> {
  refuseMetrics(options);
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
  reports.push(...summaryReport(options));
  for (const { format, file } of options.formats) {
    if (file === null) reports.push(makeReport(format, stdoutSink(options.stdout), options.stdout, options));
  }
  return reports;
}

/** The command looked at tenants, at some of them at least. */
const metricCodes: ReadonlySet<number> = new Set([exitCodes.ok, exitCodes.findings, exitCodes.partial]);

function makeReport(format: Format, sink: Sink, terminal: ResultStream | null, options: OutputOptions): Report {
  const { view, now, env, cwd } = options;
  const retryCommand = options.retryCommand ?? null;
  const quiet = options.quiet ?? false;
  switch (format) {
    case 'json':
      return { sink, end: jsonReport };
    case 'ndjson': {
      const report = new NdjsonReport(view, now);
      return { sink, event: (event) => report.event(event), end: (result, meta) => report.end(result, meta) };
    }
    case 'junit':
      return { sink, end: (result, meta) => junitReport(result, meta, { view, retryCommand }) };
    case 'github':
      return { sink, end: (result, meta) => githubReport(result, meta, { view, retryCommand, cwd, env, quiet }) };
    case 'prometheus': {
      // A file with old numbers shows its age; one without any would silence the alerts that watch them.
      const isWanted = ({ exitCode, error }: ReportMeta) => error === undefined && metricCodes.has(exitCode);
      return { sink, isWanted, end: (result) => prometheusReport(view.metrics?.(result, now()) ?? []) };
    }
    case 'table': {
      const style = terminal === null ? noStyle : makeStyle(options.color ?? 'auto', env, terminal);
      const width = terminal?.isTTY ? terminal.columns : null;
      const table = { view, style, width, quiet, verbose: options.verbose ?? false, retryCommand };
      return { sink, isForPeople: true, end: (result, meta) => tableReport(result, meta, table) };
    }
  }
}

/** Most commands have no numbers that are worth watching. */
function refuseMetrics({ command, view, formats }: OutputOptions): void {
  if (view.metrics !== undefined || !formats.some(({ format }) => format === 'prometheus')) return;
  throw new UsageError(`tenantctl ${command} has no output format prometheus`, {
    hint: 'tenantctl backups report has it',
  });
}

/** GitHub names a file for what a step wants to show. */
function summaryReport({ formats, env, cwd, view, retryCommand = null }: OutputOptions): readonly Report[] {
  const file = env.GITHUB_STEP_SUMMARY;
  if (!file || !formats.some(({ format }) => format === 'github')) return [];
  const end: Report['end'] = (result, meta) => stepSummary(result, meta, { view, retryCommand });
  return [{ sink: openStepSummary(file, cwd), isExtra: true, end }];
}

function stdoutSink(stdout: ResultStream): Sink {
  return {
    name: 'stdout',
    write: (text) => (text === '' ? undefined : stdout.write(text)),
    close: async () => stdout.flush?.(),
    discard: async () => {},
  };
}
