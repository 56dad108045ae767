import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createFleet } from '../../support/fleet.ts';
import { openFolder } from '../../support/folders.ts';
import { runCli } from '../../support/run-cli.ts';

const now = () => new Date('2026-11-22T10:15:00.123Z');

test('numbers the new file as the folder is, and the file can be run at once', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0041_a.sql': 'SELECT 1;', '0042_b.js': 'exports.up = () => {};' },
  });
  const { exitCode, stdout } = await fleet.run('migrate create Add invoices & taxes');
  expect([exitCode, stdout]).toEqual([0, 'migrations/0043_Add_invoices_taxes.sql\n']);
  expect((await fleet.run('migrate create more --language ts')).stdout).toBe('migrations/0044_more.ts\n');
  expect((await fleet.run('migrate create more --language js')).stdout).toBe('migrations/0045_more.js\n');
  const report = await fleet.json('migrate --all');
  expect(report.of('t01').value?.applied).toEqual([
    '0041_a',
    '0042_b',
    '0043_Add_invoices_taxes',
    '0044_more',
    '0045_more',
  ]);
  expect((await fleet.run('migrate down --all --count 3 --yes')).exitCode).toBe(0);
});

test.each([
  [[], '0001_x.sql'],
  [['README.md', '.keep'], '0001_x.sql'],
  [['9999_a.sql'], '10000_x.sql'],
  [['1_a.sql', '12_b.sql'], '0013_x.sql'],
  [['1763806500123_a.sql'], '1795342500123_x.sql'],
  [['20251122101500123_a.sql'], '20261122101500123_x.sql'],
  [['20251122101500_a.sql'], '20261122101500_x.sql'],
  [['20991122101500_a.sql'], '20991122101501_x.sql'],
  [['20251122_a.sql'], '20251123_x.sql'],
])('after %j comes %s', async (names, expected) => {
  const cwd = await openFolder();
  const { mkdir, writeFile } = await import('node:fs/promises');
  await mkdir(join(cwd, 'm'));
  for (const name of names) await writeFile(join(cwd, 'm', name), '');
  const { exitCode, stdout } = await runCli('migrate create x --folder m', { cwd, now });
  expect([exitCode, stdout]).toEqual([0, `m/${expected}\n`]);
});

test('makes the folder, and tells a program where the file is', async () => {
  const cwd = await openFolder();
  const { stdout } = await runCli('migrate create first --folder a/b --json', { cwd });
  expect(JSON.parse(stdout)).toMatchObject({ exitCode: 0, file: join(cwd, 'a/b/0001_first.sql'), outcomes: [] });
  expect(await readFile(join(cwd, 'a/b/0001_first.sql'), 'utf8')).toMatch(
    /^-- Up Migration\n(?:.*\n)*-- Down Migration\n/m,
  );
});

test.each([
  ['migrate create --folder m', 'name'],
  ['migrate create ../.. --folder m', 'letters or digits'],
  ['migrate create x --folder m --language cobol', 'cobol'],
  ['migrate create x', 'tenants.yaml'],
])('%s is a mistake', async (argv, message) => {
  const cwd = await openFolder();
  const { exitCode, stdout, stderr } = await runCli(argv, { cwd });
  expect([exitCode, stdout]).toEqual([2, '']);
  expect(stderr).toContain(message);
  expect(await readdir(cwd)).toEqual([]);
});
