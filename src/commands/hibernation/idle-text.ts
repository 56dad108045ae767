import { formatDuration } from '../../fleet/duration.ts';
import type { HibernatePolicy } from '../../fleet/inventory/hibernate.ts';
import { printable } from '../../fleet/inventory/names.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import { formatBytes, plural } from '../../words.ts';
import type { IdleValue } from './idle-value.ts';

/** How many tenants are what, and what sleeping would save. */
export interface IdleTotals {
  readonly inUse: number;
  readonly idle: number;
  readonly unknown: number;
  readonly exempt: number;
  readonly asleep: number;
  /** Of the idle ones together, on disk. */
  readonly idleBytes: number;
  /** Servers at Amazon RDS of which every tenant is idle. */
  readonly wholeServers: readonly string[];
}

export function sumUpIdle(outcomes: readonly Outcome<IdleValue>[]): IdleTotals {
  const done = outcomes.flatMap((outcome) => (outcome.status === 'done' ? [outcome] : []));
  const count = (verdict: IdleValue['verdict']) => done.filter(({ value }) => value.verdict === verdict).length;
  const idle = done.filter(({ value }) => value.verdict === 'idle');
  return {
    inUse: count('in-use'),
    idle: idle.length,
    unknown: count('unknown'),
    exempt: count('exempt'),
    asleep: count('asleep'),
    idleBytes: idle.reduce((sum, { value }) => sum + (value.sizeBytes ?? 0), 0),
    wholeServers: [...new Set(done.flatMap(({ tenant, value }) => (value.isWholeServer ? [tenant.server] : [])))],
  };
}

/** Reasons that are told one by one; the others are in json. */
const shownReasons = 5;

export function describeIdle(
  environment: string,
  policy: HibernatePolicy,
  outcomes: readonly Outcome<IdleValue>[],
): readonly string[] {
  const totals = sumUpIdle(outcomes);
  const { afterMs, samples, tiers, tierLabel } = policy;
  const whose = tiers.length === 0 ? '' : `, ${tierLabel} ${tiers.join(' or ')}`;
  return [
    `environment ${environment}: idle after ${formatDuration(afterMs)} without use, ${plural(samples, 'sample')}${whose}`,
    countLine(totals),
    ...totals.wholeServers.map((server) => `server ${server}: every tenant is idle, the whole of it can sleep`),
    ...unknownLines(outcomes),
  ].map(printable);
}

function countLine(totals: IdleTotals): string {
  const counts = [
    [totals.idle, `idle (${formatBytes(totals.idleBytes)})`],
    [totals.inUse, 'in use'],
    [totals.unknown, 'unknown'],
    [totals.exempt, 'exempt'],
    [totals.asleep, 'asleep'],
  ] as const;
  const parts = counts.flatMap(([count, word], index) => (count > 0 || index === 0 ? [`${count} ${word}`] : []));
  return parts.join(', ');
}

/** Why it is not known, and from when it can be: the earliest time, for they differ by seconds. */
function unknownLines(outcomes: readonly Outcome<IdleValue>[]): readonly string[] {
  const unknown = outcomes.flatMap((outcome) => {
    return outcome.status === 'done' && outcome.value.verdict === 'unknown' ? [outcome.value] : [];
  });
  const groups = [...Map.groupBy(unknown, ({ why }) => why ?? '')].toSorted(([, a], [, b]) => b.length - a.length);
  const lines = groups.slice(0, shownReasons).map(([why, members]) => {
    const [earliest] = members.flatMap(({ knowableAt }) => knowableAt ?? []).toSorted();
    const when = earliest === undefined ? '' : `; known from ${minuteOf(earliest)} UTC on`;
    return `unknown of ${members.length}: ${why}${when}`;
  });
  return groups.length > shownReasons ? [...lines, '… and more reasons, listed in json'] : lines;
}

/** `2026-11-22 10:15`. */
export function minuteOf(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}
