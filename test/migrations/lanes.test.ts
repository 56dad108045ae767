import { describe, expect, it, test } from 'vitest';
import { concurrentIndexes, lanesOf, lanesOfPlan } from '../../src/migrations/lanes.ts';
import { forMe, inspector, sqlMigration } from '../support/parsed-migrations.ts';

const alone = '-- tenantctl:no-transaction\n';

function lanes(text: string, context = forMe): string {
  return [...lanesOf(sqlMigration(text), 'up', inspector, context)].join(' ');
}

describe('lanes', () => {
  it.each([
    ['ALTER TABLE t ADD a int', 'transaction'],
    ['', 'transaction'],
    [`${alone}VACUUM t`, ''],
    // Concurrent builds.
    [`${alone}CREATE INDEX CONCURRENTLY i ON t (a, b)`, 'index'],
    [`${alone}CREATE INDEX CONCURRENTLY i ON t (a) INCLUDE (b)`, 'index'],
    [`${alone}CREATE INDEX CONCURRENTLY i ON t (lower(a))`, 'expression-index'],
    [`${alone}CREATE INDEX CONCURRENTLY i ON t ((a ->> 'b'))`, 'expression-index'],
    [`${alone}CREATE INDEX CONCURRENTLY i ON t (a) WHERE b`, 'expression-index'],
    [`${alone}REINDEX TABLE CONCURRENTLY t`, 'index'],
    [
      `${alone}CREATE INDEX CONCURRENTLY i ON t (a); CREATE INDEX CONCURRENTLY j ON t (a) WHERE b`,
      'index expression-index',
    ],
    // Builds that hold a snapshot as long as they take.
    ['CREATE INDEX i ON t (a)', 'transaction build'],
    ['CREATE TABLE n (a int); CREATE INDEX i ON n (a)', 'transaction'],
    ['CREATE INDEX i ON t (a); CREATE TABLE t (a int)', 'transaction build'],
    ['REINDEX TABLE t', 'transaction build'],
    ['CLUSTER t USING i', 'transaction build'],
    [`${alone}VACUUM FULL t`, 'build'],
    ['ALTER TABLE t ALTER a TYPE bigint', 'transaction build'],
    ['ALTER TABLE t ADD CHECK (a > 0)', 'transaction build'],
    [`${alone}ALTER TABLE t VALIDATE CONSTRAINT c`, 'build'],
    // Backfills.
    ['UPDATE t SET a = 1', 'transaction backfill'],
    ['UPDATE t SET a = 1 WHERE id < 1000', 'transaction backfill'],
    ['UPDATE t SET a = 1 WHERE id IN (SELECT id FROM t WHERE a IS NULL LIMIT 1000)', 'transaction'],
    ['UPDATE t SET a = 1 WHERE id IN (SELECT id FROM t LIMIT ALL)', 'transaction backfill'],
    ['WITH some AS (SELECT id FROM t LIMIT 10) DELETE FROM t USING some WHERE t.id = some.id', 'transaction'],
    ['DELETE FROM t WHERE a', 'transaction backfill'],
    ['WITH gone AS (DELETE FROM t RETURNING *) SELECT 1', 'transaction backfill'],
    ['MERGE INTO t USING u ON true WHEN MATCHED THEN DO NOTHING', 'transaction backfill'],
    ['INSERT INTO t SELECT * FROM u', 'transaction backfill'],
    ['INSERT INTO t SELECT * FROM u LIMIT 10', 'transaction'],
    ['INSERT INTO t VALUES (1), (2)', 'transaction'],
    ['INSERT INTO t SELECT generate_series(1, 10)', 'transaction'],
    ['WITH v AS (VALUES (1)) INSERT INTO t SELECT * FROM v', 'transaction'],
    ['CREATE TABLE n AS SELECT * FROM u', 'transaction backfill'],
    ['CREATE TABLE n AS SELECT * FROM u WITH NO DATA', 'transaction'],
    ['CREATE TABLE n AS SELECT 1', 'transaction'],
    ['CREATE TABLE u (a int); INSERT INTO t SELECT * FROM u', 'transaction'],
    ['CREATE TABLE n (a int); UPDATE n SET a = 1', 'transaction'],
    ["COPY t FROM '/data'", 'transaction backfill'],
    ["COPY t TO '/data'", 'transaction'],
    ['SELECT * FROM t', 'transaction'],
    // What others use too.
    ['ALTER TABLE public.t ADD a int', 'transaction shared'],
    ['ALTER TABLE me.t ADD a int', 'transaction'],
    ['CREATE TABLE n (a int REFERENCES public.t)', 'transaction shared'],
    ['ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES other.t NOT VALID', 'transaction shared'],
    ['CREATE TRIGGER x BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION f()', 'transaction shared'],
    ['INSERT INTO public.t VALUES (1)', 'transaction shared'],
    ['INSERT INTO t SELECT 1 FROM public.t LIMIT 1', 'transaction'],
    ['CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', 'transaction shared'],
    ['SET search_path TO public', 'transaction shared'],
    [`${alone}CREATE INDEX CONCURRENTLY i ON public.t (a)`, 'index shared'],
    ['DO $$ BEGIN UPDATE t SET a = 1; END $$', 'transaction'],
    ['NO SQL', 'transaction'],
  ])('%s: %s', (text, expected) => {
    expect(lanes(text)).toBe(expected);
  });

  it('without knowing the tenant, every written schema is another one', () => {
    expect([...lanesOf(sqlMigration('ALTER TABLE me.t ADD a int'), 'up', inspector)]).toEqual([
      'transaction',
      'shared',
    ]);
    expect([...lanesOf(sqlMigration('ALTER TABLE t ADD a int'), 'up', inspector)]).toEqual(['transaction']);
  });

  it('with names that only the shared schema has', () => {
    const context = { ...forMe, sharedNames: new Set(['countries']) };
    expect(lanes('CREATE TABLE n (a int REFERENCES countries)', context)).toBe('transaction shared');
    expect(lanes('CREATE TABLE countries (a int)', context)).toBe('transaction');
    expect(lanes('SELECT * FROM countries', context)).toBe('transaction');
  });

  it('of the way down are its own', () => {
    const migration = sqlMigration('-- Up Migration\nDELETE FROM t;\n-- Down Migration\nCREATE INDEX i ON t (a);');
    expect([...lanesOf(migration, 'down', inspector, forMe)]).toEqual(['transaction', 'build']);
  });

  it('of JavaScript are not known before it runs', () => {
    const { sql: _, ...file } = { ...sqlMigration(''), kind: 'js' as const, sql: null };
    expect([...lanesOf(file, 'up', inspector)]).toEqual(['transaction']);
  });

  it('of a plan: a table that one file makes is new to the next', () => {
    const files = ['CREATE TABLE n (a int)', 'CREATE INDEX i ON n (a)'].map((text) => sqlMigration(text));
    expect([...lanesOfPlan(files, 'up', inspector, forMe)]).toEqual(['transaction']);
    expect(lanes('CREATE INDEX i ON n (a)')).toBe('transaction build');
  });
});

test('concurrent indexes are told one by one', () => {
  const text = `${alone}CREATE INDEX CONCURRENTLY ON t (a);
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "I" ON other."T" (lower(a));
CREATE INDEX plain ON t (a);
REINDEX INDEX CONCURRENTLY plain;`;
  expect(concurrentIndexes(sqlMigration(text), 'up', inspector)).toEqual([
    { name: null, table: 't', schema: null, ifNotExists: false },
    { name: 'I', table: 'T', schema: 'other', ifNotExists: true },
  ]);
});
