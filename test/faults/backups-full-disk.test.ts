import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dumpedOf, storedFiles, toFolder } from '../support/dumps.ts';
import { createFleet, readReport } from '../support/fleet.ts';
import { listBackups, partialFiles, soundBackups } from '../support/sound-store.ts';
import { spawnCli } from '../support/spawn-cli.ts';

/** The dearest cases are left to `npm run test:soak`. */
const soak = process.env.TENANTCTL_SOAK === '1';

const fleet = await createFleet({ until: 'file', schemas: 5, inventory: toFolder });
for (const schema of ['tenant_t01', 'tenant_t02', 'tenant_t03', 'tenant_t04', 'tenant_t05']) {
  await fleet.db.query(`create table ${schema}.things (id int); insert into ${schema}.things values (1)`);
}
// It does not get smaller by gzip.
await fleet.db.query(`create table tenant_t03.noise (bytes bytea);
  insert into tenant_t03.noise select decode(string_agg(md5(random()::text), ''), 'hex') from generate_series(1, 20000)`);

const largestFileBytes = 100 * 512;

test.each(['--lock-share 0.1%', ''])(
  'an archive that the disk has no room for costs its own tenant alone, and nothing half is left (%s)',
  async (flags) => {
    const before = await soundBackups(fleet);
    const result = await spawnCli(`dump --all ${flags} --json`.replace('  ', ' '), fleet.folder, { largestFileBytes })
      .ended;
    const report = readReport({ ...result, questions: [] });
    expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 done, t03 failed, t04 done, t05 done']);
    expect(report.of('t03').error).toMatchObject({
      code: 'store',
      message: expect.stringMatching(/^\/.*\/backups\/t03\/.*\.dump cannot be written: EFBIG$/),
    });
    // It is nobody else's matter: their pg_dump went on.
    if (flags === '') expect(dumpedOf(report, 't01').batch).toBe(5);
    expect(await soundBackups(fleet)).toMatchObject(before);
    expect(await partialFiles(fleet)).toEqual([]);
    expect((await listBackups(fleet)).filter(({ state }) => state !== 'complete')).toEqual([]);
    expect((await storedFiles(fleet)).filter((file) => file.startsWith('t03/'))).toEqual([]);
  },
);

test.runIf(soak)('an archive that is put together in a file is no different', async () => {
  await fleet.db.query(`create table tenant_t03.more (bytes bytea);
    insert into tenant_t03.more select decode(string_agg(md5(random()::text), ''), 'hex')
      from generate_series(1, 900000) n group by n % 3`);
  const result = await spawnCli('dump -t t03 t04 --compress 0 --json', fleet.folder, {
    largestFileBytes: 17_000_000 - (17_000_000 % 512),
  }).ended;
  const report = readReport({ ...result, questions: [] });
  expect([report.exitCode, report.summary]).toEqual([3, 't03 failed, t04 done']);
  expect(report.of('t03').error).toMatchObject({
    code: 'store',
    message: expect.stringMatching(/\/backups\/t03\/.* cannot be written: EFBIG$/),
  });
  expect(await partialFiles(fleet)).toEqual([]);
  expect((await storedFiles(fleet)).filter((file) => file.startsWith('t03/'))).toEqual([]);
});

test.skipIf(process.getuid?.() === 0)(
  'a folder that may not be written is named, and its tenant alone fails',
  async () => {
    await mkdir(join(fleet.folder, 'backups', 't02'), { recursive: true, mode: 0o500 });
    const report = await fleet.json('dump --all -t t01 t02');
    expect(report.summary).toBe('t01 done, t02 failed');
  },
);

test('a folder that is no folder is named, and its tenant alone fails', async () => {
  const { writeFile } = await import('node:fs/promises');
  await mkdir(join(fleet.folder, 'elsewhere'));
  await writeFile(join(fleet.folder, 'elsewhere', 't02'), 'in the way');
  const report = await fleet.json('dump -t t01 t02 t04 --store ./elsewhere');
  expect(report.summary).toBe('t01 done, t02 failed, t04 done');
  expect(report.of('t02').error?.message).toMatch(/elsewhere\/t02.* cannot be written: /);
});
