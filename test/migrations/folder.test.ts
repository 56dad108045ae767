import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getMigrationFilePaths } from 'node-pg-migrate/migration';
import { expect, test } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { findMigration, readFolder } from '../../src/migrations/folder.ts';
import { openFolder } from '../support/folders.ts';

async function folderWith(...names: readonly string[]): Promise<string> {
  const folder = join(await openFolder(), 'migrations');
  await mkdir(folder);
  for (const name of names) await writeFile(join(folder, name), `-- ${name}`);
  return folder;
}

const namesIn = (folder: string) => readFolder(folder, folder).migrations.map(({ path }) => path);

test.each([
  [['0001_a.sql', '0002_b.sql', '0010_c.sql', '0100_d.sql']],
  [['1_a.sql', '2_b.sql', '10_c.sql', '9_d.sql', '100_e.sql']],
  [['001-a.js', '002-b.sql', '003-c.ts', '004-d.mjs', '005-e.cjs']],
  [['1_z.sql', '01_y.sql', '001_x.sql']],
  [['0001_b.sql', '0001_a.sql', '0001_B.sql', '0001_ä.sql', '0001_ z.sql', '0001.sql', '0001-c.sql']],
  [['1763806500123_a.sql', '0002_b.sql', '20251122101500123_c.sql', '1763806500122_d.sql', '20201122101500123_e.sql']],
  [['2024-01-05_b.sql', '2024-01-04_c.sql', '20240103_d.sql', '202401021200_e.sql']],
  [['0001_a-2.sql', '0001_a-10.sql', '0001_a.b.sql', '0001_a b.sql']],
])('the order is that of node-pg-migrate: %j', async (names) => {
  const folder = await folderWith(...names);
  const silent = () => {};
  const logger = { debug: silent, info: silent, warn: silent, error: silent };
  const theirs = await getMigrationFilePaths(folder, { logger });
  expect(namesIn(folder)).toEqual(theirs);
  expect(theirs).toHaveLength(names.length);
});

test('other files, hidden ones and folders are left alone, a link is followed', async () => {
  const folder = await folderWith('0001_a.sql', '.0002_hidden.sql', 'README.md', '0003_notes.txt', 'helper.json');
  await mkdir(join(folder, '0004_folder.sql'));
  await symlink(join(folder, '0001_a.sql'), join(folder, '0005_link.sql'));
  expect(readFolder(folder, folder).migrations.map(({ name }) => name)).toEqual(['0001_a', '0005_link']);
});

test.each([
  [
    'two with one name',
    ['0001_a.sql', '0001_a.js'],
    /two migrations have one name: 0001_a\.(sql|js) and 0001_a\.(sql|js)/,
  ],
  ['one without a number', ['0001_a.sql', 'helper.js'], /without a number in front have no order: helper\.js/],
])('%s', async (_, names, message) => {
  const folder = await folderWith(...names);
  expect(() => readFolder(folder, folder)).toThrow(message);
});

test('a folder that is not there is a mistake that names it, an empty one is none', async () => {
  const folder = await folderWith();
  expect(readFolder(folder, folder).migrations).toEqual([]);
  const missing = () => readFolder(join(folder, 'nothing'), folder);
  expect(missing).toThrow(UsageError);
  expect(missing).toThrow('the migrations folder nothing cannot be read');
});

test('the checksum is of the text: line ends and a byte order mark do not count, all else does', async () => {
  const folder = await folderWith();
  const write = (name: string, text: string) => writeFile(join(folder, name), text);
  await write('1.sql', 'a\nb\n');
  await write('2.sql', 'a\r\nb\r\n');
  await write('3.sql', '\uFEFFa\nb\n');
  await write('4.sql', 'a\nb');
  const [lf, crlf, bom, other] = readFolder(folder, folder).migrations.map(({ checksum }) => checksum);
  // printf 'a\nb\n' | sha256sum
  expect(lf).toBe('911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2');
  expect([crlf, bom]).toEqual([lf, lf]);
  expect(other).not.toBe(lf);
});

test('a migration is found by its name, its file, or a beginning that fits only one', async () => {
  const folder = readFolder(await folderWith('0001_a.sql', '0002_b.js', '0010_c.sql', '00021_d.sql'), '/');
  const find = (wanted: string) => findMigration(folder, wanted).name;
  expect(['0001_a', '0002_b.js', '0001', '0002_'].map(find)).toEqual(['0001_a', '0002_b', '0001_a', '0002_b']);
  expect(() => find('0002')).toThrow('0002 fits 2 migrations: 0002_b, 00021_d');
  expect(() => find('0003')).toThrow('no migration is named 0003');
});
