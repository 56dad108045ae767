import { formatDuration } from '../../fleet/duration.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { RehearsalResult } from '../../migrations/rehearsal.ts';
import { listNames, plural } from '../../words.ts';
import { alignRows } from '../align-rows.ts';
import { countTenants } from './migration-view.ts';

interface Rehearsed {
  readonly tenant: Tenant;
  readonly value: RehearsalResult;
}

/** What a lock means for those who use the table meanwhile. */
const meanings: Readonly<Record<string, string>> = {
  AccessExclusiveLock: 'nobody reads or writes',
  ExclusiveLock: 'nobody writes',
  ShareRowExclusiveLock: 'nobody writes',
  ShareLock: 'nobody writes',
  ShareUpdateExclusiveLock: 'reading and writing go on',
};

/** The report of a rehearsal: times of each migration over the tenants, locks, and what it could not show. */
export function describeRehearsal(
  environment: string,
  pending: number,
  outcomes: readonly Outcome<RehearsalResult>[],
  shared: readonly Outcome<RehearsalResult>[],
): string[] {
  const rehearsed = doneOnes(outcomes);
  const first = `environment ${environment}: ${describeCount(rehearsed.length, pending)}`;
  const ofShared = shared.flatMap((outcome) => describeShared(outcome));
  const lines = [first, ...ofShared, ...describeAll(rehearsed)];
  const ran = [...rehearsed, ...doneOnes(shared)].some(({ value }) => value.migrations.length > 0);
  const isPartial = [...rehearsed, ...doneOnes(shared)].some(({ value }) => value.notRehearsed.length > 0);
  return [...lines, ...(isPartial ? [limit] : []), ...(ran ? [warning] : [])];
}

/** Said in each report: who reads it has not read the docs. */
const warning =
  'not rolled back: what nextval took from sequences, and what functions do elsewhere (dblink, foreign servers, files)';
const limit =
  'not rehearsed: what runs without a transaction, or may end it by itself, and all that comes after it on that tenant';

function doneOnes(outcomes: readonly Outcome<RehearsalResult>[]): Rehearsed[] {
  return outcomes.flatMap((outcome) => (outcome.status === 'done' ? [outcome] : []));
}

function describeCount(rehearsed: number, pending: number): string {
  if (pending === 0) return 'nothing to rehearse, no migration is pending';
  return `rehearsed on ${rehearsed} of ${countTenants(pending)} with pending migrations, and rolled back`;
}

function describeShared(outcome: Outcome<RehearsalResult>): string[] {
  const { schema, server, database } = outcome.tenant;
  const place = `shared schema ${schema} in ${server}/${database}`;
  if (outcome.status === 'done') {
    const lines = describeAll([outcome]).map((line) => `  ${line}`);
    return [`${place}, rehearsed first; the tenants were rehearsed without what it makes:`, ...lines];
  }
  const error = 'error' in outcome ? outcome.error : undefined;
  return [`${place}: ${outcome.status}${error === undefined ? '' : `: ${error.message}`}`];
}

function describeAll(rehearsed: readonly Rehearsed[]): string[] {
  if (rehearsed.length === 0) return [];
  return [...describeTimes(rehearsed), ...describeLocks(rehearsed), ...describeWrites(rehearsed)];
}

function describeTimes(rehearsed: readonly Rehearsed[]): readonly string[] {
  const plans = rehearsed.map(({ value }) => [...value.migrations.map(({ name }) => name), ...value.notRehearsed]);
  // Who has most pending shows the order best.
  const names = new Set(plans.toSorted((a, b) => b.length - a.length).flat());
  const whole = rehearsed.map(({ tenant, value }) => ({ tenant, ms: value.durationMs }));
  return alignRows([
    ['MIGRATION', 'TENANTS', 'MEDIAN', 'WORST'],
    ...[...names].map((name) => timesOf(name, rehearsed)),
    ['the whole transaction', ...describeDurations(whole)],
  ]);
}

function timesOf(name: string, rehearsed: readonly Rehearsed[]): string[] {
  const durations = rehearsed.flatMap(({ tenant, value }) =>
    value.migrations.flatMap((each) => (each.name === name ? [{ tenant, ms: each.durationMs }] : [])),
  );
  const left = rehearsed.filter(({ value }) => value.notRehearsed.includes(name)).length;
  if (durations.length === 0) return [name, '0', '-', `not rehearsed${left < rehearsed.length ? ` on ${left}` : ''}`];
  const [count = '', median = '', worst = ''] = describeDurations(durations);
  return [name, count, median, left === 0 ? worst : `${worst}; not rehearsed on ${left}`];
}

interface Duration {
  readonly tenant: Tenant;
  readonly ms: number;
}

function describeDurations(durations: readonly Duration[]): string[] {
  const sorted = durations.toSorted((a, b) => a.ms - b.ms);
  const [middle, worst] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted.at(-1)];
  if (middle === undefined || worst === undefined) return ['0', '-', '-'];
  return [String(sorted.length), formatDuration(middle.ms), `${formatDuration(worst.ms)} (${worst.tenant.id})`];
}

/** The same table of several tenants is one line. */
function describeLocks(rehearsed: readonly Rehearsed[]): string[] {
  const held = Map.groupBy(
    rehearsed.flatMap(({ tenant, value }) => value.locks.map((lock) => ({ tenant, lock }))),
    ({ lock }) => JSON.stringify([lock.mode, lock.relation]),
  );
  if (held.size === 0) return ['no lock that keeps others from reading or writing what was there before'];
  const order = Object.keys(meanings);
  const worst = formatDuration(Math.max(...rehearsed.map(({ value }) => value.durationMs)));
  const lines = [...held.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const { mode, relation } = first.lock;
    return [{ mode, cells: [mode, relation, `${meanings[mode] ?? ''} (${plural(group.length, 'tenant')})`] }];
  });
  lines.sort((a, b) => order.indexOf(a.mode) - order.indexOf(b.mode));
  return [
    `locks on what was there before, held to the end of the transaction (at most ${worst}):`,
    ...alignRows(lines.map(({ cells }) => cells)).map((line) => `  ${line}`),
  ];
}

function describeWrites(rehearsed: readonly Rehearsed[]): string[] {
  const most = new Map<string, number>();
  for (const { value } of rehearsed) {
    for (const { relation, rows } of value.writes) most.set(relation, Math.max(most.get(relation) ?? 0, rows));
  }
  if (most.size === 0) return [];
  const sorted = [...most].sort(([, a], [, b]) => b - a).map(([relation, rows]) => `${relation} ${rows}`);
  return [`rows written, the most of a tenant: ${listNames(sorted, 10)}`];
}
