import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readFolder } from '../../src/migrations/folder.ts';
import { readPreflights } from '../../src/migrations/preflight.ts';

async function preflightsOf(file: string, text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-preflight-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(dirname(join(folder, file)), { recursive: true });
  await writeFile(join(folder, file), text);
  const [migration] = readFolder(folder, folder).migrations;
  if (migration === undefined) throw new Error('no migration was read');
  expect(readPreflights(migration)).toBe(readPreflights(migration));
  return readPreflights(migration);
}

test('lines of a file, wherever they stand', async () => {
  const text = [
    '-- Up Migration',
    '-- tenantctl:preflight SELECT email FROM users GROUP BY 1 HAVING count(*) > 1',
    'CREATE UNIQUE INDEX ON users (email);',
    '  --tenantctl:preflight \t VALUES (1);  ',
    '-- Down Migration',
    '-- tenantctl:preflight SELECT 3',
  ].join('\r\n');
  expect(await preflightsOf('0001_a.sql', text)).toEqual([
    { sql: 'SELECT email FROM users GROUP BY 1 HAVING count(*) > 1', line: 2 },
    { sql: 'VALUES (1);', line: 4 },
    { sql: 'SELECT 3', line: 6 },
  ]);
});

test.each([
  'SELECT 1; -- tenantctl:preflight SELECT 2',
  '-- tenantctl:preflights SELECT 1',
  '-- see tenantctl:preflight SELECT 1',
  '# tenantctl:preflight SELECT 1',
  '// tenantctl:preflight SELECT 1',
])('%s is none', async (line) => {
  expect(await preflightsOf('0001_a.sql', line)).toEqual([]);
});

test('one without SQL is one, to be objected to', async () => {
  expect(await preflightsOf('0001_a.sql', '-- tenantctl:preflight\nSELECT 1;')).toEqual([{ sql: '', line: 1 }]);
});

test('comments of JavaScript and TypeScript do as well', async () => {
  const text = [
    '// tenantctl:preflight SELECT 1',
    '/*',
    '-- tenantctl:preflight SELECT 2',
    ' * tenantctl:preflight SELECT 3',
    '*/',
    '// -- tenantctl:preflight SELECT 4',
    'export const up = () => {};',
  ].join('\n');
  const found = await preflightsOf('0001_a.ts', text);
  expect(found.map(({ sql, line }) => `${line} ${sql}`)).toEqual([
    '1 SELECT 1',
    '3 SELECT 2',
    '4 SELECT 3',
    '6 SELECT 4',
  ]);
});
