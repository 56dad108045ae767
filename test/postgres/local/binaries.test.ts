import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findPostgres } from '../../../src/postgres/local/binaries.ts';
import { writePostgres } from '../../support/fake-programs.ts';
import { openFolder } from '../../support/folders.ts';

const whole = { server: true, client: true };

/** A machine that is a folder: its PATH, its usual folders, and a package root without a toolchain. */
async function makeMachine() {
  const folder = await openFolder();
  const usual = join(folder, 'usr', 'lib', 'postgresql');
  const find = (env: Record<string, string> = {}) =>
    findPostgres({
      env: { PATH: join(folder, 'bin'), ...env },
      root: folder,
      usualFolders: [join(usual, '*', 'bin'), join(folder, 'pgsql-*', 'bin')],
    });
  return { folder, usual, find };
}

test('the newest complete installation is taken, by number and not by name', async () => {
  const { folder, usual, find } = await makeMachine();
  await writePostgres(join(usual, '15', 'bin'), '15.9 (Debian 15.9-1)', whole);
  await writePostgres(join(folder, 'pgsql-15', 'bin'), '15.18', whole);
  await writePostgres(join(folder, 'bin'), '14.20', whole);
  expect(await find()).toEqual({
    source: 'system',
    binDir: join(folder, 'pgsql-15', 'bin'),
    version: '15.18',
    major: 15,
    client: { binDir: join(folder, 'pgsql-15', 'bin'), version: '15.18', major: 15, env: {} },
  });
});

test('a server without its pg_dump counts less than an older complete one', async () => {
  const { usual, find } = await makeMachine();
  await writePostgres(join(usual, '18', 'bin'), '18.1', { server: true });
  await writePostgres(join(usual, '16', 'bin'), '16.2', whole);
  expect(await find()).toMatchObject({ version: '16.2', client: { major: 16 } });
});

test('server and pg_dump of one major may lie in different folders', async () => {
  const { folder, usual, find } = await makeMachine();
  await writePostgres(join(usual, '17', 'bin'), '17.4', { server: true });
  await writePostgres(join(folder, 'bin'), '17.4', { client: true });
  expect(await find()).toMatchObject({ binDir: join(usual, '17', 'bin'), client: { binDir: join(folder, 'bin') } });
});

test('a lone server is better than none, with a newer pg_dump but never with an older one', async () => {
  const { folder, usual, find } = await makeMachine();
  await writePostgres(join(usual, '16', 'bin'), '16.2', { server: true });
  await writePostgres(join(folder, 'bin'), '15.3', { client: true });
  expect(await find()).toMatchObject({ version: '16.2', client: null });
  await writePostgres(join(usual, '18', 'bin'), '18beta1', { client: true });
  expect(await find()).toMatchObject({ version: '16.2', client: { version: '18beta1', major: 18 } });
});

test('links on PATH lead to the installation', async () => {
  const { folder, usual, find } = await makeMachine();
  const home = await writePostgres(join(folder, 'opt', 'postgres-17'), '17.1', whole);
  await writePostgres(join(folder, 'bin'), '0', {});
  await symlink(join(home, 'postgres'), join(folder, 'bin', 'postgres'));
  await writePostgres(usual, '0', {});
  expect(await find()).toMatchObject({ binDir: home, version: '17.1', client: { binDir: home } });
});

test('what is too old, or does not run, does not count', async () => {
  const { usual, find } = await makeMachine();
  await writePostgres(join(usual, '13', 'bin'), '13.22', whole);
  await writePostgres(join(usual, '17', 'bin'), '17.1', { client: true });
  expect(await find()).toBeNull();
});

test('TENANTCTL_TEST_PGBIN wins, and is never replaced in silence', async () => {
  const { folder, usual, find } = await makeMachine();
  await writePostgres(join(usual, '18', 'bin'), '18.1', whole);
  const chosen = await writePostgres(join(folder, 'mine'), '16.2', { server: true });
  expect(await find({ TENANTCTL_TEST_PGBIN: chosen })).toMatchObject({
    source: 'TENANTCTL_TEST_PGBIN',
    version: '16.2',
    client: { major: 18 },
  });
  await expect(find({ TENANTCTL_TEST_PGBIN: join(folder, 'nowhere') })).rejects.toThrow(/nowhere has no initdb/);
});
