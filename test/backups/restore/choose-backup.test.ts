import { describe, expect, it } from 'vitest';
import type { Backup } from '../../../src/backups/repository/backup.ts';
import { parseFileTime } from '../../../src/backups/repository/names.ts';
import { chooseBackup } from '../../../src/backups/restore/choose-backup.ts';

function backup(time: string, more: Partial<Backup> = {}): Backup {
  return {
    time,
    takenAt: parseFileTime(time)!,
    state: 'complete',
    manifest: { snapshot: { takenAt: time } },
    verification: null,
    ...more,
  } as Backup;
}

const [first, second, third] = [
  backup('2026-11-20T020000.123Z'),
  backup('2026-11-21T020000.456Z'),
  backup('2026-11-22T020000.789Z'),
];

function timeOf(backups: readonly Backup[], at: string | null, time?: string): string | undefined {
  const chosen = chooseBackup(backups, { at: at === null ? null : new Date(at), time });
  return 'backup' in chosen ? chosen.backup.time : chosen.code;
}

describe('chooseBackup', () => {
  it('takes the newest, in whatever order they come', () => {
    expect(timeOf([second!, third!, first!], null)).toBe(third!.time);
  });

  it('leaves out what was dumped behind a fence and has no receipt, unless only rows are wanted', () => {
    const fenced = { ...third!, manifest: { ...third!.manifest, isFenced: true }, receipt: null } as Backup;
    expect(timeOf([fenced, second!], null)).toBe(second!.time);
    expect(chooseBackup([fenced, second!], { at: null, onlyRows: true })).toMatchObject({ backup: fenced });
    const kept = { ...fenced, receipt: { living: false } };
    expect(timeOf([kept, second!], null)).toBe(third!.time);
  });

  it.each([
    ['2026-11-21T23:59:59.999Z', second],
    ['2026-11-21T02:00:00.456Z', second],
    ['2026-11-21T02:00:00.455Z', first],
  ])('takes the newest that is not newer than %s', (at, expected) => {
    expect(timeOf([third!, second!, first!], at)).toBe(expected!.time);
  });

  it('passes over what is no backup, or is known to be bad, and says so', () => {
    const bad = { results: [{ level: 'content', verdict: 'bad', at: '2026-11-22T03:00:00Z' }] };
    const chosen = chooseBackup(
      [
        backup(third!.time, { state: 'no-manifest', manifest: null }),
        backup(second!.time, { verification: bad as never }),
        first!,
      ],
      { at: null },
    );
    expect('backup' in chosen && chosen.backup.time).toBe(first!.time);
    expect('backup' in chosen && chosen.remarks).toEqual([
      expect.stringContaining('no-manifest'),
      expect.stringContaining('bad at level content'),
    ]);
  });

  it('only warns of one that a scratch database could not take', () => {
    const bad = {
      results: [{ level: 'restore', verdict: 'bad', at: '2026-11-22T03:00:00Z', problems: ['no schema shared'] }],
    };
    const chosen = chooseBackup([backup(second!.time, { verification: bad as never }), first!], { at: null });
    expect('backup' in chosen && [chosen.backup.time, ...chosen.remarks]).toEqual([
      second!.time,
      expect.stringContaining('no schema shared'),
    ]);
  });

  it('takes exactly the one that a resumed run had chosen', () => {
    expect(timeOf([third!, second!, first!], null, second!.time)).toBe(second!.time);
  });

  it('names the nearest when there is none so old', () => {
    const failure = chooseBackup([third!, second!], { at: new Date('2026-11-01') });
    expect(failure).toMatchObject({ code: 'no-backup', hint: expect.stringContaining('2026-11-21T02:00:00.456Z') });
    expect(timeOf([], null)).toBe('no-backup');
  });
});
