import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { VerificationResult } from '../../../src/backups/repository/backup.ts';
import { readPrometheus } from '../../output/prometheus-reader.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { jsonOf } from '../../support/run-cli.ts';
import { type StoredBackups, storedBackups } from './stored-backups.ts';

const hourMs = 3_600_000;
const now = new Date('2026-11-22T10:15:00.000Z');
const ago = (hours: number) => new Date(now.getTime() - hours * hourMs);

interface Report {
  readonly exitCode: number;
  readonly totals: { readonly findings: number };
  readonly fleet: Readonly<Record<string, unknown>>;
  readonly windows: readonly unknown[];
  readonly departed: readonly { readonly tenant: string }[] | null;
  readonly outcomes: readonly {
    readonly tenant: string;
    readonly finding: boolean;
    readonly value: { readonly breaches: readonly string[]; readonly expectedRestore: unknown };
  }[];
}

function restored(hours: number, durationMs: number): VerificationResult {
  const more = { run: 'v', tenantctl: '0', server: null, problems: [], remarks: [] };
  return { level: 'restore', verdict: 'passed', at: ago(hours).toISOString(), durationMs, ...more };
}

/** young: in order; old: 30 h; slow: takes an hour; none: nothing but half a dump; left: no tenant any more. */
async function createStored(): Promise<{ readonly fleet: TestFleet; readonly stored: StoredBackups }> {
  const fleet = await createFleet({
    inventory: {
      tenants: ['young', 'old', 'slow', 'none'].map((id) => {
        return { id, server: 'main', database: 'saas', schema: `tenant_${id}` };
      }),
      backups: { to: './backups', rpo: '24h', rto: '31min' },
    },
  });
  const stored = storedBackups(fleet.folder);
  await stored.put({ of: 'young', takenAt: ago(2) });
  await stored.put({ of: 'old', takenAt: ago(30), verified: [restored(29, 2000)] });
  await stored.put({ of: 'slow', takenAt: ago(1), durationMs: 60_000, verified: [restored(0, hourMs)] });
  await stored.put({ of: 'none', takenAt: ago(1), withManifest: false });
  await stored.put({ of: 'left', takenAt: ago(1) });
  return { fleet, stored };
}

async function report(fleet: TestFleet, flags = ''): Promise<Report> {
  return jsonOf<Report>(await fleet.run(`backups report --all ${flags} --json`, { now: () => now }));
}

describe('backups report', () => {
  it('finds who has no backup, an old one, and one that is slow to restore', async () => {
    const { fleet } = await createStored();
    const found = await report(fleet);
    expect(found.outcomes.map(({ tenant, finding, value }) => [tenant, finding, ...value.breaches])).toEqual([
      // Nothing of its own was restored: an estimate by the others, half an hour.
      ['young', false],
      ['old', true, 'rpo'],
      ['slow', true, 'rto'],
      ['none', true, 'missing'],
    ]);
    expect([found.exitCode, found.totals.findings]).toEqual([1, 3]);
    expect(found.fleet).toMatchObject({ tenants: 4, inOrder: 1, missing: 1, rpo: 1, rto: 1, oldestMs: 30 * hourMs });
    expect(found.departed?.map(({ tenant }) => tenant)).toEqual(['left']);
    expect(found.windows).toMatchObject([{ server: 'main', database: 'saas' }]);
  });

  it('ends with 0 when no limit is broken, and tells of the others', async () => {
    const { fleet, stored } = await createStored();
    await stored.put({ of: 'none', takenAt: ago(3) });
    const result = await fleet.run('backups report --all --rpo 31h --rto 2h', { now: () => now });
    expect(result.exitCode).toBe(0);
    expect(result.stdout).toContain('4 tenants: 4 in order');
    expect(result.stdout).toContain('2 estimated by the restores of others');
    expect(result.stdout).toContain('left the fleet, backups kept: left since 2026-11-22');
    const quiet = await fleet.run('backups report --all --rpo 31h --rto 2h --quiet', { now: () => now });
    expect([quiet.exitCode, quiet.stdout, quiet.stderr]).toEqual([0, '', '']);
  });

  it('finds that the newest backup lost its archive, although an older one is young enough', async () => {
    const { fleet, stored } = await createStored();
    const key = await stored.put({ of: 'young', takenAt: ago(1) });
    await rm(join(fleet.folder, 'backups', key));
    const { exitCode, stdout } = await fleet.run('backups report -t young', { now: () => now });
    expect(exitCode).toBe(1);
    expect(stdout).toContain('1 tenant: 0 in order, 1 whose newest is damaged');
    expect(stdout).toContain('young: the backup of 2026-11-22T091500.000Z: its archive is not there\n');
    expect(stdout).toMatch(/^young +2026-11-22 08:15 .* damaged$/m);
  });

  it('has a row for each breach, and for each tenant with --verbose', async () => {
    const { fleet } = await createStored();
    const rows = async (flags: string) => {
      const { stdout } = await fleet.run(`backups report --all ${flags}`, { now: () => now });
      return stdout.split('\n').filter((line) => /^(?:young|old|slow|none) /.test(line));
    };
    expect(await rows('')).toEqual([
      expect.stringMatching(/^old +2026-11-21 04:15 +1d 6h +1\.0 kB +restore 2026-11-21 +2s +rpo$/),
      expect.stringMatching(/^slow +.* 1h +rto$/),
      expect.stringMatching(/^none +none +- +- +never +- +missing$/),
    ]);
    expect(await rows('--verbose')).toHaveLength(4);
    expect(await rows('--quiet')).toHaveLength(3);
  });

  it('writes down who left, and says nothing of that for a part of the fleet', async () => {
    const { fleet, stored } = await createStored();
    const some = jsonOf<Report>(await fleet.run('backups report -t young --json', { now: () => now }));
    expect([some.departed, some.exitCode, await stored.keys('_departed')]).toEqual([null, 0, []]);
    await report(fleet);
    expect(await stored.keys('_departed')).toEqual(['_departed/left.json']);
  });

  it('is a mistake without a place of backups, exit 2', async () => {
    const { fleet } = await createStored();
    await fleet.writeInventory({ backups: {} });
    const result = await fleet.run('backups report --all');
    expect([result.exitCode, result.stdout]).toEqual([2, '']);
    const named = await fleet.run('backups report --all --store ./backups --json', { now: () => now });
    expect([named.exitCode, jsonOf<Report>(named).fleet.missing]).toEqual([1, 1]);
  });

  it('tells junit and github of each finding', async () => {
    const { fleet } = await createStored();
    await fleet.run('backups report --all -o junit=report.xml', { now: () => now });
    const xml = await readFile(join(fleet.folder, 'report.xml'), 'utf8');
    expect(xml.match(/<failure/g)).toHaveLength(3);
    const github = await fleet.run('backups report --all -o github', { now: () => now });
    expect(github.stdout).toContain('breach missing');
  });
});

describe('-o prometheus', () => {
  it('writes what node_exporter reads, whole or not at all', async () => {
    const { fleet } = await createStored();
    const { exitCode } = await fleet.run('backups report --all -o table -o prometheus=x.prom', { now: () => now });
    expect(exitCode).toBe(1);
    expect((await readdir(fleet.folder)).filter((name) => name.includes('prom'))).toEqual(['x.prom']);
    const samples = readPrometheus(await readFile(join(fleet.folder, 'x.prom'), 'utf8'));
    const of = (tenant: string) =>
      Object.fromEntries(
        samples.flatMap(({ name, labels: { tenant: id, server, database, ...labels }, value }) =>
          id === tenant && server === 'main' && database === 'saas'
            ? [[[name.replace('tenantctl_backup_', ''), ...Object.values(labels)].join(' '), value]]
            : [],
        ),
      );
    expect(of('old')).toEqual({
      last_success_timestamp_seconds: ago(30).getTime() / 1000,
      size_bytes: 1000,
      'verified_timestamp_seconds restore': ago(29).getTime() / 1000,
      expected_restore_seconds: 2,
      'breach damaged': 0,
      'breach missing': 0,
      'breach rpo': 1,
      'breach rto': 0,
    });
    expect(of('none')).toEqual({ 'breach damaged': 0, 'breach missing': 1, 'breach rpo': 0, 'breach rto': 0 });
    expect(samples.at(-1)).toEqual({
      name: 'tenantctl_report_timestamp_seconds',
      labels: {},
      value: now.getTime() / 1000,
    });
  });
});
