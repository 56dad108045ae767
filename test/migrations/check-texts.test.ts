import { expect, test } from 'vitest';
import { RefusedError } from '../../src/errors.ts';
import { readChecks } from '../../src/migrations/check-texts.ts';

test.each([
  'SELECT id FROM users',
  'select 1 -- a comment',
  'VALUES (1), (2)',
  'TABLE users',
  'WITH a AS (SELECT 1) SELECT * FROM a',
  'SELECT 1 UNION ALL SELECT 2',
  "SELECT ';' AS semicolon",
])('%s is a check', async (sql) => {
  expect(await readChecks([{ name: 'x', sql }])).toEqual([{ name: 'x', query: sql }]);
});

test('the semicolon at its end is left out', async () => {
  expect(await readChecks([{ name: 'x', sql: '  SELECT 1 ; ' }])).toEqual([{ name: 'x', query: 'SELECT 1' }]);
});

test.each([
  ['', 'it holds no statement'],
  ['SELEC 1', 'PostgreSQL’s parser does not understand it'],
  ['SELECT 1; SELECT 2', 'it holds 2 statements'],
  ['SELECT 1; COMMIT; DROP TABLE users', 'it holds 3 statements'],
  ['DELETE FROM users RETURNING id', 'it is no query'],
  ['EXPLAIN SELECT 1', 'it is no query'],
  ['WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone', 'it would write'],
  ['SELECT * INTO copy FROM users', 'it would write'],
  ['SELECT id FROM users FOR UPDATE', 'it would lock rows'],
  ['SELECT * FROM (SELECT id FROM users FOR SHARE) AS locked', 'it would lock rows'],
])('%j is refused: %s', async (sql, objection) => {
  const refused = await readChecks([
    { name: 'good:1', sql: 'SELECT 1' },
    { name: 'migrations/0001_a.sql:3', sql },
  ]).catch((error) => error);
  expect(refused).toBeInstanceOf(RefusedError);
  expect(refused.details).toEqual([`migrations/0001_a.sql:3: ${objection}`]);
  expect(refused.hint).toContain('a check is one SELECT');
});
