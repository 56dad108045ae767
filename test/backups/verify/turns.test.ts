import { describe, expect, it } from 'vitest';
import type { Backup, VerificationLevel } from '../../../src/backups/repository/backup.ts';
import { chooseDue, isOverdue, readTurn, type Turn } from '../../../src/backups/verify/turns.ts';
import { makeRandom, testSeeds } from '../../support/random.ts';

const day = 86_400_000;
const soak = process.env.TENANTCTL_SOAK === '1';

function turn(subject: string, lastAt: number | null, since = 0, isBad = false): Turn<string> {
  return { subject, lastAt, since, isBad };
}

function names(due: readonly Turn<string>[]): readonly string[] {
  return due.map(({ subject }) => subject);
}

describe('who is due', () => {
  it('is nobody of those just looked at', () => {
    expect(chooseDue([turn('a', 100 * day), turn('b', 100 * day)], 30 * day, 100 * day)).toEqual([]);
  });

  it('is everybody when the cycle is over, the longest ago first and those never looked at before them', () => {
    const turns = [turn('b', 20 * day), turn('a', 10 * day), turn('c', null, 50 * day), turn('d', null, 40 * day)];
    expect(names(chooseDue(turns, 30 * day, 100 * day))).toEqual(['d', 'c', 'a', 'b']);
  });

  it('is a fair share: with 24 tenants verified on one day, one a day in a planned cycle of 24', () => {
    const turns = Array.from({ length: 24 }, (_, index) => turn(`t${index}`, 0));
    expect(chooseDue(turns, 30 * day, day)).toHaveLength(1);
    expect(chooseDue(turns, 30 * day, 5 * day)).toHaveLength(5);
    expect(chooseDue(turns, 30 * day, 24 * day)).toHaveLength(24);
  });

  it('is a bad one each time, until it is good', () => {
    const turns = [turn('good', 99 * day), turn('bad', 99 * day, 0, true)];
    expect(names(chooseDue(turns, 30 * day, 99 * day))).toEqual(['bad']);
  });
});

describe('the last turn', () => {
  const backup = (takenAt: number, ...results: readonly (readonly [string, string, number])[]): Backup => {
    const read = results.map(([level, verdict, at]) => ({ level, verdict, at: new Date(at).toISOString() }));
    return { takenAt: new Date(takenAt), verification: { results: read } } as unknown as Backup;
  };

  it('is the newest look at that level or a higher one, at whichever backup', () => {
    const backups = [
      backup(9 * day, ['manifest', 'passed', 9 * day]),
      backup(5 * day, ['content', 'passed', 6 * day], ['restore', 'passed', 7 * day]),
    ];
    const lastAt = (level: VerificationLevel) => readTurn('a', backups, level).lastAt;
    expect(['manifest', 'content', 'restore'].map((level) => lastAt(level as never))).toEqual([
      9 * day,
      7 * day,
      7 * day,
    ]);
    expect(readTurn('a', backups.slice(0, 1), 'content')).toMatchObject({ lastAt: null, since: 9 * day });
  });

  it('is no look that could not be taken; a bad one is one', () => {
    const backups = [backup(0, ['restore', 'could-not-run', 9 * day], ['content', 'bad', 8 * day])];
    expect(readTurn('a', backups, 'content')).toMatchObject({ lastAt: 8 * day, isBad: true });
    expect(readTurn('a', backups, 'restore')).toMatchObject({ lastAt: null, isBad: false });
  });
});

describe('a cycle of 30 days', () => {
  const cycle = 30 * day;
  // The promise holds with runs at least every fifth of the cycle.
  const longestGap = cycle / 5;

  it.each(testSeeds(soak ? 500 : 30))(
    'lets nobody wait longer, over 60 days of runs at random times (seed %i)',
    (seed) => {
      const random = makeRandom(seed);
      const lastAt = new Map<string, number | null>();
      const since = new Map<string, number>();
      const add = (name: string, at: number) => {
        lastAt.set(name, null);
        since.set(name, at);
      };
      const count = random.between(1, 200);
      for (let index = 0; index < count; index += 1) add(`t${index}`, 0);
      const perRun: number[] = [];
      let longest = 0;
      for (let now = 0; now < 60 * day; now += random.between(1, random.chance(0.3) ? longestGap : day)) {
        if (random.chance(0.1)) add(`born ${now}`, now);
        const turns = [...lastAt].map(([name, at]) => turn(name, at, since.get(name)));
        for (const each of turns) {
          expect(isOverdue(each, cycle, now), `${each.subject} at day ${now / day}`).toBe(false);
          longest = Math.max(longest, now - (each.lastAt ?? each.since));
        }
        const due = chooseDue(turns, cycle, now);
        perRun.push(due.length);
        for (const { subject } of due) lastAt.set(subject, now);
      }
      // Each had its turn, and no run had to do all at once.
      expect([...lastAt].filter(([name, at]) => at === null && since.get(name)! < 30 * day)).toEqual([]);
      expect(longest).toBeGreaterThan(0);
      if (count > 20) expect(Math.max(...perRun)).toBeLessThan(count / 2);
    },
  );
});
