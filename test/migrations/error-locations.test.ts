import { expect, test } from 'vitest';
import { createFleet } from '../support/fleet.ts';

/** `«` stands where the report must point to; it is not part of the file. */
interface Case {
  readonly name: string;
  readonly sqlState: string;
  readonly files: Readonly<Record<string, string>>;
  readonly down?: true;
}

const table = 'CREATE TABLE a (id int PRIMARY KEY, name varchar(3) NOT NULL);\n';
const one = (name: string, sqlState: string, text: string): Case => ({ name, sqlState, files: { '0001_a.sql': text } });

const cases: readonly Case[] = [
  one('a table that is there', '42P07', `${table}«CREATE TABLE a (id int);\n`),
  one('a unique key', '23505', `${table}\n\n  «INSERT INTO a VALUES (1, 'x'), (1, 'y');`),
  one('a NULL', '23502', `${table}INSERT INTO a VALUES (1, 'x'); «INSERT INTO a VALUES (2, NULL);`),
  one('a column that ALTER does not find', '42703', `${table}«ALTER TABLE a DROP COLUMN nothing;`),
  one('a foreign key', '23503', `${table}CREATE TABLE b (a int REFERENCES a);\n«INSERT INTO b VALUES (7);`),
  one(
    'a check of rows that are there',
    '23514',
    `${table}INSERT INTO a VALUES (1, 'x');\n«ALTER TABLE a ADD CHECK (id > 1);`,
  ),
  one('a syntax error points to the word', '42601', `${table}CREATE «TABEL b (id int);`),
  one('a backslash command of psql', '42601', `${table}«\\d a\n`),
  one('a bad literal points to it', '22P02', `${table}INSERT INTO a VALUES («'x', 'y');`),
  one('a bad value found at run time', '22P02', `CREATE TABLE w AS SELECT 'x' AS v;\n«SELECT v::int FROM w;`),
  one('too long a value', '22001', `${table}«INSERT INTO a VALUES (1, 'four');`),
  one('an unknown function', '42883', `${table}SELECT «nothing(1);`),
  one('an unknown table in a query', '42P01', `${table}SELECT * FROM\n  «nothing;`),
  one('an unknown table in DROP', '42P01', `${table}«DROP TABLE nothing;`),
  one(
    'an error inside a function that is called',
    '42883',
    `CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN nothing(1); END $$;\n«SELECT f();`,
  ),
  one('RAISE in a DO block', 'P0001', `${table}«DO $$ BEGIN RAISE EXCEPTION 'no; no'; END $$;`),
  one('a syntax error in a DO block', '42601', `${table}DO $$ BEGIN\n  PERFORM 1;\n  «RASE;\nEND $$;`),
  one(
    'RAISE in a trigger',
    'P0001',
    `${table}CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE 'no'; END; $f$;
CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();
«INSERT INTO a VALUES (1, 'x');`,
  ),
  one('a file of one statement without semicolon', '42P01', '«DROP TABLE nothing'),
  one(
    'after quotes, dollar quotes and a body with semicolons',
    '42P01',
    `CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $body$ SELECT 'a;b'; SELECT $$;$$; $body$;
CREATE TABLE "semi;colon" (x text DEFAULT E'\\';');
CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
«DROP TABLE nothing;`,
  ),
  one(
    'after nested block comments',
    '42P01',
    `/* one /* two; */ still; */ ${table}/* /* */ ; */ -- here;\n-- and here\n «DROP TABLE nothing;`,
  ),
  one(
    'after a rule that makes two statements of one',
    '42P01',
    `CREATE TABLE a (id int); CREATE TABLE b (id int);
CREATE RULE r AS ON INSERT TO a DO ALSO INSERT INTO b VALUES (1);
INSERT INTO a VALUES (1); SELECT * FROM b;; ;
«DROP TABLE nothing;`,
  ),
  one(
    'after characters of many bytes, with a position',
    '42883',
    `CREATE TABLE "größe" ("🐘🐘" text);\nSELECT '🐘ü', «nothing(1);`,
  ),
  one(
    'after characters of many bytes, without one',
    '42P01',
    `CREATE TABLE "größe" ("🐘🐘" text); SELECT '🐘ü'; «DROP TABLE nothing;`,
  ),
  one(
    'with Windows line ends',
    '42P01',
    `-- Up Migration\r\nCREATE TABLE a (id int);\r\n\r\n  «DROP TABLE nothing;\r\n-- Down Migration\r\n`,
  ),
  one('with Windows line ends and a position', '42883', `CREATE TABLE a (id int);\r\nSELECT\r\n  «nothing();\r\n`),
  one('with a byte order mark', '42P01', '\uFEFF«DROP TABLE nothing;'),
  one(
    'below the heading of the up section',
    '42P01',
    `-- some words\n-- Up Migration\n${table}\n«DROP TABLE nothing;\n-- Down Migration\nDROP TABLE a;`,
  ),
  one(
    'in the up section that comes second',
    '42P01',
    `-- Down Migration\nSELECT 1;\n-- Up Migration\n${table}«DROP TABLE nothing;\n`,
  ),
  {
    name: 'in the second of three files',
    sqlState: '42P07',
    files: { '0001_a.sql': table, '0002_b.sql': 'SELECT 1;\n«CREATE TABLE a (id int);\n', '0003_c.sql': table },
  },
  {
    name: 'in the down section',
    sqlState: '42P01',
    down: true,
    files: { '0001_a.sql': `-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2;\n«DROP TABLE nothing;\n` },
  },
  one(
    'without a transaction',
    '42P01',
    `-- tenantctl:no-transaction\n${table}SELECT 1;\n  «DROP TABLE nothing;\nSELECT 2;`,
  ),
  one('without a transaction, with a position', '42883', `-- tenantctl:no-transaction\n${table}SELECT\n  «nothing();`),
];

const fleet = await createFleet({ schemas: cases.length, until: 'file' });

test.each(cases.map((each, index) => ({ ...each, index })))('$name', async ({ sqlState, files, down, index }) => {
  const folder = `case-${index}`;
  const tenant = `t${String(index + 1).padStart(2, '0')}`;
  let expected: unknown;
  for (const [file, marked] of Object.entries(files)) {
    const at = marked.indexOf('«');
    await fleet.write(`../${folder}/${file}`, marked.replace('«', ''));
    if (at !== -1) expected = { file: `${folder}/${file}`, ...placeOf(marked.slice(0, at)) };
  }
  await fleet.writeInventory({ migrations: `./${folder}` });
  if (down) expect((await fleet.run(`migrate -t ${tenant}`)).exitCode).toBe(0);

  const report = await fleet.json(`migrate ${down ? 'down --yes' : 'up'} -t ${tenant}`);

  expect(report.exitCode).toBe(4);
  expect(report.of(tenant)).toMatchObject({ status: 'failed', error: { sqlState } });
  const { file, line, column } = report.of(tenant).error ?? {};
  expect({ file, line, column }).toEqual(expected);
});

/** As an editor counts: from 1, a byte order mark is nothing, an elephant is one character. */
function placeOf(before: string): { line: number; column: number } {
  const lines = before.replace('\uFEFF', '').split('\n');
  return { line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 };
}

test('a constraint that is checked at COMMIT belongs to no statement, and to no file', async () => {
  const deferred = await createFleet({
    schemas: 1,
    migrations: {
      '0001_a.sql': 'CREATE TABLE a (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);',
      '0002_b.sql': 'INSERT INTO a VALUES (1), (1);',
      '0003_c.sql': 'CREATE TABLE c (id int);',
    },
  });
  const report = await deferred.json('migrate --all');
  expect(report.exitCode).toBe(4);
  expect(report.of('t01')).toMatchObject({ status: 'failed', step: 'COMMIT', error: { sqlState: '23505' } });
  expect(report.of('t01').error).not.toHaveProperty('file');
  expect(await deferred.tables()).toEqual([]);
  expect(await deferred.history('tenant_t01')).toBeNull();
});
