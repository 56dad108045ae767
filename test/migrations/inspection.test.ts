import { expect, test } from 'vitest';
import { inspector, sqlMigration } from '../support/parsed-migrations.ts';

function objections(text: string): readonly string[] {
  return inspector.inspect(sqlMigration(text), 'up').objections.map(({ message }) => message);
}

test.each([
  'CREATE INDEX CONCURRENTLY i ON t (a)',
  'DROP INDEX CONCURRENTLY i',
  'REINDEX TABLE CONCURRENTLY t',
  'REINDEX SCHEMA s',
  'REINDEX (VERBOSE) DATABASE',
  'VACUUM t',
  'CLUSTER',
  'ALTER TABLE t DETACH PARTITION p CONCURRENTLY',
])('%s is refused in a transaction, and only there', (statement) => {
  expect(objections(statement)).toEqual(['this statement cannot run inside a transaction']);
  expect(objections(`-- tenantctl:no-transaction\n${statement}`)).toEqual([]);
});

test.each([
  'CREATE INDEX i ON t (a)',
  'REINDEX TABLE t',
  'REINDEX INDEX i',
  'CLUSTER t USING i',
  'ANALYZE t',
  'ALTER TABLE t DETACH PARTITION p',
  'ALTER TABLE t DETACH PARTITION p FINALIZE',
])('%s may run in one', (statement) => {
  expect(objections(statement)).toEqual([]);
});

test.each([
  ['CREATE INDEX CONCURRENTLY i ON t (a)', true],
  ['/* now */ drop index concurrently if exists i;', true],
  ['REINDEX INDEX CONCURRENTLY i', true],
  ['REINDEX (VERBOSE, CONCURRENTLY) TABLE t', true],
  ['REINDEX (CONCURRENTLY off) TABLE t', false],
  ['CREATE INDEX i ON t (a) -- not concurrently', false],
  ['ALTER TABLE t DETACH PARTITION p CONCURRENTLY', false],
  ['REFRESH MATERIALIZED VIEW CONCURRENTLY v', false],
  ['CREATE INDEX CONCURRENTLY i ON t (a); DROP TABLE t', false],
  ['CREATE INDEX CONCURRENTLY i ON t FROBNICATE', false],
])('%s works on an index CONCURRENTLY: %s', (text, expected) => {
  expect(inspector.worksOnIndexConcurrently(text)).toBe(expected);
});

test.each([
  ["SET lock_timeout = '1s'", true],
  ['SET SESSION statement_timeout TO 5', true],
  ['RESET lock_timeout', true],
  ['RESET ALL', true],
  ["SELECT pg_catalog.set_config('statement_timeout', '0', false)", true],
  ["SET LOCAL lock_timeout = '1s'", false],
  ["SET idle_session_timeout = '1s'", false],
  ["SELECT 'SET lock_timeout = 1' -- lock_timeout", false],
  ["COMMENT ON TABLE t IS 'RESET ALL'", false],
])('%s sets a timeout: %s', (text, expected) => {
  expect(inspector.setsTimeouts(text)).toBe(expected);
});
