import { describe, expect, it } from 'vitest';
import type { Backup } from '../../../src/backups/repository/backup.ts';
import { backupWindows } from '../../../src/backups/retention/backup-windows.ts';
import { assessBackups, type Condition, type ReportLimits } from '../../../src/backups/retention/condition.ts';
import { ago, backup, dayMs, hourMs, now, result } from './samples.ts';

function assess(backups: readonly Backup[], limits: Partial<ReportLimits> = {}, tenant = 'acme'): Condition {
  return assessBackups([tenant], backups, { rpoMs: null, rtoMs: null, ...limits }, now).get(tenant)!;
}

describe('the newest backup', () => {
  it('is missing, or too old, against rpo', () => {
    const taken = (takenAt: Date) => assess([backup({ takenAt })], { rpoMs: dayMs }).breaches;
    expect(assess([], { rpoMs: dayMs })).toMatchObject({ backup: null, breaches: ['missing'] });
    expect([taken(ago(dayMs)), taken(ago(dayMs + 1))]).toEqual([[], ['rpo']]);
  });

  it('is no damaged one and no bad one', () => {
    const verified = [result('content', 'bad', now)];
    const bad = backup({ takenAt: ago(hourMs), verified });
    const good = backup({ takenAt: ago(2 * dayMs) });
    const cut = backup({ takenAt: ago(0), state: 'wrong-size' });
    expect(assess([cut, bad, good], { rpoMs: dayMs })).toMatchObject({
      backups: 2,
      backup: { time: good.time, ageMs: 2 * dayMs },
      newerBad: { time: cut.time, problem: 'it is damaged' },
      breaches: ['damaged', 'rpo'],
    });
    const newerBad = { time: bad.time, problem: 'verify --level content found it bad' };
    expect(assess([bad, good])).toMatchObject({ newerBad, breaches: ['damaged'] });
    expect(assess([bad])).toMatchObject({ backup: null, newerBad, breaches: ['missing'] });
  });

  it('is in order while a dump may be writing the next, and when an older one is damaged', () => {
    const good = backup({ takenAt: ago(hourMs) });
    const writing = backup({ takenAt: now, state: 'no-manifest' });
    const lost = backup({ takenAt: ago(dayMs), state: 'no-archive' });
    expect(assess([writing, good, lost])).toMatchObject({ backup: { time: good.time }, newerBad: null, breaches: [] });
  });

  it('is that of this tenant', () => {
    expect(assess([backup({ tenant: 'globex', takenAt: now })]).breaches).toEqual(['missing']);
  });
});

describe('verified', () => {
  it('tells the deepest level that any backup passed, and the last time of each', () => {
    const deep = backup({ takenAt: ago(9 * dayMs), verified: [result('restore', 'passed', ago(8 * dayMs))] });
    const verified = [result('content', 'passed', ago(hourMs)), result('restore', 'could-not-run', ago(0))];
    const { verified: best, levels } = assess([backup({ takenAt: ago(dayMs), verified }), deep]);
    expect(best).toEqual({ level: 'restore', at: ago(8 * dayMs).toISOString(), backup: deep.time });
    expect(levels).toEqual({
      manifest: null,
      content: ago(hourMs).toISOString(),
      restore: ago(8 * dayMs).toISOString(),
    });
  });
});

describe('the expected time of a restore', () => {
  const restored = (tenant: string, sizeBytes: number, durationMs: number, day: number) =>
    backup({
      tenant,
      sizeBytes,
      takenAt: ago(day * dayMs),
      verified: [result('restore', 'passed', ago(day * dayMs), durationMs)],
    });

  it('is that of its own last one, by what it has grown', () => {
    const backups = [
      backup({ takenAt: ago(0), sizeBytes: 3000 }),
      restored('acme', 1000, 500, 5),
      restored('acme', 1000, 9, 6),
    ];
    expect(assess(backups, { rtoMs: 1499 })).toMatchObject({
      expectedRestore: { durationMs: 1500, basis: 'own' },
      breaches: ['rto'],
    });
    expect(assess(backups, { rtoMs: 1500 }).breaches).toEqual([]);
  });

  it('is an estimate by what was measured of others, and no less than the shortest of these', () => {
    const others = [restored('globex', 1000, 100, 1), restored('hooli', 3000, 300, 1)];
    const estimate = (sizeBytes: number) => assess([backup({ takenAt: ago(0), sizeBytes }), ...others]).expectedRestore;
    expect(estimate(20_000)).toEqual({ durationMs: 2000, basis: 'others' });
    expect(estimate(1)).toEqual({ durationMs: 100, basis: 'others' });
  });

  it('is not known when nothing was ever restored: no breach, and no all-clear', () => {
    const verified = [result('content', 'passed', now), result('restore', 'could-not-run', now)];
    expect(assess([backup({ takenAt: ago(0), verified })], { rtoMs: 1 })).toMatchObject({
      expectedRestore: null,
      breaches: [],
    });
  });
});

it('the backup window is that of the last run of each database', () => {
  const of = (tenant: string, database: string, run: string, minutes: number, durationMs: number) =>
    backup({ tenant, place: { database }, run, takenAt: ago(minutes * 60_000), durationMs });
  const windows = backupWindows([
    of('a', 'saas', 'r2', 10, 1000),
    of('b', 'saas', 'r2', 9, 2000),
    of('a', 'saas', 'r1', 99, 1000),
    of('c', 'app', 'r1', 99, 5000),
  ]);
  expect(windows).toEqual([
    expect.objectContaining({ database: 'app', run: 'r1', tenants: 1, durationMs: 5000 }),
    expect.objectContaining({
      database: 'saas',
      run: 'r2',
      tenants: 2,
      startedAt: ago(600_000).toISOString(),
      durationMs: 62_000,
    }),
  ]);
});

describe('of a tenant that sleeps', () => {
  const limits = { rpoMs: dayMs, rtoMs: null };
  const asleep = (since: Date, isArchived: boolean, backups: readonly Backup[]) =>
    assessBackups(['acme'], backups, limits, now, new Map([['acme', { since, isArchived }]])).get('acme')!;

  it('an old backup is no breach when it was young on the day it fell asleep', () => {
    const since = ago(30 * dayMs);
    const taken = (age: number) => asleep(since, false, [backup({ takenAt: ago(age) })]);
    expect(taken(30.5 * dayMs)).toMatchObject({ asleepSince: since.toISOString(), breaches: [] });
    expect(taken(31.5 * dayMs).breaches).toEqual(['rpo']);
    expect(assess([backup({ takenAt: ago(30.5 * dayMs) })], limits)).toMatchObject({
      asleepSince: null,
      breaches: ['rpo'],
    });
  });

  it('that was dropped, only the backup it will be woken from counts', () => {
    const since = ago(30 * dayMs);
    const slept = (state?: Backup['state']) =>
      backup({ takenAt: since, receipt: { living: true }, ...(state === undefined ? {} : { state }) });
    const newer = backup({ takenAt: ago(hourMs) });
    expect(asleep(since, true, [newer, slept()])).toMatchObject({ backup: { time: slept().time }, breaches: [] });
    expect(asleep(since, true, [newer, slept('no-archive')])).toMatchObject({ backup: null, breaches: ['missing'] });
    expect(asleep(since, true, [newer, { ...slept(), receipt: { living: false } }]).breaches).toEqual(['missing']);
  });
});
