import { describe, expect, it } from 'vitest';
import { type KeepCandidate, keepReasons } from '../../../src/backups/retention/keep-rules.ts';
import type { KeepRules } from '../../../src/fleet/inventory/backups.ts';
import { makeRandom, type Random, testSeeds } from '../../support/random.ts';
import { ago, dayMs, hourMs, noRules, now } from './samples.ts';

function candidate(takenAt: Date | string, more: Partial<KeepCandidate> = {}): KeepCandidate {
  return { takenAt: new Date(takenAt), pinned: null, isBad: false, verified: null, holds: [], ...more };
}

function judge(candidates: readonly KeepCandidate[], rules: Partial<KeepRules>): readonly (readonly string[])[] {
  return keepReasons(candidates, { ...noRules, ...rules }, now);
}

describe('the rules keep', () => {
  it('the newest ones', () => {
    const days = [1, 2, 3, 4].map((day) => candidate(ago(day * dayMs)));
    expect(judge(days, { last: 2 })).toEqual([['last 1 of 2', 'newest'], ['last 2 of 2'], [], []]);
  });

  it('the newest of each period that has one, and count only these', () => {
    const times = ['2026-11-20T23:59:59Z', '2026-11-20T01:00:00Z', '2026-11-11T12:00:00Z', '2026-11-11T00:00:00Z'];
    const older = ['2026-10-31T00:00:00Z', '2025-01-01T00:00:00Z'];
    const backups = [...times, ...older].map((time) => candidate(time));
    expect(judge(backups, { daily: 3 })).toEqual([
      ['daily 2026-11-20', 'newest'],
      [],
      ['daily 2026-11-11'],
      [],
      ['daily 2026-10-31'],
      [],
    ]);
    expect(judge(backups, { hourly: 2 }).map((reasons) => reasons[0])).toEqual([
      'hourly 2026-11-20T23',
      'hourly 2026-11-20T01',
      ...[undefined, undefined, undefined, undefined],
    ]);
    expect(judge(backups, { monthly: 2 }).flat()).toEqual(['monthly 2026-11', 'newest', 'monthly 2026-10']);
    expect(judge(backups, { yearly: 2 }).flat()).toEqual(['yearly 2026', 'newest', 'yearly 2025']);
  });

  it.each([
    ['2026-01-01T00:00:00Z', '2026-W01'],
    ['2027-01-01T00:00:00Z', '2026-W53'],
    ['2027-01-03T23:59:59Z', '2026-W53'],
    ['2027-01-04T00:00:00Z', '2027-W01'],
    ['2024-12-30T00:00:00Z', '2025-W01'],
    ['2026-11-22T23:59:59Z', '2026-W47'],
  ])('%s for the week %s', (time, week) => {
    expect(judge([candidate(time)], { weekly: 1 })[0]).toContain(`weekly ${week}`);
  });

  it('the oldest for as long as a rule has room', () => {
    const day = ['2026-11-20T03:00:00Z', '2026-11-20T02:00:00Z', '2026-11-20T01:00:00Z'].map((it) => candidate(it));
    expect(judge(day, { daily: 1 })[2]).toEqual([]);
    expect(judge(day, { daily: 2 })).toEqual([['daily 2026-11-20', 'newest'], [], ['oldest for daily']]);
  });

  it('what is so much older than the newest, whatever the time is now', () => {
    const old = [90, 92, 92.1].map((day) => candidate(ago(day * dayMs)));
    expect(judge(old, { withinMs: 2 * dayMs })).toEqual([['within 2d', 'newest'], ['within 2d'], []]);
  });

  it('the others when a clock made one of the future', () => {
    const backups = [candidate('2031-01-01T00:00:00Z'), candidate(ago(dayMs)), candidate(ago(4 * dayMs))];
    expect(judge(backups, { withinMs: 2 * dayMs })).toEqual([['within 2d', 'newest'], ['within 2d'], []]);
  });

  it('a bad one in no slot, and the newest of all only as such', () => {
    const bad = { isBad: true };
    const backups = [candidate(ago(0), bad), candidate(ago(dayMs)), candidate(ago(2 * dayMs), bad)];
    expect(judge([...backups, candidate(ago(3 * dayMs))], { last: 1, withinMs: 9 * dayMs })).toEqual([
      ['newest'],
      ['last 1 of 1', 'within 9d', 'last good'],
      [],
      ['within 9d'],
    ]);
  });

  it('the last one that was restored, else the last whose content was read', () => {
    const [content, restore] = [{ verified: 'content' }, { verified: 'restore' }] as const;
    const backups = [
      candidate(ago(0)),
      candidate(ago(1), content),
      candidate(ago(2), restore),
      candidate(ago(3), restore),
    ];
    expect(judge(backups, { last: 1 }).slice(1)).toEqual([[], ['last verified'], []]);
    expect(judge(backups.slice(0, 2), { last: 1 })[1]).toEqual(['last verified']);
  });

  it('what is pinned or held', () => {
    const held = candidate(ago(9 * dayMs), { pinned: 'audit', holds: ['needed by acme'] });
    expect(judge([candidate(ago(0)), held, candidate(ago(10 * dayMs))], { last: 1 })).toEqual([
      ['last 1 of 1', 'newest'],
      ['pinned: audit', 'needed by acme'],
      [],
    ]);
  });

  it('nothing of nothing', () => {
    expect(judge([], { last: 3, withinMs: dayMs })).toEqual([]);
  });
});

describe('on random backups', () => {
  it.each(testSeeds(process.env.TENANTCTL_SOAK ? 2000 : 150))('seed %i: as the slow way says', (seed) => {
    const random = makeRandom(seed);
    const candidates = randomCandidates(random);
    const rules = randomRules(random);
    const kept = keepReasons(candidates, rules, now).map((reasons) => reasons.length > 0);
    expect(kept).toEqual(candidates.map((it) => isKeptSlowly(it, candidates, rules)));
    const newest = Math.max(...candidates.map(({ takenAt }) => takenAt.getTime()));
    expect(candidates.every(({ takenAt }, index) => takenAt.getTime() !== newest || kept[index])).toBe(true);
  });

  it.each(testSeeds(40))('seed %i: what was expired once changes nothing of what is kept the next time', (seed) => {
    const random = makeRandom(seed);
    const candidates = randomCandidates(random);
    const rules = randomRules(random);
    const kept = candidates.filter((_, index) => keepReasons(candidates, rules, now)[index]!.length > 0);
    expect(keepReasons(kept, rules, now).every((reasons) => reasons.length > 0)).toBe(true);
  });
});

function randomCandidates(random: Random): readonly KeepCandidate[] {
  const spanMs = random.pick([dayMs, 10 * dayMs, 100 * dayMs, 1500 * dayMs]);
  const times = new Set(Array.from({ length: random.between(0, 60) }, () => random.between(0, spanMs / 60_000)));
  return random
    .shuffle([...times])
    .map((minutes) =>
      candidate(ago(minutes * 60_000), {
        isBad: random.chance(0.2),
        pinned: random.chance(0.05) ? 'audit' : null,
        verified: random.chance(0.1) ? random.pick(['restore', 'content'] as const) : null,
        holds: random.chance(0.05) ? ['needed by acme'] : [],
      }),
    )
    .map((it) => (it.isBad ? { ...it, verified: null } : it));
}

function randomRules(random: Random): KeepRules {
  const count = () => (random.chance(0.5) ? 0 : random.between(1, 9));
  return {
    last: count(),
    hourly: count(),
    daily: count(),
    weekly: count(),
    monthly: count(),
    yearly: count(),
    withinMs: random.chance(0.5) ? 0 : random.between(1, 200) * hourMs,
  };
}

/** Period by period, with nothing remembered: the meaning of the rules, not a way to work them out. */
function isKeptSlowly(it: KeepCandidate, all: readonly KeepCandidate[], rules: KeepRules): boolean {
  const isNewest = (one: KeepCandidate, of: readonly KeepCandidate[]) =>
    of.every(({ takenAt }) => takenAt <= one.takenAt);
  const good = all.filter(({ isBad }) => !isBad);
  const restored = good.filter(({ verified }) => verified === 'restore');
  const read = good.filter(({ verified }) => verified === 'content');
  const proven = restored.length > 0 ? restored : read;
  if (it.pinned !== null || it.holds.length > 0 || isNewest(it, all)) return true;
  if (it.isBad) return false;
  if (isNewest(it, good) || (proven.includes(it) && isNewest(it, proven))) return true;
  if (good.filter(({ takenAt }) => takenAt > it.takenAt).length < rules.last) return true;
  const newestMs = Math.max(...good.map(({ takenAt }) => takenAt.getTime()));
  if (rules.withinMs > 0 && newestMs - it.takenAt.getTime() <= rules.withinMs) return true;
  const isOldest = good.every(({ takenAt }) => takenAt >= it.takenAt);
  return Object.entries(periods).some(([rule, period]) => {
    const room = rules[rule as keyof typeof periods];
    const newerPeriods = new Set(
      good.filter(({ takenAt }) => takenAt > it.takenAt).map(({ takenAt }) => period(takenAt)),
    );
    const sameNewer = newerPeriods.delete(period(it.takenAt));
    if (sameNewer) return isOldest && newerPeriods.size + 1 < room;
    return newerPeriods.size < room;
  });
}

const periods = {
  hourly: (time: Date) => Math.floor(time.getTime() / hourMs),
  daily: (time: Date) => Math.floor(time.getTime() / dayMs),
  // The first day of 1970 was a Thursday; weeks begin on Mondays.
  weekly: (time: Date) => Math.floor((time.getTime() + 3 * dayMs) / (7 * dayMs)),
  monthly: (time: Date) => time.getUTCFullYear() * 12 + time.getUTCMonth(),
  yearly: (time: Date) => time.getUTCFullYear(),
};
