import { formatDuration } from '../../fleet/duration.ts';
import type { KeepRules } from '../../fleet/inventory/backups.ts';

/** A complete backup, as far as the rules look at it. */
export interface KeepCandidate {
  readonly takenAt: Date;
  /** Why it is pinned now; null: it is not, or no longer. */
  readonly pinned: string | null;
  /** Verification found it to be no good: it keeps no slot from another one. */
  readonly isBad: boolean;
  /** The deepest level that it passed and that proves something of what is in it. */
  readonly verified: 'restore' | 'content' | null;
  /** What else holds it: a tenant's backup that needs it. */
  readonly holds: readonly string[];
}

interface Slots {
  readonly name: string;
  readonly count: number;
  readonly periodOf: (takenAt: Date, index: number) => string;
}

/**
 * Why each of the complete backups of one subject is kept, in their order; an empty list: it may go. The rules are
 * those of restic's `forget`: a rule keeps the newest of each of so many periods that have a backup, in UTC, and the
 * oldest one for as long as it has room left. `within` counts from the newest backup, so that nothing expires for the
 * mere reason that no new one is made. Whatever the rules say, the newest, the last good and the last verified stay.
 */
export function keepReasons(
  candidates: readonly KeepCandidate[],
  rules: KeepRules,
  now: Date,
): readonly (readonly string[])[] {
  const newestFirst = candidates.toSorted((a, b) => b.takenAt.getTime() - a.takenAt.getTime());
  const good = newestFirst.filter(({ isBad }) => !isBad);
  const reasons = new Map<KeepCandidate, string[]>(candidates.map((candidate) => [candidate, []]));
  const add = (candidate: KeepCandidate | undefined, reason: string) => {
    if (candidate !== undefined) reasons.get(candidate)?.push(reason);
  };
  for (const slots of slotsOf(rules)) fillSlots(good, slots, add);
  for (const candidate of within(good, rules.withinMs, now)) add(candidate, `within ${formatDuration(rules.withinMs)}`);
  for (const candidate of candidates) {
    if (candidate.pinned !== null) add(candidate, `pinned: ${candidate.pinned}`);
    for (const hold of candidate.holds) add(candidate, hold);
  }
  add(newestFirst[0], 'newest');
  if (good[0] !== newestFirst[0]) add(good[0], 'last good');
  add(lastVerified(good), 'last verified');
  return candidates.map((candidate) => reasons.get(candidate) ?? []);
}

function slotsOf(rules: KeepRules): readonly Slots[] {
  return [
    { name: 'last', count: rules.last, periodOf: (_, index) => `${index + 1} of ${rules.last}` },
    { name: 'hourly', count: rules.hourly, periodOf: (takenAt) => takenAt.toISOString().slice(0, 13) },
    { name: 'daily', count: rules.daily, periodOf: (takenAt) => takenAt.toISOString().slice(0, 10) },
    { name: 'weekly', count: rules.weekly, periodOf: isoWeek },
    { name: 'monthly', count: rules.monthly, periodOf: (takenAt) => takenAt.toISOString().slice(0, 7) },
    { name: 'yearly', count: rules.yearly, periodOf: (takenAt) => takenAt.toISOString().slice(0, 4) },
  ];
}

function fillSlots(
  newestFirst: readonly KeepCandidate[],
  { name, count, periodOf }: Slots,
  add: (candidate: KeepCandidate, reason: string) => void,
): void {
  let left = count;
  let previous: string | null = null;
  for (const [index, candidate] of newestFirst.entries()) {
    if (left === 0) return;
    const period = periodOf(candidate.takenAt, index);
    const isOldest = index === newestFirst.length - 1;
    if (period === previous && !isOldest) continue;
    add(candidate, period === previous ? `oldest for ${name}` : `${name} ${period}`);
    previous = period;
    left -= 1;
  }
}

/** A backup from the future (a clock that was wrong) must not age all others. */
function within(newestFirst: readonly KeepCandidate[], withinMs: number, now: Date): readonly KeepCandidate[] {
  if (withinMs === 0) return [];
  const newest = newestFirst.find(({ takenAt }) => takenAt <= now);
  if (newest === undefined) return newestFirst;
  const from = newest.takenAt.getTime() - withinMs;
  return newestFirst.filter(({ takenAt }) => takenAt.getTime() >= from);
}

function lastVerified(newestFirst: readonly KeepCandidate[]): KeepCandidate | undefined {
  return (
    newestFirst.find(({ verified }) => verified === 'restore') ??
    newestFirst.find(({ verified }) => verified === 'content')
  );
}

/** `2026-W47`: weeks begin on Monday and belong to the year that has their Thursday. */
function isoWeek(date: Date): string {
  const thursday = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()));
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  const year = thursday.getUTCFullYear();
  const days = (thursday.getTime() - Date.UTC(year, 0, 1)) / 86_400_000;
  return `${year}-W${String(Math.floor(days / 7) + 1).padStart(2, '0')}`;
}
