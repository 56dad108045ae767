import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import type { Backup } from '../../../src/backups/repository/backup.ts';
import { FolderStore } from '../../../src/backups/repository/folder-store.ts';
import { Repository } from '../../../src/backups/repository/repository.ts';
import { closedFolder } from '../../support/folders.ts';
import { type CliOptions, type CliResult, jsonOf, runCli } from '../../support/run-cli.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { bytesOf, putBackup, tenant } from '../../support/sample-backup.ts';
import { spawnCli } from '../../support/spawn-cli.ts';

const now = () => new Date('2026-11-22T12:00:00Z');

interface ListDocument {
  readonly store: string;
  readonly total: number;
  readonly backups: readonly Record<string, unknown>[];
}

let folder: string;
let repository: Repository;

/** An inventory whose servers nobody can reach: none is asked. */
async function writeInventory(backups: unknown): Promise<void> {
  const text = JSON.stringify({
    version: 1,
    environment: 'test',
    servers: { main: { url: 'postgres://x@127.0.0.1:1/x' } },
    tenants: [],
    backups,
  });
  await writeFile(join(folder, 'tenants.yaml'), text);
}

function run(argv: string | readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return runCli(argv, { cwd: folder, now, ...options });
}

async function backupsBelow(root: string): Promise<readonly Backup[]> {
  return new Repository({
    store: new FolderStore(root),
    copy: null,
    recipients: [],
    identities: null,
    now,
  }).listBackups();
}

beforeEach(async () => {
  folder = await closedFolder();
  await writeInventory({ to: './backups', copyTo: './copy' });
  repository = new Repository({
    store: new FolderStore(join(folder, 'backups')),
    copy: new FolderStore(join(folder, 'copy')),
    recipients: [],
    identities: null,
    now,
  });
});

/** Two of acme, one of Bob, one of what they share. */
async function fill(): Promise<void> {
  await putBackup(repository, tenant('acme'), '2026-11-22T02:15:00.123Z');
  await putBackup(repository, tenant('acme'), '2026-11-20T02:15:00.123Z');
  await putBackup(repository, tenant('Bob'), '2026-11-22T02:15:00.123Z', bytesOf(Buffer.alloc(1_400_000)));
  await putBackup(repository, { kind: 'shared', server: 'main', database: 'saas' }, '2026-11-22T02:15:00.123Z');
}

test('the newest first: when, how old, how large, verified or not', async () => {
  await fill();
  const { exitCode, stdout } = await run('backups list --all');
  expect([exitCode, stdout]).toEqual([
    0,
    [
      'environment test',
      'TENANT  TIME                    AGE     SIZE    VERIFIED  STATE',
      'Bob     2026-11-22T021500.123Z  9h 45min  1.4 MB  never     ok',
      'acme    2026-11-22T021500.123Z  9h 45min  10 B    never     ok',
      'acme    2026-11-20T021500.123Z  2d 10h  10 B    never     ok',
      '',
    ]
      .join('\n')
      .replace('AGE     SIZE', 'AGE       SIZE')
      .replace('2d 10h  10', '2d 10h    10'),
  ]);
  const { store, total, backups } = jsonOf<ListDocument>(await run('backups list --all --last 1 --json'));
  expect([store, total, backups.length]).toEqual([join(folder, 'backups'), 3, 2]);
  expect(backups[1]).toMatchObject({
    kind: 'tenant',
    tenant: 'acme',
    time: '2026-11-22T021500.123Z',
    takenAt: '2026-11-22T02:15:00.123Z',
    ageMs: 35_099_877,
    sizeBytes: 10,
    state: 'complete',
    keys: { file: 'acme/2026-11-22T021500.123Z.dump' },
    manifest: { schema: 'tenantctl-backup/1' },
    pin: null,
  });
});

test('what is no backup is told, with the reason', async () => {
  await fill();
  const acme = join(folder, 'backups', 'acme');
  await rm(join(acme, '2026-11-22T021500.123Z.json'));
  await truncate(join(acme, '2026-11-20T021500.123Z.dump'), 3);
  await writeFile(join(acme, '2026-11-23T021500.123Z.dump.00.partial'), 'half');
  const { exitCode, stdout } = await run('backups list -t acme');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^acme +2026-11-22T021500\.123Z .* not a backup: it has no manifest: its dump did not/m);
  expect(stdout).toMatch(/^acme +2026-11-20T021500\.123Z .* not a backup: its archive has 3 bytes, not 10$/m);
  expect(stdout).toMatch(/\n\n2 entries of 2 cannot be restored\n$/);
  expect(stdout).not.toContain('2026-11-23');
});

test('selection is by what is in the store', async () => {
  await fill();
  const tenantsOf = async (argv: string, options?: CliOptions) =>
    jsonOf<ListDocument>(await run(`backups list --json ${argv}`, options)).backups.map(
      (each) => each.tenant ?? each.kind,
    );
  expect(await tenantsOf('-t B*')).toEqual(['Bob']);
  expect(await tenantsOf('-t -', { stdin: 'Bob\n' })).toEqual(['Bob']);
  expect(await tenantsOf('--kind shared')).toEqual(['shared']);
  expect(await tenantsOf('-t acme --kind tenant shared')).toEqual(['acme', 'acme', 'shared']);
  expect(await tenantsOf('-t nobody --allow-empty')).toEqual([]);
  expect(await tenantsOf('-t - --allow-empty')).toEqual([]);
  expect(await tenantsOf(`--all --store ${join(folder, 'copy')}`)).toHaveLength(3);
});

test.each([
  ['backups list', 'no tenant is selected'],
  ['backups list -t -', 'standard input was empty'],
  ['backups list -t nobody acm?x', 'there is no backup of "nobody" and "acm?x" in '],
  ['backups list --all --store ./nowhere', 'there is no folder '],
  ['backups list --all --store ./tenants.yaml', 'there is no folder '],
  ['backups list --kind planet', '--kind does not know "planet"'],
  ['backups list --kind roles -t acme', '--tenant does not go with --kind roles'],
  ['backups list --all --last 0', '--last takes a whole number'],
  ['backups show nobody', 'there is no backup of "nobody" in '],
  ['backups show acme --at 2019-01-01', 'there is no backup of "acme" at 2019-01-01'],
  ['backups show acme --at yesterday', '--at takes a time, not "yesterday"'],
  ['backups pin acme --reason x', 'say which backup: --at <time>'],
  ['backups pin acme --at latest', 'say why: --reason <text>'],
  ['backups pin acme --at latest --remove --until 3d', '--remove does not go with'],
  ['backups pin acme --at 2026-11-21 --reason x', 'there is no backup of 2026-11-21'],
  ['backups pin acme --at latest --reason x --until 2020-01-01', '--until is over already'],
])('%s is a usage error', async (argv, message) => {
  await fill();
  const { exitCode, stderr } = await run(argv);
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
});

test('without a place there is nothing to list; a secret key among the recipients is refused unseen', async () => {
  await writeInventory(undefined);
  const { exitCode, stderr } = await run('backups list --all');
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining('tenants.yaml does not say where backups are')]);
  await writeInventory({ to: './backups', encryptTo: ['AGE-SECRET-KEY-1QQQQ'] });
  const refused = await run('backups list --all');
  expect([refused.exitCode, refused.stderr]).toEqual([
    2,
    expect.stringContaining('backups.encryptTo[0] is a secret key'),
  ]);
  expect(refused.stderr).not.toContain('QQQQ');
});

test('one backup is shown for people: the one that a restore would take', async () => {
  await fill();
  const { stdout } = await run('backups show acme');
  expect(stdout).toMatch(/^acme 2026-11-22T021500\.123Z\n/);
  for (const line of [
    /^taken +2026-11-22 10:15:00 UTC, 9h 45min ago, from main\/saas, schema tenant_x$/m,
    /^snapshot +the same instant as the other tenants of its database, at LSN 0\/1A2B3C8$/m,
    /^file +acme\/2026-11-22T021500\.123Z\.dump, 10 B, sha256 [0-9a-f]{64}$/m,
    /^made +by one pg_dump with 2 other tenants in 13ms/m,
    /^migrations +0002_users, 2 applied$/m,
    /^needs +roles: app$/m,
    /^verified +never$/m,
    /^pin +none$/m,
    /^1 table, 3 rows\n {2}tenant_x\.users +3 rows +1\.2 kB$/m,
  ]) {
    expect(stdout).toMatch(line);
  }
  const at = async (time: string) => (await run(['backups', 'show', 'acme', '--at', time])).stdout.split('\n')[0];
  expect(await at('2026-11-21')).toBe('acme 2026-11-20T021500.123Z');
  expect(await at('2026-11-22T03:14:59+01:00')).toBe('acme 2026-11-20T021500.123Z');
  expect(await at('2026-11-22T03:15+01:00')).toBe('acme 2026-11-22T021500.123Z');
  await rm(join(folder, 'backups', 'acme', '2026-11-22T021500.123Z.json'));
  expect(await at('latest')).toBe('acme 2026-11-20T021500.123Z');
});

test('a pin is set in both places, told by the listing, and taken away', async () => {
  await fill();
  const pin = (more: readonly string[]) =>
    run(['backups', 'pin', 'acme', '--at', '2026-11-20', ...more], { osUser: 'ann' });
  const dry = await pin(['--reason', 'audit', '--dry-run']);
  expect([dry.exitCode, dry.stdout]).toEqual([
    0,
    'acme 2026-11-20T021500.123Z would be kept until the pin is taken away\n',
  ]);
  expect((await backupsBelow(join(folder, 'backups'))).every((backup) => backup.pin === null)).toBe(true);
  const { exitCode, stdout } = await pin(['--reason', 'an audit', '--until', '90d']);
  expect([exitCode, stdout]).toEqual([0, 'acme 2026-11-20T021500.123Z is kept until 2027-02-20 12:00:00 UTC\n']);
  for (const place of ['backups', 'copy']) {
    const pins = (await backupsBelow(join(folder, place))).flatMap((backup) => backup.pin ?? []);
    expect(pins).toEqual([
      {
        schema: 'tenantctl-pin/1',
        at: '2026-11-22T12:00:00.000Z',
        by: 'ann',
        reason: 'an audit',
        until: '2027-02-20T12:00:00.000Z',
      },
    ]);
  }
  expect((await run('backups list -t acme')).stdout).toMatch(/2026-11-20T021500\.123Z .* ok, pinned$/m);
  expect((await run('backups list -t acme', { now: () => new Date('2027-03-01') })).stdout).not.toContain('pinned');
  expect((await run('backups show acme --at 2026-11-21')).stdout).toMatch(
    /^pin +until 2027-02-20 .* by ann .*: an audit$/m,
  );
  expect((await pin(['--remove'])).stdout).toContain('the pin of acme 2026-11-20T021500.123Z is taken away');
  expect((await pin(['--remove'])).stdout).toContain('has no pin');
  expect((await backupsBelow(join(folder, 'copy'))).every((backup) => backup.pin === null)).toBe(true);
});

test('what is no backup is not pinned', async () => {
  await fill();
  await rm(join(folder, 'backups', 'acme', '2026-11-20T021500.123Z.json'));
  const { exitCode, stderr } = await run('backups pin acme --at 2026-11-20 --reason x');
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining('acme 2026-11-20T021500.123Z is not a backup')]);
});

test('a full disk is one clear error, and leaves the pin that was there', async () => {
  await fill();
  await run(['backups', 'pin', 'acme', '--at', 'latest', '--reason', 'first']);
  const argv = `backups pin acme --at latest --reason ${'x'.repeat(3000)}`;
  const { exitCode, stderr } = await spawnCli(argv, folder, { largestFileBytes: 1024 }).ended;
  const file = join(folder, 'backups', 'acme', '2026-11-22T021500.123Z.pin.json');
  expect([exitCode, stderr]).toEqual([4, expect.stringContaining(`${file} cannot be written: EFBIG`)]);
  const [backup] = await repository.listBackups({ tenants: ['acme'] });
  expect(backup?.pin?.reason).toBe('first');
  expect(await repository.removeLeftovers()).toEqual([]);
});

test('a bucket: its region and endpoint are those of the inventory, also when it is named; errors are one line', async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'the-secret-key');
  const server = await startS3Server();
  await writeInventory({
    to: './backups',
    copyTo: { url: 's3://backups/eu/', endpoint: server.url, pathStyle: true, region: 'eu-west-1' },
  });
  const listed = await run('backups list --all --store s3://backups/eu');
  expect([listed.exitCode, listed.stdout]).toEqual([0, 'there is no backup in s3://backups/eu\n']);
  server.misbehave({ kind: 'answer', status: 403, code: 'AccessDenied' }, 100);
  const { exitCode, stderr } = await run('backups list --all --store s3://backups/eu');
  expect([exitCode, stderr]).toEqual([
    4,
    expect.stringContaining('error: s3://backups/eu/_store.json: reading: access denied\nhint: '),
  ]);
  expect(stderr).not.toContain('the-secret-key');
  vi.unstubAllEnvs();
});
