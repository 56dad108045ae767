import pg from 'pg';
import { describe, expect, inject, it, test } from 'vitest';
import { allowedWords, hazardNames, saferWays } from '../../src/migrations/hazards.ts';
import { calmFunctions } from '../../src/migrations/hazards-new-column.ts';
import { hostileNames } from '../postgres/hostile-names.ts';
import { databaseUrl } from '../support/database.ts';
import { hazardsIn, inspector, judge, sqlMigration } from '../support/parsed-migrations.ts';

const alone = '-- tenantctl:no-transaction\n';
const lock = 'access-exclusive t';

/** What a statement on tables that are there already is said to be; one that shuts readers out says so beside. */
const cases: readonly (readonly [sql: string, ...hazards: readonly string[]])[] = [
  // New columns.
  ['ALTER TABLE t ADD COLUMN a int', lock],
  ['ALTER TABLE t ADD COLUMN a int DEFAULT 5 NOT NULL', lock],
  ["ALTER TABLE t ADD COLUMN a timestamptz DEFAULT now() + interval '1 day'", lock],
  ['ALTER TABLE t ADD COLUMN a timestamptz DEFAULT CURRENT_TIMESTAMP NOT NULL', lock],
  ["ALTER TABLE t ADD COLUMN a text DEFAULT pg_catalog.lower('A')", lock],
  ["ALTER TABLE t ADD COLUMN a jsonb DEFAULT '{}'::jsonb", lock],
  ['ALTER TABLE t ADD COLUMN a float DEFAULT random()', 'table-rewrite t.a', lock],
  ['ALTER TABLE t ADD COLUMN a uuid NOT NULL DEFAULT gen_random_uuid()', 'table-rewrite t.a', lock],
  ['ALTER TABLE t ADD COLUMN a text DEFAULT md5(clock_timestamp()::text)', 'table-rewrite t.a', lock],
  ['ALTER TABLE t ADD COLUMN a int DEFAULT next_number()', 'table-rewrite t.a', lock],
  ['ALTER TABLE t ADD COLUMN a int DEFAULT mine.lower()', 'table-rewrite t.a', lock],
  ['ALTER TABLE t ADD COLUMN a bigserial', 'table-rewrite t.a', lock],
  ['ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS IDENTITY', 'table-rewrite t.a', lock],
  ['ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) STORED', 'table-rewrite t.a', lock],
  ['ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) VIRTUAL', lock],
  ['ALTER TABLE t ADD COLUMN a int NOT NULL', 'constraint-validates t.a', lock],
  ['ALTER TABLE t ADD COLUMN a int CHECK (a > 0)', 'constraint-validates t.a', lock],
  ['ALTER TABLE t ADD COLUMN a int REFERENCES u', lock],
  ['ALTER TABLE t ADD COLUMN a int DEFAULT 1 REFERENCES u', 'constraint-validates t.a', lock],
  ['ALTER TABLE t ADD COLUMN a int UNIQUE', 'constraint-validates t.a', lock],
  ['ALTER TABLE t ADD COLUMN a int, DROP COLUMN b', 'drop-column t.b', lock],
  // Columns that are there.
  ['ALTER TABLE t DROP COLUMN a', 'drop-column t.a', lock],
  ['ALTER TABLE t DROP COLUMN IF EXISTS a CASCADE', 'drop-column t.a', lock],
  ['ALTER TABLE t ALTER a TYPE bigint', 'table-rewrite t.a', lock],
  ['ALTER TABLE t ALTER a TYPE text USING a::text', 'table-rewrite t.a', lock],
  ['ALTER TABLE t ALTER a SET NOT NULL', 'constraint-validates t.a', lock],
  ['ALTER TABLE t ALTER a DROP NOT NULL', lock],
  ['ALTER TABLE t ALTER a SET DEFAULT random()', lock],
  ['ALTER TABLE t ALTER a SET STATISTICS 500'],
  ['ALTER TABLE t ALTER a SET EXPRESSION AS (b)', 'table-rewrite t.a', lock],
  ['ALTER TYPE c DROP ATTRIBUTE a', 'drop-column c.a'],
  ['ALTER TABLE t RENAME a TO b', 'rename t.a', lock],
  // Tables.
  ['ALTER TABLE t SET TABLESPACE other', 'table-rewrite t', lock],
  ['ALTER TABLE t SET LOGGED', 'table-rewrite t', lock],
  ['ALTER TABLE t SET UNLOGGED', 'table-rewrite t', lock],
  ['ALTER TABLE t SET ACCESS METHOD columnar', 'table-rewrite t', lock],
  ['ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b', 'table-rewrite tablespace a'],
  ['ALTER TABLE t SET (fillfactor = 70)'],
  ['ALTER TABLE t CLUSTER ON i'],
  ['ALTER TABLE t DISABLE TRIGGER ALL'],
  ['ALTER TABLE t ENABLE ROW LEVEL SECURITY', lock],
  ['ALTER TABLE t OWNER TO joe', lock],
  ['ALTER TABLE t RENAME TO u', 'rename t', lock],
  ['ALTER VIEW t RENAME TO u', 'rename t'],
  ['ALTER INDEX t RENAME TO u'],
  ['ALTER TABLE t RENAME CONSTRAINT a TO b'],
  ["ALTER TYPE e RENAME VALUE 'a' TO 'b'", 'rename e.a'],
  ["ALTER TYPE e ADD VALUE 'c'"],
  ['ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)', 'constraint-validates p', 'access-exclusive p'],
  ['ALTER TABLE t DETACH PARTITION p', lock],
  [`${alone}ALTER TABLE t DETACH PARTITION p CONCURRENTLY`, 'no-transaction 0001_x'],
  ['CREATE TABLE p PARTITION OF t FOR VALUES IN (1)', lock],
  ['CREATE TABLE p (LIKE t)'],
  ['CLUSTER t USING i', 'table-rewrite t', lock],
  [`${alone}VACUUM (FULL) t`, 'no-transaction 0001_x', 'table-rewrite t', lock],
  [`${alone}VACUUM FULL`, 'no-transaction 0001_x', 'table-rewrite every table'],
  [`${alone}VACUUM (FULL off, ANALYZE) t`, 'no-transaction 0001_x'],
  [`${alone}VACUUM (FULL 0) t`, 'no-transaction 0001_x'],
  [`${alone}VACUUM (FULL 1) t`, 'no-transaction 0001_x', 'table-rewrite t', lock],
  ['ANALYZE t'],
  ['LOCK TABLE t', lock],
  ['LOCK TABLE t IN SHARE MODE'],
  ['REFRESH MATERIALIZED VIEW t', lock],
  ['REFRESH MATERIALIZED VIEW CONCURRENTLY t'],
  ['CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()'],
  ['CREATE POLICY x ON t', lock],
  ['DROP TRIGGER x ON t', lock],
  ['DROP POLICY x ON t', lock],
  // Constraints.
  ['ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)', 'constraint-validates t', lock],
  ['ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID', lock],
  ['ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT ENFORCED', lock],
  ['ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u', 'constraint-validates t'],
  ['ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u NOT VALID'],
  ['ALTER TABLE t ADD CONSTRAINT c NOT NULL a', 'constraint-validates t', lock],
  ['ALTER TABLE t ADD CONSTRAINT c NOT NULL a NOT VALID', lock],
  ['ALTER TABLE t VALIDATE CONSTRAINT c'],
  ['ALTER TABLE t DROP CONSTRAINT c', lock],
  ['ALTER TABLE t ADD PRIMARY KEY (a)', 'constraint-validates t', lock],
  ['ALTER TABLE t ADD UNIQUE (a)', 'constraint-validates t', lock],
  ['ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i', lock],
  ['ALTER TABLE t ADD CONSTRAINT c PRIMARY KEY USING INDEX i', lock],
  ['ALTER TABLE t ADD EXCLUDE USING gist (a WITH &&)', 'constraint-validates t', lock],
  ['ALTER DOMAIN d ADD CHECK (VALUE > 0)', 'constraint-validates d'],
  ['ALTER DOMAIN d ADD CHECK (VALUE > 0) NOT VALID'],
  ['ALTER DOMAIN d SET NOT NULL', 'constraint-validates d'],
  ['ALTER DOMAIN d DROP NOT NULL'],
  // Indexes.
  ['CREATE INDEX i ON t (a)', 'index-not-concurrent t'],
  ['CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a) WHERE b', 'index-not-concurrent t'],
  [`${alone}CREATE INDEX CONCURRENTLY i ON t (a)`, 'no-transaction 0001_x'],
  ['REINDEX TABLE t', 'index-not-concurrent t'],
  ['REINDEX INDEX i', 'index-not-concurrent i'],
  [`${alone}REINDEX INDEX CONCURRENTLY i`, 'no-transaction 0001_x'],
  ['DROP INDEX i', 'access-exclusive i'],
  [`${alone}DROP INDEX CONCURRENTLY i`, 'no-transaction 0001_x'],
  // What is gone.
  ['DROP TABLE t, u', 'drop-table t', lock, 'drop-table u', 'access-exclusive u'],
  ['DROP TABLE IF EXISTS t CASCADE', 'drop-table t', lock],
  ['DROP VIEW t', 'drop-table t'],
  ['DROP VIEW t; CREATE VIEW t AS SELECT 1'],
  ['DROP MATERIALIZED VIEW t', 'drop-table t'],
  ['DROP SCHEMA me CASCADE', 'drop-table schema me'],
  ['DROP OWNED BY joe', 'drop-table DROP OWNED'],
  ['DROP TYPE e'],
  ['DROP TYPE e CASCADE', 'drop-column e'],
  ['DROP FUNCTION f(int)'],
  ['DROP SEQUENCE s'],
  ['TRUNCATE t, u', 'data-deleted t', lock, 'data-deleted u', 'access-exclusive u'],
  ['DELETE FROM t', 'data-deleted t'],
  ['DELETE FROM t WHERE a', 'data-deleted t'],
  ['WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM gone', 'data-deleted t'],
  ['UPDATE t SET a = 1', 'data-deleted t'],
  ['UPDATE t SET a = 1 WHERE b'],
  ['MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE', 'data-deleted t'],
  ['MERGE INTO t USING u ON true WHEN MATCHED THEN UPDATE SET a = 1'],
  ['INSERT INTO t VALUES (1)'],
  ['INSERT INTO t SELECT * FROM u ON CONFLICT DO NOTHING'],
  // Out of the tenant's schema.
  ['CREATE TABLE public.n (a int)', 'leaves-schema public.n'],
  ['CREATE TABLE me.n (a int)'],
  ['CREATE TABLE pg_temp.n (a int)'],
  ['CREATE TEMP TABLE n AS SELECT 1'],
  ['CREATE TABLE n (a int REFERENCES public.countries)', 'leaves-schema public.countries'],
  ['CREATE TABLE n (a public.citext, b text COLLATE pg_catalog."C")'],
  ['INSERT INTO t SELECT * FROM public.countries'],
  ['INSERT INTO t SELECT oid FROM pg_catalog.pg_class'],
  ['INSERT INTO t SELECT * FROM other.countries', 'leaves-schema other.countries'],
  ['INSERT INTO public.t VALUES (1)', 'leaves-schema public.t'],
  ['INSERT INTO t VALUES ((SELECT max(a) FROM other.t))', 'leaves-schema other.t'],
  ['INSERT INTO t VALUES ((TABLE other.t))', 'leaves-schema other.t'],
  ['INSERT INTO pg_temp.t VALUES (1)'],
  ['SELECT * FROM public.t FOR UPDATE', 'leaves-schema public.t'],
  ['CREATE TABLE n (LIKE other.t)', 'leaves-schema other.t'],
  ['CREATE VIEW v AS SELECT * FROM public.countries'],
  ['CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', 'leaves-schema public.f'],
  ['CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ DELETE FROM public.t $$'],
  ["CREATE TYPE public.e AS ENUM ('a')", 'leaves-schema public.e'],
  ['CREATE DOMAIN public.d AS int', 'leaves-schema public.d'],
  ['DROP FUNCTION public.f(int)', 'leaves-schema public.f'],
  ['DROP TYPE public.e', 'leaves-schema public.e'],
  ['CREATE TRIGGER x BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION f()', 'leaves-schema public.t'],
  ['DROP TRIGGER x ON public.t', 'access-exclusive public.t', 'leaves-schema public.t'],
  ["COMMENT ON TABLE public.t IS 'x'", 'leaves-schema public.t'],
  ["COMMENT ON COLUMN t.a IS 'x'"],
  ['GRANT SELECT ON public.t TO joe', 'leaves-schema public.t'],
  ['GRANT USAGE ON SCHEMA public TO joe', 'leaves-schema schema public'],
  ['GRANT SELECT ON ALL TABLES IN SCHEMA me TO joe'],
  ['CREATE SCHEMA other', 'leaves-schema schema other'],
  ['DROP SCHEMA other', 'drop-table schema other', 'leaves-schema schema other'],
  ['ALTER SCHEMA me RENAME TO you', 'rename me'],
  ['ALTER TABLE t SET SCHEMA public', lock, 'leaves-schema schema public'],
  ['ALTER TABLE t SET SCHEMA me', lock],
  ['SET search_path TO public', 'leaves-schema search_path'],
  ['SET LOCAL search_path = me', 'leaves-schema search_path'],
  ['RESET search_path', 'leaves-schema search_path'],
  ["SELECT pg_catalog.set_config('search_path', '', false)", 'leaves-schema search_path'],
  ["SELECT set_config('work_mem', '1GB', true)"],
  ['SET statement_timeout = 0'],
  ["COPY public.countries TO '/tmp/x'"],
  ["COPY public.countries FROM '/tmp/x'", 'leaves-schema public.countries'],
  // Nothing to say.
  ['SELECT 1'],
  ['DO $$ BEGIN DELETE FROM t; END $$'],
  ['CREATE SEQUENCE s'],
  [''],
];

describe('one statement', () => {
  it.each(cases)('%s', (sql, ...hazards) => {
    expect(hazardsIn(sql)).toEqual(hazards);
  });

  it('has a case for each hazard', () => {
    const met = new Set(cases.flatMap(([, ...hazards]) => hazards.map((hazard) => hazard.split(' ')[0])));
    expect([...met].toSorted()).toEqual([...hazardNames].toSorted());
  });

  it.each(cases.filter(([, first]) => first !== undefined))('%s: message and hint are words', (sql) => {
    for (const { hazards } of judge([sql])) {
      for (const { message, hint } of hazards) {
        expect(message).toMatch(/^[a-zA-Z][^\n]*[^.\n]$/);
        expect(hint).toMatch(/^[a-zA-Z][^\n]*[^.\n]$/);
      }
    }
  });
});

describe('a plan', () => {
  it.each<readonly [sql: readonly string[], hazards: readonly string[]]>([
    // What it makes itself may be worked on.
    [['CREATE TABLE n (a int); CREATE INDEX ON n (a); ALTER TABLE n ALTER a TYPE bigint; DROP TABLE n'], []],
    [['CREATE TABLE n (a int)', 'CREATE INDEX ON n (a)', 'DELETE FROM me.n; TRUNCATE n'], []],
    [['CREATE TABLE me.n (a int)', 'CREATE INDEX ON n (a)'], []],
    [['CREATE TABLE IF NOT EXISTS n (a int); CREATE INDEX ON n (a)'], []],
    [['CREATE TABLE n AS SELECT 1 AS a', 'UPDATE n SET a = 2'], []],
    [['SELECT 1 AS a INTO n', 'UPDATE n SET a = 2'], []],
    [['CREATE TABLE n (a int)', 'ALTER TABLE n RENAME TO m', 'CREATE INDEX ON m (a)'], []],
    [['CREATE TABLE n (a int)', 'CREATE INDEX i ON n (a)', 'DROP INDEX i'], []],
    [['CREATE MATERIALIZED VIEW n AS SELECT 1', 'REFRESH MATERIALIZED VIEW n'], []],
    // Others may not.
    [['CREATE INDEX ON n (a)', 'CREATE TABLE n (a int)'], ['index-not-concurrent n']],
    [
      ['CREATE TABLE n (a int)', 'CREATE INDEX ON public.n (a)'],
      ['index-not-concurrent public.n', 'leaves-schema public.n'],
    ],
    [
      ['ALTER TABLE n RENAME TO m', 'CREATE INDEX ON m (a)'],
      ['rename n', 'access-exclusive n', 'index-not-concurrent m'],
    ],
    [['CREATE VIEW t AS SELECT 1', 'DROP VIEW u'], ['drop-table u']],
    // A view that another file makes again is gone in between, when the run ends there.
    [['DROP VIEW t', 'CREATE VIEW t AS SELECT 1'], ['drop-table t']],
    // New columns hold nothing.
    [['ALTER TABLE t ADD a int; UPDATE t SET a = 0; ALTER TABLE t RENAME a TO b'], [lock]],
    [['ALTER TABLE t ADD a int; UPDATE t SET a = 0, b = 1'], [lock, 'data-deleted t']],
    [
      ['ALTER TABLE t ADD a int', 'ALTER TABLE t DROP a'],
      [lock, lock],
    ],
    [
      ['ALTER TABLE t ADD a int', 'ALTER TABLE t ALTER a SET NOT NULL'],
      [lock, 'constraint-validates t.a', lock],
    ],
    // Two steps in one transaction are one: the first one's lock is held while the second reads all rows.
    [
      ['ALTER TABLE t ADD CHECK (a > 0) NOT VALID', 'ALTER TABLE t VALIDATE CONSTRAINT c'],
      [lock, 'constraint-validates t'],
    ],
    [
      ['ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c'],
      ['constraint-validates t'],
    ],
    [['ALTER TABLE u ADD CHECK (a > 0) NOT VALID', 'ALTER TABLE t VALIDATE CONSTRAINT c'], ['access-exclusive u']],
    [
      ['ALTER TABLE t ADD CHECK (a > 0) NOT VALID', `${alone}ALTER TABLE t VALIDATE CONSTRAINT c`],
      [lock, 'no-transaction 0002_x'],
    ],
    [
      ['ALTER TABLE t ADD CHECK (a > 0) NOT VALID', `${alone}VACUUM u`, 'ALTER TABLE t VALIDATE CONSTRAINT c'],
      [lock, 'no-transaction 0002_x'],
    ],
  ])('%j', (sql, hazards) => {
    expect(hazardsIn(sql)).toEqual(hazards);
  });

  it('for tenants with several schemas: what names one of them leaves the others', () => {
    const two = { schemas: new Set(['me', 'you']) };
    expect(hazardsIn('CREATE TABLE me.n (a int)', two)).toEqual(['leaves-schema me.n']);
    expect(hazardsIn('CREATE TABLE n (a int)', two)).toEqual([]);
  });

  it('for names that only the shared schema has', () => {
    const shared = { schemas: new Set(['me']), sharedNames: new Set(['countries']) };
    expect(hazardsIn('INSERT INTO countries VALUES (1)', shared)).toEqual(['leaves-schema countries']);
    expect(hazardsIn('INSERT INTO t SELECT * FROM countries', shared)).toEqual([]);
    expect(hazardsIn('CREATE TABLE countries (a int); INSERT INTO countries VALUES (1)', shared)).toEqual([]);
  });

  it('tells the place of a statement in the file', () => {
    const text =
      "-- Up Migration\nSELECT 'ü🐘';  DROP TABLE one;\n\n/* x */ DELETE\nFROM two;\n-- Down Migration\nDROP TABLE two;";
    const places = judge([text]).flatMap(({ hazards }) =>
      hazards.map(({ hazard, line, column }) => [hazard, line, column]),
    );
    expect(places).toEqual([
      ['drop-table', 2, 15],
      ['access-exclusive', 2, 15],
      ['data-deleted', 4, 9],
    ]);
  });

  it('says the same of the same thing once a file, where it comes first', () => {
    const text = `${'INSERT INTO public.t VALUES (1);\n'.repeat(500)}DELETE FROM t WHERE a = 1;\nDELETE FROM t WHERE a = 2;`;
    const found = judge([text]).flatMap(({ hazards }) => hazards.map(({ hazard, line }) => [hazard, line]));
    expect(found).toEqual([
      ['leaves-schema', 1],
      ['data-deleted', 501],
    ]);
    expect(inspector.inspect(sqlMigration(text), 'up').facts).toHaveLength(2);
    expect(hazardsIn(['DELETE FROM t WHERE a', 'DELETE FROM t WHERE a'])).toHaveLength(2);
  });

  it('tells what was not looked into', () => {
    expect(judge(['DO $$ BEGIN END $$', 'CALL p()', 'SELECT 1', 'NO SQL']).map(({ notes }) => notes)).toEqual([
      ['not looked into: DO or CALL'],
      ['not looked into: DO or CALL'],
      [],
      ['not looked into: the parser does not understand it'],
    ]);
  });
});

describe('hostile names', () => {
  const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

  it.each(hostileNames)('%j is a table, a column and a schema like any other', (name) => {
    const q = quote(name);
    const context = { schemas: new Set([name]) };
    const shown = /^[a-z_][a-z0-9_$]*$/.test(name) ? name : q;
    expect(hazardsIn(`ALTER TABLE ${q} DROP COLUMN ${q}`, context)[0]).toBe(`drop-column ${shown}.${shown}`);
    expect(hazardsIn(`CREATE TABLE ${q}.${q} (a int); DROP TABLE ${q}`, context)).toEqual([]);
    expect(hazardsIn(`CREATE TABLE ${q}.${q} (a int)`, { schemas: new Set(['me']) })).toEqual([
      `leaves-schema ${shown}.${shown}`,
    ]);
    // No two names are taken for one.
    for (const other of hostileNames.filter((each) => each !== name)) {
      expect(hazardsIn(`CREATE TABLE ${q} (a int); CREATE INDEX ON ${quote(other)} (a)`, context)).toHaveLength(1);
    }
  });
});

test('the functions that are taken for calm are so for PostgreSQL', async () => {
  expect(inject('cluster').port).toBeGreaterThan(0);
  const client = new pg.Client(databaseUrl('postgres'));
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      `select distinct proname as name from pg_proc
        where provolatile = 'v' and pronamespace = 'pg_catalog'::regnamespace and proname = any ($1)`,
      [[...calmFunctions]],
    );
    expect(rows).toEqual([]);
    const known = await client.query(
      `select distinct proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proname = any ($1)`,
      [[...calmFunctions]],
    );
    expect(known.rowCount).toBe(calmFunctions.size);
  } finally {
    await client.end();
  }
});

test.each<readonly [text: string, words: readonly string[]]>([
  ['-- tenantctl:allow drop-column', ['drop-column']],
  ['  --tenantctl:allow drop-column,rename nobody uses it', ['drop-column', 'rename']],
  ['-- tenantctl:allow drop-column , rename\r\nDROP TABLE t;', ['drop-column', 'rename']],
  ['SELECT 1;\n-- tenantctl:allow a\n-- tenantctl:allow b', ['a', 'b']],
  ['-- tenantctl:allow', ['']],
  ['-- tenantctl:allowed drop-column', []],
  ['-- tenantctl:allow-all', []],
  ['SELECT 1; -- tenantctl:allow drop-column', []],
])('%j allows %j', (text, words) => {
  expect(allowedWords(text).map(({ word }) => word)).toEqual(words);
});

test('each hazard has a safer way', () => {
  expect(Object.keys(saferWays).toSorted()).toEqual([...hazardNames].toSorted());
});
