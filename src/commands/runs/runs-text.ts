import type { Failure } from '../../errors.ts';
import { causeKey, neutralText } from '../../fleet/cause.ts';
import { formatDuration } from '../../fleet/duration.ts';
import type { LedgerEntry } from '../../fleet/ledger.ts';
import { countRun, isShared, type RunRecord, type RunState, wasHibernated } from '../../fleet/run-records.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { listNames, plural, shellQuote } from '../../words.ts';
import { describeTotals, utc } from './runs-list.ts';
import { readRecordedPlan } from './runs-plan.ts';

/** Milliseconds from the start to the end, or to the last sign of life of a run that has none. */
export function runDurationMs({ manifest, end, lastSignAt }: RunRecord): number {
  const ended = end === null ? lastSignAt.getTime() : Date.parse(end.endedAt);
  return Math.max(0, ended - Date.parse(manifest.startedAt));
}

/** What a run was, for people. */
export function describeRun(record: RunRecord, state: RunState): readonly string[] {
  const { manifest } = record;
  const { target } = readRecordedPlan(manifest);
  const host = manifest.host === undefined ? '' : ` on ${manifest.host}`;
  const flags = manifest.flags === undefined ? [] : describeFlags(manifest.flags);
  return [
    `run ${manifest.run}: ${manifest.command}, environment ${manifest.environment}`,
    describeState(record, state),
    `started ${utc(manifest.startedAt)} UTC${host}, by version ${manifest.version}`,
    ...(flags.length === 0 ? [] : [`with ${flags.join(' ')}`]),
    ...(target == null ? [] : [`target ${target}`]),
    describeTotals(countRun(record)),
  ];
}

function describeState(record: RunRecord, state: RunState): string {
  const { end, lastSignAt } = record;
  const after = formatDuration(runDurationMs(record));
  const incomplete = end?.incomplete === true ? '; lines of its record could not be written' : '';
  if (state === 'broken') return `broken off by an error after ${after}: ${end?.error}${incomplete}`;
  if (state === 'running') return `running, with its last sign of life at ${utc(lastSignAt)} UTC`;
  if (state === 'killed') return `killed: it recorded no end, and its last sign of life was at ${utc(lastSignAt)} UTC`;
  return `${state} after ${after}${incomplete}`;
}

/** Switches that are on unless `--no-…` is typed. */
const onUnlessSaid = new Set(['checkOrder', 'sweep']);

/** Recorded flags as they are typed. */
export function describeFlags(flags: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(flags).flatMap(([key, value]) => {
    const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (value === false) return onUnlessSaid.has(key) ? [`--no-${name}`] : [];
    if (value === true) return onUnlessSaid.has(key) ? [] : [`--${name}`];
    const words = Array.isArray(value) ? value : [value];
    return [`--${name}`, ...words.map((word) => shellQuote(String(word)))];
  });
}

/** What did not go well, as a report says it: failures by cause, tenants in the middle, tenants never started. */
export function describeTroubles(record: RunRecord, state: RunState, verbose: boolean): readonly string[] {
  const { tenants, entries } = record;
  // In the order of selection; shared schemas, which are no tenants, come last.
  const settled = [...tenants.flatMap((id) => entries.get(id) ?? []), ...[...entries.values()].filter(isShared)];
  const unsettled = tenants.filter((id) => !entries.has(id));
  const why = state === 'running' ? 'not begun, or in work' : 'in the middle, or not begun, when the run ended';
  return [
    ...groupByCause(settled.filter(({ status }) => status === 'failed')).flatMap((group) => groupLines(group, verbose)),
    ...settled
      .filter(({ status }) => status === 'interrupted')
      .map(({ tenant, step }) => `${tenant} was in the middle when the run was interrupted${step ? ` (${step})` : ''}`),
    ...[
      ...Map.groupBy(
        settled.filter((entry) => entry.status === 'skipped' && !wasHibernated(entry)),
        skipReason,
      ),
    ].flatMap(([reason, group]) => [
      `${plural(group.length, 'tenant')} never started: ${reason}`,
      `  ${names(
        group.map(({ tenant }) => tenant),
        verbose,
      )}`,
    ]),
    ...(unsettled.length === 0
      ? []
      : [`${plural(unsettled.length, 'tenant')} without a line: ${why}`, `  ${names(unsettled, verbose)}`]),
  ];
}

/** A line for each tenant. */
export function describeTenants({ tenants, entries }: RunRecord): readonly string[] {
  return tenants.map((id) => {
    const entry = entries.get(id);
    return entry === undefined ? `${id}  no line` : `${id}  ${entry.status} in ${formatDuration(entry.durationMs)}`;
  });
}

function skipReason({ reason, because }: LedgerEntry): string {
  return because ?? reason ?? 'no reason is recorded';
}

interface CauseGroup {
  readonly failure: Failure;
  readonly tenants: readonly string[];
}

function groupByCause(failed: readonly LedgerEntry[]): readonly CauseGroup[] {
  const groups = Map.groupBy(failed, (entry) => causeKey(failureOf(entry), tenantOf(entry)));
  return [...groups.values()]
    .map((entries): CauseGroup => {
      const { hint: _, ...failure } = failureOf(entries[0]!);
      const message = sharedText(entries, (entry) => failureOf(entry).message) ?? failure.message;
      const hint = sharedText(entries, (entry) => failureOf(entry).hint ?? '') || undefined;
      const said = { ...failure, message, ...(hint === undefined ? {} : { hint }) };
      return { failure: said, tenants: entries.map(({ tenant }) => tenant) };
    })
    .sort((a, b) => b.tenants.length - a.tenants.length);
}

/** A text that all have, if need be without the tenants' own names; null: each has its own. */
function sharedText(entries: readonly LedgerEntry[], textOf: (entry: LedgerEntry) => string): string | null {
  const isOne = (texts: readonly string[]) => texts.every((text) => text === texts[0]);
  const texts = entries.map(textOf);
  if (isOne(texts)) return texts[0] ?? null;
  const neutral = entries.map((entry) => neutralText(textOf(entry), tenantOf(entry)));
  return isOne(neutral) ? (neutral[0] ?? null) : null;
}

function groupLines({ failure, tenants }: CauseGroup, verbose: boolean): readonly string[] {
  const { message, sqlState, file, line, hint } = failure;
  const place = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`;
  return [
    `${plural(tenants.length, 'tenant')}: ${sqlState === undefined ? '' : `${sqlState} `}${message}${place}`,
    `  ${names(tenants, verbose)}`,
    ...(hint === undefined ? [] : [`  hint: ${hint}`]),
  ];
}

function failureOf({ error }: LedgerEntry): Failure {
  const failure = error as Partial<Failure> | null | undefined;
  return typeof failure?.message === 'string' ? (failure as Failure) : { message: 'no error is recorded' };
}

/** As much of a tenant as tells its names in a text from those of others. */
function tenantOf({ tenant, server = '', database = '', schema = null, role }: LedgerEntry): Tenant {
  return { id: tenant, server, database, schema, labels: {}, searchPath: [], role: role ?? null };
}

function names(ids: readonly string[], verbose: boolean): string {
  return verbose ? ids.join(', ') : listNames(ids);
}
