import { lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RefusedError, UsageError } from '../../../src/errors.ts';
import {
  type InventoryDraft,
  inventoryText,
  readInventoryText,
  writeInventory,
} from '../../../src/fleet/inventory/write-inventory.ts';
import { openFolder } from '../../support/folders.ts';

const draft: InventoryDraft = {
  environment: 'production',
  migrations: './migrations',
  hasMigrations: true,
  serverId: 'main',
  url: 'postgres://u@db:5432/postgres',
  passwordEnv: null,
  entries: [],
  createdAt: new Date('2026-11-22T10:00:00Z'),
};

it('writes what is read back, with nothing found and with a password elsewhere', async () => {
  const { inventory, warnings } = await readInventoryText(
    inventoryText({ ...draft, passwordEnv: 'MAIN_DB_PASSWORD' }),
    'tenants.yaml',
  );
  expect(warnings).toEqual([]);
  expect(inventory).toMatchObject({ environment: 'production', tenants: [], discover: [], shared: [] });
  expect(inventory.servers.get('main')).toMatchObject({ url: draft.url, password: { env: 'MAIN_DB_PASSWORD' } });
});

it.each([
  'yes',
  'null',
  'a: b',
  '# no comment',
  "it's",
  'a"b\\c',
  '{ }',
  '- x',
  '*alias',
  '&anchor',
  '!tag',
  'ünï-cödé',
  'emoji 😀',
  'zero\u200bwidth',
  '007',
  '1e3',
  '~',
])('reads %j back as it was, wherever it stands', async (name) => {
  const text = inventoryText({
    ...draft,
    environment: name,
    serverId: `s${name.replace(/[*-]/g, '')}`,
    entries: [
      {
        kind: 'schemas',
        database: name,
        pattern: `${name}*`,
        names: [`${name}1`, 'line\nbreak', 'x\u2028y'],
        id: null,
      },
      { kind: 'databases', pattern: `?${name}`, names: ['x'], id: '{server}-{match}' },
    ],
  });
  const { inventory } = await readInventoryText(text, 'tenants.yaml');
  expect(inventory.environment).toBe(name);
  const server = [...inventory.servers.keys()][0];
  expect(inventory.discover).toMatchObject([
    { kind: 'schemas', server, database: name, pattern: `${name}*`, id: null },
    { kind: 'databases', server, pattern: `?${name}`, id: '{server}-{match}' },
  ]);
});

it('says what is wrong with a draft, and where', async () => {
  const error = await readInventoryText(inventoryText({ ...draft, environment: ' x ' }), 'tenants.yaml').catch(
    (e) => e,
  );
  expect(error).toBeInstanceOf(UsageError);
  expect(error.details[0]).toMatch(/^tenants\.yaml:\d+:\d+ environment: /);
});

it('never writes over a file, and leaves nothing beside it', async () => {
  const folder = await openFolder();
  const file = { path: join(folder, 'tenants.yaml'), name: 'tenants.yaml', force: false };
  await writeInventory(file, 'first');
  await expect(writeInventory(file, 'second')).rejects.toThrow(RefusedError);
  expect(await readFile(file.path, 'utf8')).toBe('first');
  await writeInventory({ ...file, force: true }, 'third');
  expect(await readFile(file.path, 'utf8')).toBe('third');
  expect(await readdir(folder)).toEqual(['tenants.yaml']);
});

it('keeps a link a link', async () => {
  const folder = await openFolder();
  await mkdir(join(folder, 'real'));
  await writeFile(join(folder, 'real', 'fleet.yaml'), 'old');
  const path = join(folder, 'tenants.yaml');
  await symlink(join('real', 'fleet.yaml'), path);
  await writeInventory({ path, name: 'tenants.yaml', force: true }, 'new');
  expect((await lstat(path)).isSymbolicLink()).toBe(true);
  expect(await readFile(join(folder, 'real', 'fleet.yaml'), 'utf8')).toBe('new');
  expect(await readdir(join(folder, 'real'))).toEqual(['fleet.yaml']);
});

it('tells that a folder is missing, or is no folder', async () => {
  const folder = await openFolder();
  await writeFile(join(folder, 'file'), '');
  for (const [name, code] of [
    ['missing/tenants.yaml', 'ENOENT'],
    ['file/tenants.yaml', 'ENOTDIR'],
  ] as const) {
    const error = await writeInventory({ path: join(folder, name), name, force: false }, 'x').catch((e) => e);
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toBe(`cannot write ${name}: ${code}`);
  }
});
