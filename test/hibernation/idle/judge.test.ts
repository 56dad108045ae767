import { describe, expect, it } from 'vitest';
import { forgetOld, judgeUse, type OwnWork, type UseFacts } from '../../../src/hibernation/idle/judge.ts';
import { foldStretches, type Stretch } from '../../../src/hibernation/idle/stretch.ts';
import { makeRandom, type Random, testSeeds } from '../../support/random.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const limits = { afterMs: 10 * dayMs, samples: 10 };
const now = 100 * dayMs;

function sample(at: number, counts: readonly number[], more: Partial<Stretch> = {}): Stretch {
  const times = { from: at, to: at, samples: 1, longestGapMs: 0 };
  const server = { mark: 'm', set: 's', started: 1, lastScan: null };
  return { ...times, before: counts, after: counts, ...server, isPresent: false, sizeBytes: 1, login: null, ...more };
}

/** A sample each twelve hours to `now`, the first one so many days ago. */
function watched(days: number, of: (daysAgo: number) => Partial<Stretch> = () => ({})): readonly Stretch[] {
  return Array.from({ length: days * 2 + 1 }, (_, index) => {
    const daysAgo = days - index / 2;
    return sample(now - daysAgo * dayMs, [1, 1], of(daysAgo));
  });
}

/** Both counts, as one sample has them. */
const counts = (...both: readonly number[]) => ({ before: both, after: both });

function judge(stretches: readonly Stretch[], ownWork: readonly OwnWork[] = [], countsWrites = true) {
  const facts: UseFacts = { stretches, ownWork, countsWrites };
  const verdict = judgeUse(facts, limits, now);
  const folded = foldStretches(stretches);
  expect(judgeUse({ ...facts, stretches: folded }, { ...limits, samples: 1 }, now).state).toBe(
    judgeUse(facts, { ...limits, samples: 1 }, now).state,
  );
  return verdict;
}

const hoursOf = (daysAgo: number, readsOnly = false): OwnWork => {
  return { from: now - (daysAgo + 0.1) * dayMs, to: now - (daysAgo - 0.1) * dayMs, readsOnly };
};

describe('a tenant', () => {
  it('is idle when nothing was counted for long enough', () => {
    expect(judge(watched(10))).toEqual({ state: 'idle', since: now - 10 * dayMs, lastUse: null });
    const used = judge(watched(20, (ago) => (ago < 15 ? counts(1, 2) : {})));
    expect(used).toEqual({ state: 'idle', since: now - 14.5 * dayMs, lastUse: now - 14.5 * dayMs });
  });

  it('is in use when anything was counted, or somebody was there', () => {
    expect(judge(watched(10, (ago) => (ago < 3 ? counts(1, 2) : {})))).toMatchObject({ state: 'in-use' });
    expect(judge(watched(10, (ago) => (ago < 3 ? counts(2, 1) : {})))).toMatchObject({ state: 'in-use' });
    expect(judge(watched(10, (ago) => (ago === 10 ? { isPresent: true } : {})))).toMatchObject({ state: 'in-use' });
  });

  it('was last used when the server saw the last scan, where nothing but scans was counted', () => {
    const lastScan = now - 2.7 * dayMs;
    const read = judge(watched(10, (ago) => (ago < 3 ? { ...counts(1, 2), lastScan } : {})));
    expect(read).toEqual({ state: 'in-use', lastUse: lastScan });
    const written = judge(watched(10, (ago) => (ago < 3 ? { ...counts(2, 2), lastScan } : {})));
    expect(written).toEqual({ state: 'in-use', lastUse: now - 2.5 * dayMs });
  });

  it.each<[string, (ago: number) => Partial<Stretch>]>([
    ['a counter that went backwards', (ago) => (ago < 3 ? counts(0, 1) : {})],
    ['counters that were reset', (ago) => (ago < 3 ? { mark: 'other' } : {})],
    ['tables that came or went', (ago) => (ago < 3 ? { set: 'other' } : {})],
  ])('is unknown after %s', (_, of) => {
    const verdict = judge(watched(10, of));
    expect(verdict).toMatchObject({ state: 'unknown', why: 'lost', knowableAt: now - 2.5 * dayMs + limits.afterMs });
  });

  it('is unknown while it is not watched for long enough, or too seldom, or not any more', () => {
    expect(judge([])).toMatchObject({ state: 'unknown', why: 'unseen' });
    expect(judge(watched(9))).toMatchObject({ state: 'unknown', why: 'young', knowableAt: now + dayMs });
    const few = [10, 8, 6, 4, 2, 0].map((ago) => sample(now - ago * dayMs, [1, 1]));
    expect(judge(few)).toMatchObject({ state: 'unknown', why: 'few', knowableAt: null });
    const hole = watched(10).filter(({ from }) => from <= now - 7 * dayMs || from >= now - 4 * dayMs);
    expect(judge(hole)).toMatchObject({ state: 'unknown', why: 'hole', knowableAt: now + 3.5 * dayMs });
    const ended = watched(14).filter(({ from }) => from <= now - 3 * dayMs);
    expect(judge(ended)).toMatchObject({ state: 'unknown', why: 'hole', knowableAt: null });
  });

  it('is not proved by samples in the time of own work, nor used by it', () => {
    const grown = (ago: number) => (ago < 3 ? counts(1, 5) : {});
    expect(judge(watched(10, grown), [hoursOf(2.75)])).toMatchObject({ state: 'idle' });
    expect(judge(watched(10, grown), [hoursOf(6)])).toMatchObject({ state: 'in-use' });
    // Rows that were written while a dump ran are somebody's; a migration writes itself.
    const written = (ago: number) => (ago < 3 ? counts(2, 5) : {});
    expect(judge(watched(10, written), [hoursOf(2.75, true)])).toMatchObject({ state: 'in-use' });
    expect(judge(watched(10, written), [hoursOf(2.75, false)])).toMatchObject({ state: 'idle' });
    expect(judge(watched(10, written), [hoursOf(2.75, true)], false)).toMatchObject({ state: 'idle' });
    const always = (ago: number) => counts(1, 100 - ago * 2);
    const work = { from: 0, to: now, readsOnly: true };
    expect(judge(watched(10, always), [work])).toMatchObject({ state: 'unknown', why: 'own' });
  });

  it('is not proved to be quiet over a restart, and does not begin anew by one', () => {
    expect(judge(watched(10, (ago) => ({ started: ago < 5 ? 2 : 1 })))).toMatchObject({ state: 'idle' });
    expect(judge(watched(10, (ago) => ({ started: ago })))).toMatchObject({ state: 'unknown', why: 'restarts' });
  });

  it('is asked by two at once without harm', () => {
    const asks = { before: [1, 1], after: [1, 2] };
    const first = { ...sample(now - dayMs, [], asks), to: now - dayMs + 1000 };
    const second = { ...sample(now - dayMs + 500, [], { before: [1, 1], after: [1, 3] }), to: now - dayMs + 2000 };
    const rest = watched(10, (ago) => (ago < 1 ? counts(1, 3) : {})).filter(({ from }) => from !== now - dayMs);
    expect(judge([...rest, second, first])).toMatchObject({ state: 'idle' });
  });
});

interface Life {
  readonly stretches: readonly Stretch[];
  readonly ownWork: readonly OwnWork[];
  /** Those that nothing hides. */
  readonly uses: readonly number[];
}

/** A tenant's life by the hour: samples, uses, own work, resets with and without growth after them, restarts. */
function live(random: Random): Life {
  const begin = now - 25 * dayMs;
  const rates = {
    use: random.pick([0, 0.001, 0.01, 0.1]),
    sample: random.pick([0.05, 0.3, 1]),
    rare: random.pick([0, 0.002]),
  };
  const server = { counts: [random.between(0, 3), random.between(0, 9)], mark: 0, started: 0, set: 0 };
  const stretches: Stretch[] = [];
  const ownWork: OwnWork[] = [];
  const uses: { at: number; isWrite: boolean }[] = [];
  for (let at = begin; at <= now; at += hourMs) {
    if (random.chance(rates.use)) {
      const isWrite = random.chance(0.5);
      uses.push({ at, isWrite });
      server.counts = server.counts.map(
        (count, index) => count + (index === (isWrite ? 0 : 1) ? random.between(1, 3) : 0),
      );
    }
    if (random.chance(0.03)) {
      const readsOnly = random.chance(0.6);
      ownWork.push({ from: at + 1, to: at + random.between(1, 3) * hourMs, readsOnly });
      server.counts = [(server.counts[0] ?? 0) + (readsOnly ? 0 : 1), (server.counts[1] ?? 0) + 4];
    }
    if (random.chance(rates.rare)) Object.assign(server, { counts: [0, 0], mark: server.mark + 1 });
    if (random.chance(rates.rare)) server.started = at;
    if (!random.chance(rates.sample)) continue;
    const before = server.counts;
    if (random.chance(0.2)) server.counts = [before[0] ?? 0, (before[1] ?? 0) + 1];
    const identity = { mark: String(server.mark), started: server.started, set: String(server.set) };
    stretches.push({ ...sample(at + 2, before, { after: server.counts, ...identity }), to: at + 3 });
  }
  return {
    stretches,
    ownWork,
    uses: uses.filter(({ at, isWrite }) => !isHidden(at, isWrite, stretches, ownWork)).map(({ at }) => at),
  };
}

/** Between the same two samples tenantctl was at work itself. What is written while it only reads is seen all the same. */
function isHidden(at: number, isWrite: boolean, stretches: readonly Stretch[], ownWork: readonly OwnWork[]): boolean {
  const from = stretches.findLast(({ to }) => to < at)?.to ?? 0;
  const to = stretches.find((each) => each.from >= at)?.from ?? now;
  const beside = ownWork.filter((work) => work.from - 120_000 < to && work.to + 120_000 > from);
  return beside.length > 0 && !(isWrite && beside.every(({ readsOnly }) => readsOnly));
}

describe.each(testSeeds(process.env.TENANTCTL_SOAK === '1' ? 200 : 10))('seed %i', (seed) => {
  it('never calls a tenant idle that was used, whatever was folded or forgotten', () => {
    const random = makeRandom(seed);
    for (let round = 0; round < 15; round += 1) {
      const { stretches, ownWork, uses } = live(random);
      const facts = { stretches, ownWork, countsWrites: true };
      const isUsed = uses.some((at) => at >= now - limits.afterMs && at <= (stretches.at(-1)?.from ?? 0));
      const verdict = judgeUse(facts, limits, now);
      const forgotten = forgetOld({ ...facts, stretches: foldStretches(stretches) }, limits, now);
      const later = judgeUse({ ...facts, stretches: forgotten }, limits, now);
      if (isUsed) expect([verdict.state, later.state]).not.toContain('idle');
      if (verdict.state === 'in-use') expect(later.state).toBe('in-use');
      if (later.state === 'idle') expect(verdict.state).toBe('idle');
    }
  });
});
