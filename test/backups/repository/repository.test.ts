import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path, { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { describe, expect, test } from 'vitest';
import type { Backup, Pin, VerificationResult } from '../../../src/backups/repository/backup.ts';
import { FolderStore } from '../../../src/backups/repository/folder-store.ts';
import type { BackupSubject } from '../../../src/backups/repository/manifest.ts';
import { fileTime } from '../../../src/backups/repository/names.ts';
import { Repository, type RepositoryOptions } from '../../../src/backups/repository/repository.ts';
import type { Content } from '../../../src/backups/repository/store.ts';
import { closedFolder } from '../../support/folders.ts';
import { bytesOf, putBackup, readAll, sampleManifest, tenant } from '../../support/sample-backup.ts';

const takenAt = '2026-11-22T10:15:00.123Z';
const time = fileTime(new Date(takenAt));

function openAt(folder: string, changes: Partial<RepositoryOptions> = {}): Repository {
  const now = () => new Date('2026-11-23T00:00:00Z');
  return new Repository({
    store: new FolderStore(folder),
    copy: null,
    recipients: [],
    identities: null,
    now,
    ...changes,
  });
}

async function spool(
  repository: Repository,
  subject: BackupSubject,
  bytes: Uint8Array,
): Promise<Content & { path: string }> {
  const path = await repository.spoolFile(subject, time);
  await writeFile(path, bytes);
  return { kind: 'file', sizeBytes: bytes.length, path, isOurs: true };
}

/** All below, in order. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, join(entry.parentPath, entry.name)))
    .toSorted();
}

async function statesIn(repository: Repository): Promise<readonly string[]> {
  return (await repository.listBackups()).map(({ state }) => state);
}

const passed: VerificationResult = {
  level: 'content',
  verdict: 'passed',
  at: '2026-11-22T11:00:00Z',
  durationMs: 12,
  run: '2026-11-22T110000Z-abcd',
  tenantctl: '0.0.0-test',
  server: null,
  problems: [],
  remarks: [],
};
const pin: Pin = { schema: 'tenantctl-pin/1', at: takenAt, by: 'me', reason: 'audit', until: null };

describe('putting', () => {
  test('an archive is no backup before its manifest, and is gone when its dump came to nothing', async () => {
    const folder = await closedFolder();
    const repository = openAt(folder);
    const put = await repository.putArchive(tenant('acme'), time, bytesOf('an archive'));
    expect(put).toEqual({
      archive: { sizeBytes: 10, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      file: { name: `${time}.dump`, sizeBytes: 10, sha256: put.archive.sha256 },
      encryption: null,
    });
    expect(await statesIn(repository)).toEqual(['no-manifest']);
    await repository.putManifest(sampleManifest(tenant('acme'), time, put));
    expect(await statesIn(repository)).toEqual(['complete']);
    await repository.putArchive(tenant('bob'), time, bytesOf('half'));
    await repository.removeArchive(tenant('bob'), time);
    expect(await filesIn(folder)).toEqual([`acme/${time}.dump`, `acme/${time}.json`]);
  });

  test('a spooled archive in a folder is moved to its place, and pg_restore may read it there', async () => {
    const folder = await closedFolder();
    const repository = openAt(folder);
    const content = await spool(repository, tenant('acme'), randomBytes(100_000));
    const { ino } = await stat(content.path);
    const backup = await putBackup(repository, tenant('acme'), takenAt, content);
    const local = repository.localArchive(backup)!;
    expect([local, (await stat(local)).ino]).toEqual([join(folder, 'acme', `${time}.dump`), ino]);
    expect(await filesIn(folder)).toEqual([`acme/${time}.dump`, `acme/${time}.json`]);
  });

  test.each(['bytes', 'file'])(
    'what is encrypted (%s) is never in the store in plain, and comes back',
    async (kind) => {
      const folder = await closedFolder();
      const key = await generateX25519Identity();
      const recipients = [await identityToRecipient(key)];
      const repository = openAt(folder, { recipients, identities: { file: 'key.txt', keys: [key] } });
      const text = 'the marker of a customer '.repeat(5000);
      const content = kind === 'bytes' ? bytesOf(text) : await spool(repository, tenant('acme'), Buffer.from(text));
      if ('path' in content) expect(path.relative(folder, content.path)).toMatch(/^\.\./);
      const backup = await putBackup(repository, tenant('acme'), takenAt, content);
      expect(await filesIn(folder)).toEqual([`acme/${time}.dump.age`, `acme/${time}.json`]);
      expect((await readFile(join(folder, backup.keys.file!))).includes('marker')).toBe(false);
      expect(repository.localArchive(backup)).toBeNull();
      expect((await readAll(await repository.openArchive(backup))).toString()).toBe(text);
      const { file, archive, encryption } = backup.manifest!;
      expect([archive.sizeBytes, file.sizeBytes, encryption]).toEqual([
        text.length,
        backup.sizeBytes,
        { method: 'age', recipients },
      ]);
      await repository[Symbol.asyncDispose]();
    },
  );

  test('without the key, the error names whom it is encrypted for', async () => {
    const folder = await closedFolder();
    const [key, other] = await Promise.all([generateX25519Identity(), generateX25519Identity()]);
    const recipients = [await identityToRecipient(key)];
    const backup = await putBackup(openAt(folder, { recipients }), tenant('acme'), takenAt);
    for (const identities of [null, { file: 'other.txt', keys: [other] }]) {
      await expect(openAt(folder, { identities }).openArchive(backup)).rejects.toMatchObject({
        failure: {
          code: 'no-key',
          message: expect.stringContaining(recipients[0]!),
          hint: expect.stringContaining('--identity'),
        },
      });
    }
  });

  test('leftovers of killed runs are removed, backups are not', async () => {
    const folder = await closedFolder();
    const repository = openAt(folder, { now: () => new Date(Date.now() + 48 * 3_600_000) });
    await putBackup(repository, tenant('acme'), takenAt);
    const { path: left } = await spool(repository, tenant('acme'), Buffer.from('half'));
    expect(await openAt(folder, { now: () => new Date() }).removeLeftovers()).toEqual([]);
    expect(await repository.removeLeftovers()).toEqual([path.relative(folder, left)]);
    expect(await statesIn(repository)).toEqual(['complete']);
  });
});

describe('the copy', () => {
  test.each(['bytes', 'file'])('gets everything that the first place gets (%s)', async (kind) => {
    const [first, second] = [await closedFolder(), await closedFolder()];
    const repository = openAt(first, { copy: new FolderStore(second) });
    const content =
      kind === 'bytes' ? bytesOf('an archive') : await spool(repository, tenant('acme'), Buffer.from('an archive'));
    const backup = await putBackup(repository, tenant('acme'), takenAt, content);
    await repository.putPin(backup, pin);
    await repository.putVerification(backup, passed);
    expect(await filesIn(second)).toEqual(await filesIn(first));
    for (const name of await filesIn(first)) {
      expect(await readFile(join(second, name))).toEqual(await readFile(join(first, name)));
    }
    await repository.removePin(backup);
    expect(await filesIn(second)).not.toContain(`acme/${time}.pin.json`);
    await repository.removeBackups([backup]);
    expect([await filesIn(first), await filesIn(second)]).toEqual([[], []]);
  });

  test('when it cannot be made, the backup is complete and good in the first place, and the error says so', async () => {
    const folder = await closedFolder();
    await writeFile(join(folder, 'file'), '');
    const first = join(folder, 'first');
    const repository = openAt(first, { copy: new FolderStore(join(folder, 'file')) });
    const put = await repository.putArchive(tenant('acme'), time, bytesOf('an archive'));
    await expect(repository.putManifest(sampleManifest(tenant('acme'), time, put))).rejects.toMatchObject({
      failure: {
        code: 'copy-failed',
        message: expect.stringContaining(`it is in ${first}, but not in its second place`),
      },
    });
    expect(await statesIn(repository)).toEqual(['complete']);
    await expect(repository.putPin((await repository.listBackups())[0]!, pin)).rejects.toMatchObject({
      failure: { code: 'copy-failed' },
    });
  });

  test('never has a manifest without its archive', async () => {
    const [first, second] = [await closedFolder(), await closedFolder()];
    // The archive's name is taken there: its copy fails, and that of the manifest would not.
    await mkdir(join(second, 'acme', `${time}.dump`), { recursive: true });
    const repository = openAt(first, { copy: new FolderStore(second) });
    await expect(putBackup(repository, tenant('acme'), takenAt)).rejects.toMatchObject({
      failure: { code: 'copy-failed' },
    });
    expect(await filesIn(second)).toEqual([]);
  });
});

describe('listing', () => {
  test('by subject, the newest first; kinds and tenants are told apart', async () => {
    const repository = openAt(await closedFolder());
    const subjects: readonly BackupSubject[] = [
      tenant('acme'),
      tenant('Acme'),
      tenant('acme-2'),
      tenant(`${'long '.repeat(60)}id`),
      tenant('_roles'),
      { kind: 'shared', server: 'main', database: 'saas' },
      { kind: 'large-objects', server: 'main', database: 'saas' },
      { kind: 'roles', server: 'main' },
    ];
    for (const subject of subjects) await putBackup(repository, subject, takenAt);
    await putBackup(repository, tenant('acme'), '2026-11-23T10:15:00.123Z');
    const listed = async (filter: Parameters<Repository['listBackups']>[0]) =>
      (await repository.listBackups(filter)).map(({ subject }) => subject);
    const all = await listed({});
    expect(all).toHaveLength(9);
    expect(new Set(all.map((subject) => JSON.stringify(subject)))).toEqual(
      new Set(subjects.map((each) => JSON.stringify(each))),
    );
    expect(await listed({ tenants: ['acme'] })).toEqual([tenant('acme'), tenant('acme')]);
    expect(await listed({ tenants: [`${'long '.repeat(60)}id`], withManifests: false })).toEqual([subjects[3]]);
    expect(await listed({ kinds: ['shared', 'roles'] })).toEqual([subjects[5], subjects[7]]);
    expect(await listed({ kinds: ['tenant'] })).toHaveLength(6);
    const many = Array.from({ length: 30 }, (_, index) => `nobody-${index}`);
    expect(await listed({ tenants: [...many, 'Acme'], kinds: ['roles'] })).toEqual([tenant('Acme'), subjects[7]]);
    const [newest] = await repository.listBackups({ tenants: ['acme'] });
    expect(newest).toMatchObject({ time: '2026-11-23T101500.123Z', takenAt: new Date('2026-11-23T10:15:00.123Z') });
    expect(await repository.findBackup(`_shared/main/saas/${time}.dump`)).toMatchObject({
      subject: subjects[5],
      state: 'complete',
    });
    expect(await repository.findBackup(`nobody/${time}.dump`)).toBeNull();
  });

  test.each<[string, (file: string, manifest: string) => Promise<unknown>, Backup['state'], string]>([
    ['an archive that is gone', (file) => rm(file), 'no-archive', 'its archive is not there'],
    ['an archive that was cut', (file) => truncate(file, 5), 'wrong-size', 'its archive has 5 bytes, not 10'],
    ['a manifest that is gone', (_, manifest) => rm(manifest), 'no-manifest', 'it has no manifest'],
    ['a manifest that was cut', (_, manifest) => truncate(manifest, 100), 'bad-manifest', 'cut, or changed'],
    ['a manifest that is empty', (_, manifest) => truncate(manifest, 0), 'bad-manifest', 'cut, or changed'],
  ])('%s is told, and does not hide the others', async (_name, damage, state, problem) => {
    const folder = await closedFolder();
    const repository = openAt(folder);
    await putBackup(repository, tenant('acme'), takenAt);
    await putBackup(repository, tenant('bob'), takenAt);
    await damage(join(folder, 'acme', `${time}.dump`), join(folder, 'acme', `${time}.json`));
    const [first, second] = await repository.listBackups();
    expect(first).toMatchObject({ subject: tenant('acme'), state, problem: expect.stringContaining(problem) });
    expect(second).toMatchObject({ subject: tenant('bob'), state: 'complete', problem: null });
    await repository.removeBackups([first!]);
    expect(await filesIn(folder)).toEqual([`bob/${time}.dump`, `bob/${time}.json`]);
  });

  test('a manifest beside an archive of somebody else is a bad one', async () => {
    const folder = await closedFolder();
    const repository = openAt(folder);
    await putBackup(repository, tenant('acme'), takenAt);
    await putBackup(repository, tenant('bob'), takenAt);
    await rm(join(folder, 'acme', `${time}.json`));
    await copyFile(join(folder, 'bob', `${time}.json`), join(folder, 'acme', `${time}.json`));
    expect((await repository.listBackups())[0]).toMatchObject({
      subject: tenant('acme'),
      state: 'bad-manifest',
      problem: `its manifest: it is that of bob/${time}`,
    });
  });

  test('an archive that goes away between listing and opening is told', async () => {
    const folder = await closedFolder();
    const repository = openAt(folder);
    const backup = await putBackup(repository, tenant('acme'), takenAt);
    await rm(join(folder, 'acme', `${time}.dump`));
    await expect(repository.openArchive(backup)).rejects.toMatchObject({ failure: { code: 'archive-missing' } });
  });
});

describe('records beside an archive', () => {
  test('the newest result of each level is kept', async () => {
    const repository = openAt(await closedFolder());
    const backup = await putBackup(repository, tenant('acme'), takenAt);
    await repository.putVerification(backup, passed);
    await repository.putVerification(backup, { ...passed, level: 'restore', durationMs: 1 });
    await repository.putVerification(backup, { ...passed, verdict: 'bad', problems: ['a block is cut'] });
    const [found] = await repository.listBackups();
    expect(found?.verification?.results).toEqual([
      { ...passed, level: 'restore', durationMs: 1 },
      { ...passed, verdict: 'bad', problems: ['a block is cut'] },
    ]);
  });

  test('a damaged pin still pins, a damaged verification proves nothing', async () => {
    const folder = await closedFolder();
    const repository = openAt(folder);
    const backup = await putBackup(repository, tenant('acme'), takenAt);
    await repository.putPin(backup, pin);
    await repository.putVerification(backup, passed);
    expect((await repository.listBackups())[0]).toMatchObject({ pin, verification: { results: [passed] } });
    for (const ending of ['pin', 'verified']) {
      const file = join(folder, 'acme', `${time}.${ending}.json`);
      await writeFile(file, (await readFile(file, 'utf8')).replace('2026', '2025'));
    }
    expect((await repository.listBackups())[0]).toMatchObject({
      verification: null,
      pin: { until: null, reason: expect.stringContaining('cannot be read') },
    });
  });
});
