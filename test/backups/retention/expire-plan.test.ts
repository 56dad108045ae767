import { describe, expect, it } from 'vitest';
import type { Backup } from '../../../src/backups/repository/backup.ts';
import type { BackupSubject } from '../../../src/backups/repository/manifest.ts';
import { type ExpireOptions, planExpiry } from '../../../src/backups/retention/expire-plan.ts';
import type { Judged } from '../../../src/backups/retention/judge-series.ts';
import { ago, backup, dayMs, hourMs, noRules, now, result } from './samples.ts';

const shared: BackupSubject = { kind: 'shared', server: 'main', database: 'saas' };

function plan(backups: readonly Backup[], options: Partial<ExpireOptions> = {}) {
  return planExpiry(backups, {
    rules: { ...noRules, last: 1 },
    now,
    isWriting: false,
    selected: new Set(['acme']),
    isWhole: true,
    departed: null,
    departedAfterMs: null,
    ...options,
  });
}

/** `keep <reasons>` or `go <reason>` of each. */
function words(judged: readonly Judged[] | undefined): readonly string[] {
  return (judged ?? []).map(({ isKept, reasons }) => `${isKept ? 'keep' : 'go'}: ${reasons.join(', ')}`);
}

function ofAcme(backups: readonly Backup[], options: Partial<ExpireOptions> = {}): readonly string[] {
  return words(plan(backups, options).tenants.get('acme'));
}

const [today, yesterday, old] = [ago(hourMs), ago(dayMs), ago(9 * dayMs)];

describe('of a tenant', () => {
  it('goes what no rule keeps', () => {
    expect(ofAcme([backup({ takenAt: today }), backup({ takenAt: old })])).toEqual([
      'keep: last 1 of 1, newest',
      'go: no rule keeps it',
    ]);
  });

  it.each(['no-archive', 'bad-manifest', 'wrong-size'] as const)('one with %s uses up no slot', (state) => {
    const backups = [
      backup({ takenAt: today, state }),
      backup({ takenAt: yesterday }),
      backup({ takenAt: old, state }),
    ];
    expect(ofAcme(backups)).toEqual([
      `keep: damaged (${state}), no good one as old is kept`,
      'keep: last 1 of 1, newest',
      `go: damaged (${state}), older than all that are kept`,
    ]);
  });

  it('stays all that verification found bad, when there is no good one: the check itself may be wrong', () => {
    const verified = [result('restore', 'bad', now)];
    expect(ofAcme([today, yesterday, old].map((takenAt) => backup({ takenAt, verified })))).toEqual([
      'keep: newest',
      'keep: found bad by verify, no good one as old is kept',
      'keep: found bad by verify, no good one as old is kept',
    ]);
  });

  it('counts the last word of verification, and no try that could not run', () => {
    const healed = [result('content', 'bad', ago(2)), result('restore', 'passed', ago(1))];
    const shallow = [result('content', 'bad', ago(2)), result('manifest', 'passed', ago(1))];
    const notRun = [result('restore', 'could-not-run', ago(1))];
    const keptAs = (verified: typeof healed) => ofAcme([backup({ takenAt: today, verified })]);
    expect(keptAs(healed)).toEqual(['keep: last 1 of 1, newest, last verified']);
    expect(keptAs(shallow)).toEqual(['keep: newest']);
    expect(keptAs(notRun)).toEqual(['keep: last 1 of 1, newest']);
  });

  it('stays what is pinned, also when it is damaged, until the pin has run out', () => {
    const later = new Date(now.getTime() + 1).toISOString();
    const pinned = (until: string | null, state: Backup['state'] = 'complete') =>
      ofAcme([backup({ takenAt: today }), backup({ takenAt: old, state, pin: { until } })])[1];
    expect(pinned(null)).toBe('keep: pinned: audit');
    expect(pinned(later)).toBe('keep: pinned: audit');
    expect(pinned(null, 'wrong-size')).toBe('keep: pinned: audit');
    expect(pinned(now.toISOString())).toBe('go: no rule keeps it');
  });

  it('goes an archive without a manifest when nobody can be writing it any more', () => {
    const half = (takenAt: Date, options = {}) => ofAcme([backup({ takenAt, state: 'no-manifest' })], options)[0];
    expect(half(ago(dayMs))).toBe('go: no manifest: a dump that did not come to its end');
    expect(half(ago(dayMs - 1))).toBe('keep: no manifest, younger than 24 h');
    expect(half(old, { isWriting: true })).toBe('keep: no manifest, and a dump is at work');
  });

  it('says nothing of tenants that are not selected', () => {
    const other = backup({ tenant: 'globex', takenAt: old, state: 'no-manifest' });
    const { tenants, departed } = plan([other]);
    expect([[...tenants], departed]).toEqual([[], []]);
  });
});

describe('what tenants share', () => {
  const series = (backups: readonly Backup[], options: Partial<ExpireOptions> = {}) =>
    plan(backups, options).shared.map(({ name, judged }) => [name, words(judged)]);
  const ofSaas = (takenAt: Date, more = {}) => backup({ subject: shared, takenAt, ...more });
  const [newer, older] = [ofSaas(yesterday), ofSaas(old)];

  it('goes with the last backup that needs it', () => {
    // Encrypted since: the manifest names the archive as it was.
    const needs = { shared: older.keys.file!.replace(/$/, '.age') };
    const acme = [backup({ takenAt: today }), backup({ takenAt: old, needs })];
    expect(series([...acme, newer, older])).toEqual([
      ['_shared/main/saas', ['keep: last 1 of 1, newest', 'go: no rule keeps it']],
    ]);
    const pinned = [acme[0]!, backup({ takenAt: old, needs, pin: {} })];
    expect(series([...pinned, newer, older])[0]?.[1]?.[1]).toBe('keep: needed by acme');
  });

  it('stays for tenants that are not selected, and those that left', () => {
    const needs = { shared: older.keys.file };
    const globex = backup({ tenant: 'globex', takenAt: old, needs });
    expect(series([globex, newer, older])[0]?.[1]?.[1]).toBe('keep: needed by globex');
    const departed = new Map([['globex', old]]);
    expect(series([globex, newer, older], { departed })[0]?.[1]?.[1]).toBe('keep: needed by globex');
    expect(series([globex, newer, older], { departed, departedAfterMs: dayMs })[0]?.[1]?.[1]).toContain('go:');
  });

  it.each([{ rolesFile: 'roles/' }, { largeObjects: 'large-objects/' }])('roles and large objects too: %j', (need) => {
    const [[name, folder]] = Object.entries(need) as [[string, string]];
    const subject: BackupSubject =
      name === 'rolesFile' ? { kind: 'roles', server: 'main' } : { ...shared, kind: 'large-objects' };
    const files = [yesterday, old].map((takenAt) => backup({ subject, takenAt }));
    const needs = { [name]: `${folder}${files[1]?.time}.sql` };
    expect(series([backup({ takenAt: old, needs }), ...files])[0]?.[1]?.[1]).toBe('keep: needed by acme');
  });

  it('needs the roles that own it', () => {
    const subject: BackupSubject = { kind: 'roles', server: 'main' };
    const roles = [yesterday, old].map((takenAt) => backup({ subject, takenAt }));
    const owned = ofSaas(old, { pin: {}, needs: { rolesFile: roles[1]!.keys.file } });
    expect(series([...roles, newer, owned]).at(-1)).toEqual([
      '_roles/main',
      ['keep: last 1 of 1, newest', 'keep: needed by _shared/main/saas'],
    ]);
  });

  it('stays while the manifests that will name it are not written', () => {
    const young = [ofSaas(ago(hourMs)), ofSaas(ago(2 * hourMs))];
    expect(series(young)[0]?.[1]?.[1]).toBe('keep: younger than 24 h');
  });

  it('stays beside a backup whose needs cannot be read', () => {
    const unreadable = backup({ tenant: 'globex', takenAt: ago(9 * dayMs + hourMs), state: 'bad-manifest' });
    expect(series([unreadable, newer, older])[0]?.[1]?.[1]).toMatch(/^keep: may be needed by globex .*damaged$/);
  });

  it('is not looked at for a part of the fleet', () => {
    expect(series([newer, older], { isWhole: false })).toEqual([]);
  });
});

describe('a tenant that left', () => {
  const left = [backup({ tenant: 'gone', takenAt: old }), backup({ tenant: 'gone', takenAt: ago(20 * dayMs) })];
  const judge = (options: Partial<ExpireOptions>, backups: readonly Backup[] = left) =>
    plan(backups, { departed: new Map([['gone', ago(8 * dayMs)]]), ...options }).departed.map(({ judged }) =>
      words(judged),
    )[0];

  it('keeps all, until someone says otherwise', () => {
    const kept = 'keep: departed, first seen 2026-11-14, kept until someone says otherwise';
    expect(judge({})).toEqual([kept, kept]);
  });

  it('goes as a whole by the time since it was seen to be gone', () => {
    expect(judge({ departedAfterMs: 9 * dayMs })?.[1]).toBe('keep: departed, first seen 2026-11-14, kept for 9d');
    expect(judge({ departedAfterMs: 8 * dayMs })).toEqual([
      'go: departed, first seen 2026-11-14',
      'go: departed, first seen 2026-11-14',
    ]);
  });

  it('keeps what is pinned', () => {
    const [, second] = left as [Backup, Backup];
    const pinned = backup({ tenant: 'gone', takenAt: old, pin: {} });
    expect(judge({ departedAfterMs: 0 }, [pinned, second])).toEqual([
      'keep: pinned: audit',
      'go: departed, first seen 2026-11-14',
    ]);
  });

  it('has not left for all we know, when the fleet could not be read', () => {
    expect(plan(left, { departedAfterMs: 0 })).toMatchObject({ departed: [], shared: [] });
  });
});

describe('a backup that a sleeping tenant will be woken from', () => {
  const receipt = { living: true };
  const reason = 'named by the receipt of a sleeping tenant';

  it('stays whatever the rules say, and goes by them once the tenant was woken', () => {
    const slept = (living: boolean) =>
      ofAcme([backup({ takenAt: today }), backup({ takenAt: old, receipt: { living } })]);
    expect(slept(true)).toEqual(['keep: last 1 of 1, newest', `keep: ${reason}`]);
    expect(slept(false)).toEqual(['keep: last 1 of 1, newest', 'go: no rule keeps it']);
  });

  it('stays when it is damaged, has lost its manifest, or its tenant seems to have left', () => {
    const damaged = (['no-archive', 'bad-manifest', 'no-manifest'] as const).map((state) =>
      backup({ takenAt: old, state, receipt }),
    );
    expect(ofAcme([backup({ takenAt: today }), ...damaged]).slice(1)).toEqual(damaged.map(() => `keep: ${reason}`));
    const departed = new Map([['globex', ago(99 * dayMs)]]);
    const left = [backup({ tenant: 'globex', takenAt: old, receipt })];
    expect(words(plan(left, { departed, departedAfterMs: dayMs }).departed[0]?.judged)).toEqual([`keep: ${reason}`]);
  });

  it('keeps what it needs', () => {
    const objects = backup({ subject: shared, takenAt: old });
    const needs = { shared: objects.keys.file };
    const kept = plan([
      backup({ takenAt: today }),
      backup({ takenAt: old, receipt, needs }),
      backup({ subject: shared, takenAt: today }),
      objects,
    ]);
    expect(kept.shared.flatMap(({ judged }) => judged.map(({ isKept }) => isKept))).toEqual([true, true]);
  });
});
