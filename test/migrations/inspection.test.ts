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
