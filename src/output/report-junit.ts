import type { Outcome } from '../fleet/outcome.ts';
import type { CauseOptions } from './causes.ts';
import { inChunks } from './chunks.ts';
import {
  type Case,
  type CaseStatus,
  commandCase,
  findingCase,
  sourceCase,
  statusOf,
  tenantCase,
} from './junit-cases.ts';
import type { ReportMeta, Result, SourceReport } from './result.ts';
import { xmlAttributes, xmlText } from './xml.ts';

/** One server, or the command itself. */
interface Suite {
  readonly name: string;
  readonly outcomes: readonly Outcome[];
  readonly sources: readonly SourceReport[];
  /** The command's own, and what it found that is not about one tenant. */
  readonly own: readonly Case[];
}

interface Counts {
  tests: number;
  failures: number;
  errors: number;
  skipped: number;
  durationMs: number;
}

/** JUnit XML in pieces: a suite a server, a case a tenant, an error for what could not be read or was refused. */
export function junitReport(result: Result, meta: ReportMeta, options: CauseOptions): Generator<string> {
  return inChunks(junitLines(result, meta, options));
}

function* junitLines(result: Result, meta: ReportMeta, options: CauseOptions): Generator<string> {
  const suites = suitesOf(result, meta);
  const counts = suites.map(countSuite);
  const { durationMs: _, ...all } = sumOf(counts);
  yield '<?xml version="1.0" encoding="UTF-8"?>\n';
  yield `<testsuites${xmlAttributes({ name: `tenantctl ${meta.command}`, ...all, time: seconds(meta.durationMs) })}>\n`;
  for (const [index, suite] of suites.entries()) {
    const { durationMs, ...own } = counts[index]!;
    yield `  <testsuite${xmlAttributes({ name: suite.name, ...own, time: seconds(durationMs) })}>\n`;
    yield* propertyLines(result);
    for (const own of suite.own) yield caseText(own);
    for (const source of suite.sources) yield caseText(sourceCase(source, meta));
    for (const outcome of suite.outcomes) yield caseText(tenantCase(outcome, meta, options));
    yield '  </testsuite>\n';
  }
  yield '</testsuites>\n';
}

function suitesOf(result: Result, meta: ReportMeta): readonly Suite[] {
  const byServer = new Map<string, { readonly outcomes: Outcome[]; readonly sources: SourceReport[] }>();
  const of = (server: string) => {
    const known = byServer.get(server) ?? { outcomes: [], sources: [] };
    byServer.set(server, known);
    return known;
  };
  for (const outcome of result.outcomes) of(outcome.tenant.server).outcomes.push(outcome);
  for (const source of failedSources(result)) of(source.server).sources.push(source);
  const name = `tenantctl ${meta.command}`;
  const found = (result.findings ?? []).map((finding) => findingCase(finding, meta));
  const own = { name, outcomes: [], sources: [], own: found.length > 0 ? found : [commandCase(result, meta)] };
  const suites = [...byServer].map(([server, of]) => ({ name: `${name}: ${server}`, ...of, own: [] }));
  return isToldByCases(result, meta) ? suites : [own, ...suites];
}

/** Would CI show the exit code's colour, and anything at all, without a case for the command itself? */
function isToldByCases(result: Result, { exitCode }: ReportMeta): boolean {
  if ((result.findings ?? []).length > 0) return false;
  const { outcomes } = result;
  if (exitCode === 0) return outcomes.length > 0;
  return (
    failedSources(result).length > 0 || outcomes.some((outcome) => ['failure', 'error'].includes(statusOf(outcome)))
  );
}

/** A server that sleeps is no error of the run. */
function failedSources({ sources = [] }: Result): readonly SourceReport[] {
  return sources.filter(({ hibernated }) => hibernated !== true);
}

function countSuite({ outcomes, sources, own }: Suite): Counts {
  const counts = { tests: 0, failures: 0, errors: 0, skipped: 0, durationMs: 0 };
  const add = (status: CaseStatus, durationMs: number): void => {
    counts.tests += 1;
    counts.durationMs += durationMs;
    if (status === 'failure') counts.failures += 1;
    else if (status === 'error') counts.errors += 1;
    else if (status === 'skipped') counts.skipped += 1;
  };
  for (const { status, durationMs } of own) add(status, durationMs);
  for (const _ of sources) add('error', 0);
  for (const outcome of outcomes) add(statusOf(outcome), outcome.durationMs);
  return counts;
}

function sumOf(counts: readonly Counts[]): Counts {
  const sum = { tests: 0, failures: 0, errors: 0, skipped: 0, durationMs: 0 };
  for (const one of counts) {
    for (const key of ['tests', 'failures', 'errors', 'skipped', 'durationMs'] as const) sum[key] += one[key];
  }
  return sum;
}

function* propertyLines({ run, environment }: Result): Generator<string> {
  const properties = Object.entries({ run, environment }).filter(([, value]) => value != null);
  if (properties.length === 0) return;
  yield '    <properties>\n';
  for (const [name, value] of properties) yield `      <property${xmlAttributes({ name, value: value ?? '' })}/>\n`;
  yield '    </properties>\n';
}

function caseText({ classname, name, durationMs, file, status, type, message, lines = [] }: Case): string {
  const place = { file: file?.file, line: file?.file === undefined ? undefined : file.line };
  const head = `    <testcase${xmlAttributes({ classname, name, time: seconds(durationMs), ...place })}`;
  if (status === 'passed') return `${head}/>\n`;
  const verdict = `${status}${xmlAttributes({ type, message })}`;
  const text = lines.map(xmlText).join('\n');
  const body = text === '' ? `<${verdict}/>` : `<${verdict}>${text}</${status}>`;
  return `${head}>\n      ${body}\n    </testcase>\n`;
}

function seconds(durationMs: number): string {
  return (durationMs / 1000).toFixed(3);
}
