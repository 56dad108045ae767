import { mkdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '../../../src/backups/repository/folder-store.ts';
import { Ledger, newRunId } from '../../../src/fleet/ledger.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { jsonOf, runCli, startCli } from '../../support/run-cli.ts';
import { keysOf, type StoredBackups, storedBackups } from './stored-backups.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const now = new Date();
const ago = (ms: number) => new Date(now.getTime() - ms);
const days = (count: number) => ago(count * dayMs);

interface ExpireReport {
  readonly exitCode: number;
  readonly run: string | null;
  readonly dryRun: boolean;
  readonly outcomes: readonly { readonly tenant: string; readonly status: string; readonly value: Counts }[];
  readonly departed: readonly (Counts & { readonly tenant: string; readonly firstSeenAt: string })[];
  readonly shared: readonly (Counts & { readonly name: string })[];
  readonly findings?: number;
}

interface Counts {
  readonly kept: number;
  readonly removed: number;
  readonly freedBytes: number;
  readonly files?: readonly { readonly keep: boolean; readonly reasons: readonly string[] }[];
}

async function createStored(
  ids: readonly string[],
  backups: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly fleet: TestFleet; readonly stored: StoredBackups }> {
  const fleet = await createFleet({
    inventory: {
      tenants: ids.map((id) => ({ id, server: 'main', database: 'saas', schema: `tenant_${id}` })),
      backups: { to: './backups', keep: { last: 1 }, ...backups },
    },
  });
  return { fleet, stored: storedBackups(fleet.folder, backups.copyTo === undefined ? null : 'copy') };
}

async function expire(fleet: TestFleet, flags: string, at = now): Promise<ExpireReport> {
  const result = await fleet.run(`backups expire ${flags} --json`, { now: () => at });
  return { ...jsonOf<ExpireReport>(result), exitCode: result.exitCode };
}

function summary(report: ExpireReport): string {
  return report.outcomes
    .map(({ tenant, value }) => `${tenant} ${value.kept} kept, ${value.removed} removed`)
    .join('; ');
}

describe('backups expire', () => {
  it('shows the plan, changes nothing in a dry run, and does the same without', async () => {
    const { fleet, stored } = await createStored(['acme', 'globex', 'empty'], { copyTo: './copy' });
    for (const takenAt of [days(1), days(2), days(3)]) {
      await stored.put({ of: 'acme', takenAt });
      await stored.put({ of: 'globex', takenAt });
    }
    const before = await stored.keys();
    const dry = await expire(fleet, '--all --dry-run --explain');
    expect([dry.exitCode, dry.dryRun, dry.run]).toEqual([0, true, null]);
    expect(summary(dry)).toBe('acme 1 kept, 2 removed; globex 1 kept, 2 removed; empty 0 kept, 0 removed');
    expect(dry.outcomes[0]?.value.files?.map(({ reasons }) => reasons)).toEqual([
      ['last 1 of 1', 'newest'],
      ['no rule keeps it'],
      ['no rule keeps it'],
    ]);
    expect(await stored.keys()).toEqual(before);

    const real = await expire(fleet, '--all --yes');
    expect([real.exitCode, summary(real)]).toEqual([0, summary(dry)]);
    const left = await stored.keys();
    expect(left.map((key) => key.replace(/\/.*?(\.[a-z]+)$/, '$1'))).toEqual([
      ...['acme.dump', 'acme.json', 'globex.dump', 'globex.json'],
    ]);
    expect(await keysOf(new FolderStore(join(fleet.folder, 'copy')))).toEqual(left);
    const runs = await fleet.run('runs list --json');
    expect(jsonOf<{ runs: readonly unknown[] }>(runs).runs).toMatchObject([
      { run: real.run, command: 'backups expire' },
    ]);

    const again = await expire(fleet, '--all --yes');
    expect([again.run, summary(again)]).toEqual([null, summary(real).replaceAll('2 removed', '0 removed')]);
  });

  it('asks for the word, and is refused without a terminal', async () => {
    const { fleet, stored } = await createStored(['acme']);
    for (const takenAt of [days(1), days(2)]) await stored.put({ of: 'acme', takenAt });
    const before = await stored.keys();
    const mute = await fleet.run('backups expire --all');
    expect(mute.exitCode).toBe(5);
    expect(mute.stderr).toContain('this removes 1 backup (1.0 kB) for good and was not confirmed');
    const wrong = await fleet.run('backups expire --all', { answers: ['yes'] });
    expect([wrong.exitCode, await stored.keys()]).toEqual([5, before]);
    const right = await fleet.run('backups expire --all', { answers: ['test'] });
    expect([right.exitCode, (await stored.keys()).length]).toEqual([0, 2]);
    expect(right.stderr).toMatch(/1 of 2\s+1\.0 kB/);
  });

  it('keeps what was pinned while the question stood there', async () => {
    const { fleet, stored } = await createStored(['acme']);
    await stored.put({ of: 'acme', takenAt: days(1) });
    const key = await stored.put({ of: 'acme', takenAt: days(2) });
    let answer = (_: string) => {};
    const typed = new Promise<string>((resolve) => {
      answer = resolve;
    });
    const running = startCli('backups expire --all', { cwd: fleet.folder, answers: [typed as never] });
    await running.stderrHas('1 of 2');
    const backup = await stored.repository.findBackup(key);
    const at = now.toISOString();
    await stored.repository.putPin(backup!, { schema: 'tenantctl-pin/1', at, by: 'x', reason: 'r', until: null });
    answer('test');
    expect((await running.ended).exitCode).toBe(0);
    expect(await stored.keys()).toContain(key);
  });

  it('takes flags key by key before the inventory, and needs a rule', async () => {
    const { fleet, stored } = await createStored(['acme'], { keep: { last: 1, daily: 2 } });
    for (const takenAt of [days(1), days(2), days(3), days(4)]) await stored.put({ of: 'acme', takenAt });
    const kept = async (flags: string) => summary(await expire(fleet, `--all --dry-run ${flags}`));
    expect(await kept('')).toBe('acme 2 kept, 2 removed');
    expect(await kept('--keep-last 3')).toBe('acme 3 kept, 1 removed');
    expect(await kept('--keep-daily 0')).toBe('acme 1 kept, 3 removed');
    expect(await kept('--keep-within 2d --keep-daily 0')).toBe('acme 3 kept, 1 removed');
    const none = await fleet.run('backups expire --all --keep-last 0 --keep-daily 0');
    expect([none.exitCode, none.stderr]).toEqual([2, expect.stringContaining('nothing says which backups to keep')]);
  });

  it.each([
    ['backups expire', 'no tenant is selected'],
    ['backups expire --all --store ./nonexist', 'nonexist'],
    ['backups expire --all --keep-last x', '--keep-last takes a whole number'],
    ['backups expire --all --keep-within 3', '--keep-within takes a duration'],
    ['backups expire -t acme --departed-after 90d', '--departed-after goes with --all'],
    ['backups expire --all --except x --departed-after 90d', '--departed-after goes with --all'],
    ['backups expire --all -o prometheus', 'has no output format prometheus'],
  ])('%s: a mistake, exit 2', async (argv, message) => {
    const { fleet } = await createStored(['acme']);
    const result = await fleet.run(argv);
    expect([result.exitCode, result.stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it('takes away halves of dumps that are a day old, but not while a dump is at work', async () => {
    const { fleet, stored } = await createStored(['acme']);
    await stored.put({ of: 'acme', takenAt: days(9) });
    const half = await stored.put({ of: 'acme', takenAt: days(2), withManifest: false });
    const young = await stored.put({ of: 'acme', takenAt: ago(hourMs), withManifest: false });
    const dumping = await Ledger.create(join(fleet.folder, '.tenantctl'), {
      schema: 'tenantctl/1',
      run: newRunId(now),
      command: 'dump',
      startedAt: now.toISOString(),
      environment: 'test',
      version: '0',
      options: {},
      tenants: ['acme'],
    });
    expect(summary(await expire(fleet, '--all --yes', new Date()))).toBe('acme 3 kept, 0 removed');
    await dumping.end({ endedAt: now.toISOString(), interrupted: false });
    expect(summary(await expire(fleet, '--all --yes'))).toBe('acme 2 kept, 1 removed');
    expect(await stored.keys()).not.toContain(half);
    expect(await stored.keys()).toContain(young);
  });

  it('one tenant whose files cannot be removed is failed, the others are done, what they share stays', async () => {
    const { fleet, stored } = await createStored(['acme', 'globex']);
    const saas = { kind: 'shared', server: 'main', database: 'saas' } as const;
    const shared = [await stored.put({ of: saas, takenAt: days(2) }), await stored.put({ of: saas, takenAt: days(1) })];
    for (const of of ['acme', 'globex']) {
      await stored.put({ of, takenAt: days(2), needs: { shared: shared[0]! } });
      await stored.put({ of, takenAt: days(1), needs: { shared: shared[1]! } });
    }
    // Not even root removes a folder as a file.
    const [, inTheWay = ''] = (await stored.keys('acme/')).filter((key) => key.endsWith('.dump')).toReversed();
    const folder = join(fleet.folder, 'backups', inTheWay);
    await rm(folder);
    await mkdir(folder);
    const report = await expire(fleet, '--all --yes');
    expect(report.outcomes.map(({ status }) => status)).toEqual(['failed', 'done']);
    expect([report.exitCode, report.shared[0]?.removed]).toEqual([3, 0]);
    expect(await stored.keys('_shared')).toHaveLength(4);

    await rmdir(folder);
    const again = await expire(fleet, '--all --yes');
    expect([again.exitCode, again.shared[0]]).toEqual([0, expect.objectContaining({ kept: 1, removed: 1 })]);
    expect(await stored.keys('_shared')).toHaveLength(2);
  });
});

it('that is stopped begins no further tenant, and says so', async () => {
  const { fleet, stored } = await createStored(['acme', 'globex']);
  for (const takenAt of [days(1), days(2)]) {
    await stored.put({ of: 'acme', takenAt });
    await stored.put({ of: 'gone', takenAt });
  }
  await stored.put({ of: 'globex', takenAt: days(1) });
  await expire(fleet, '--all --dry-run');
  const running = fleet.start('backups expire --all --yes');
  await running.stderrHas('1 (1.0 kB) to be removed');
  running.signal('SIGTERM');
  const { exitCode, stdout } = await running.ended;
  expect([exitCode, (await stored.keys('acme/')).length]).toEqual([143, 4]);
  expect(stdout).toContain('1 tenant never started');
});

describe('tenants that left the fleet', () => {
  it('keep their backups until so long after a complete look first missed them', async () => {
    const { fleet, stored } = await createStored(['acme']);
    await stored.put({ of: 'acme', takenAt: days(1) });
    for (const takenAt of [days(1), days(2)]) await stored.put({ of: 'Gone', takenAt });
    const later = (count: number) => new Date(now.getTime() + count * dayMs);

    await expire(fleet, '--all --departed-after 90d --dry-run');
    expect(await stored.keys('_departed')).toEqual([]);
    const first = await expire(fleet, '--all --departed-after 90d --yes');
    expect(first.departed).toMatchObject([{ tenant: 'Gone', kept: 2, removed: 0, firstSeenAt: now.toISOString() }]);
    expect(await stored.keys('_departed')).toHaveLength(1);
    expect((await expire(fleet, '--all --departed-after 90d --yes', later(89))).departed[0]?.removed).toBe(0);
    expect((await expire(fleet, '--all --yes', later(91))).departed[0]?.removed).toBe(0);
    const due = await expire(fleet, '--all --departed-after 90d --yes', later(91));
    expect(due.departed).toMatchObject([{ tenant: 'Gone', kept: 0, removed: 2, firstSeenAt: now.toISOString() }]);
    expect((await stored.keys()).filter((key) => !key.startsWith('acme/'))).toEqual([
      expect.stringMatching(/^_departed/),
    ]);
    await expire(fleet, '--all --yes', later(92));
    expect(await stored.keys('_departed')).toEqual([]);
  });

  it('that come back have not left: the time starts anew', async () => {
    const { fleet, stored } = await createStored(['acme']);
    for (const of of ['acme', 'globex']) await stored.put({ of, takenAt: days(1) });
    await expire(fleet, '--all --yes', days(100));
    await fleet.writeInventory({
      tenants: ['acme', 'globex'].map((id) => ({ id, server: 'main', database: 'saas', schema: `tenant_${id}` })),
    });
    await expire(fleet, '--all --yes');
    expect(await stored.keys('_departed')).toEqual([]);
  });

  it('are not told from those of a server that cannot be read', async () => {
    const { fleet, stored } = await createStored(['acme']);
    for (const of of ['acme', 'globex']) await stored.put({ of, takenAt: days(1) });
    await expire(fleet, '--all --yes', days(100));
    await fleet.writeInventory({ discover: [{ server: 'main', database: 'no_such_database', schemas: 'tenant_*' }] });
    const result = await fleet.run('backups expire --all --yes --departed-after 90d --json', { now: () => now });
    expect(jsonOf<ExpireReport>(result)).toMatchObject({ exitCode: 3, departed: [] });
    expect(result.stderr).toContain('could not be read as a whole');
    expect(await stored.keys('globex')).toHaveLength(2);
  });

  it('are not all, when the fleet shows nobody', async () => {
    const { fleet, stored } = await createStored(['acme']);
    await stored.put({ of: 'acme', takenAt: days(1) });
    await fleet.writeInventory({ tenants: [] });
    const report = await expire(fleet, '--all --allow-empty --yes --departed-after 0');
    expect([report.departed, (await stored.keys()).length]).toEqual([[], 2]);
  });

  it('whose record is damaged start anew', async () => {
    const { fleet, stored } = await createStored(['acme']);
    for (const of of ['acme', 'globex']) await stored.put({ of, takenAt: days(1) });
    await stored.store.put('_departed/globex.json', { kind: 'bytes', sizeBytes: 1, chunks: [Buffer.from('{')] });
    const report = await expire(fleet, '--all --yes --departed-after 90d');
    expect(report.departed).toMatchObject([{ tenant: 'globex', firstSeenAt: now.toISOString(), kept: 1 }]);
    const written = await readFile(join(fleet.folder, 'backups', '_departed', 'globex.json'), 'utf8');
    expect(JSON.parse(written)).toMatchObject({ tenant: 'globex', firstSeenAt: now.toISOString() });
  });
});

it('needs no inventory to explain itself', async () => {
  const { exitCode, stdout } = await runCli('backups expire --help');
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('--keep-weekly <n>')]);
});
