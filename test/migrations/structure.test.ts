import { describe, expect, test } from 'vitest';
import { findObjects, hashStructures, readStructure } from '../../src/migrations/structure.ts';
import { compareStructures, describeDifferences } from '../../src/migrations/structure-differences.ts';
import { prepareReader } from '../../src/postgres/tenant-session.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/sessions.ts';

const db = await createTestDatabase();
await db.query('create table public.countries (id int primary key); create extension citext');

const everything = `
  CREATE TYPE mood AS ENUM ('sad', 'happy');
  CREATE DOMAIN zip AS text DEFAULT '0' NOT NULL CHECK (VALUE <> '');
  CREATE TYPE pair AS (a int, b mood);
  CREATE FUNCTION twice(n int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
  CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email citext UNIQUE, mood mood DEFAULT 'happy', at zip,
    country int REFERENCES public.countries, name varchar(40) COLLATE "C" NOT NULL,
    shout text GENERATED ALWAYS AS (upper(name)) STORED);
  CREATE TABLE parts (n int) PARTITION BY RANGE (n);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
  CREATE TABLE tasks (id serial, owner bigint REFERENCES users, due date, CONSTRAINT later CHECK (due > '2000-01-01'));
  CREATE INDEX tasks_due ON tasks (due, twice(id)) WHERE owner IS NOT NULL;
  CREATE SEQUENCE numbers START 5;
  CREATE VIEW owners AS SELECT u.email, t.due FROM users u JOIN tasks t ON t.owner = u.id;
  CREATE MATERIALIZED VIEW many AS SELECT count(*) AS n FROM users;
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
  CREATE TRIGGER touched BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION touch();`;

let made = 0;

/** A schema with everything in it, then changed. */
async function makeSchema(change = '', name = `s_${made}`): Promise<string> {
  made += 1;
  const quoted = `"${name.replaceAll('"', '""')}"`;
  await db.query(`CREATE SCHEMA ${quoted}; SET search_path TO ${quoted}, public; ${everything}; ${change};
    RESET search_path`);
  return name;
}

async function hashesOf(schemas: readonly string[]): Promise<(string | undefined)[]> {
  const session = await openSession(db.name);
  await prepareReader(session, 'test');
  await session.raw('BEGIN READ ONLY');
  const hashes = await hashStructures(session, [...(await findObjects(session, schemas)).values()]);
  await session.raw('COMMIT');
  return schemas.map((schema) => hashes.get(schema));
}

async function differencesOf(expected: string, found: string): Promise<string> {
  const session = await openSession(db.name);
  await prepareReader(session, 'test');
  await session.raw('BEGIN READ ONLY');
  const objects = await findObjects(session, [expected, found]);
  const facts = [expected, found].map((schema) => readStructure(session, objects.get(schema)!));
  const [first = [], second = []] = await Promise.all(facts);
  await session.raw('COMMIT');
  return describeDifferences(compareStructures(first, second), 10);
}

const model = await makeSchema();

test.each(['users', 'Tenant "x"', "o'neil", 'tasks.due', 'public2', 'pg', 'mood'])(
  'a schema named %s is equal to one with another name',
  async (name) => {
    const [a, b] = await hashesOf([model, await makeSchema('', name)]);
    expect(a).toMatch(/^[0-9a-f]{64}$/);
    expect(b).toBe(a);
  },
);

test('nothing of an empty schema, of an extension, of a history or of another tool counts', async () => {
  const tools = `CREATE TABLE pgmigrations (id serial PRIMARY KEY); CREATE TABLE flyway_schema_history (version text);
    CREATE TABLE knex_migrations (id serial); CREATE TABLE ar_internal_metadata (key text PRIMARY KEY)`;
  const [a, b] = await hashesOf([model, await makeSchema(tools)]);
  expect(b).toBe(a);
  await db.query('CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE SCHEMA nothing');
  const [ext, nothing] = await hashesOf(['ext', 'nothing']);
  expect(ext).toBe(nothing);
});

test('the order of columns does not count, and a dropped one is gone', async () => {
  const change = 'ALTER TABLE tasks DROP due CASCADE; ALTER TABLE tasks DROP owner CASCADE';
  const back = `ALTER TABLE tasks ADD due date, ADD owner bigint REFERENCES users,
      ADD CONSTRAINT later CHECK (due > '2000-01-01');
    CREATE INDEX tasks_due ON tasks (due, twice(id)) WHERE owner IS NOT NULL;
    CREATE VIEW owners AS SELECT u.email, t.due FROM users u JOIN tasks t ON t.owner = u.id`;
  const [a, b] = await hashesOf([model, await makeSchema(`${change}; ${back}`)]);
  expect(b).toBe(a);
});

test('a function that pins its own schema is equal in every schema', async () => {
  const pinned = (path: string) =>
    `CREATE FUNCTION safe() RETURNS int LANGUAGE sql SET search_path = ${path} AS 'SELECT 1'`;
  const [a, b, c] = await hashesOf([
    await makeSchema(pinned('pin_a, public'), 'pin_a'),
    await makeSchema(pinned('pin_b, public'), 'pin_b'),
    await makeSchema(pinned('pin_a, public'), 'pin_c'),
  ]);
  expect(b).toBe(a);
  expect(c).not.toBe(a);
});

describe('every change is seen, and told', () => {
  test.each([
    ['DROP INDEX tasks_due', 'lacks index tasks_due'],
    ['DROP INDEX tasks_due; CREATE INDEX tasks_due ON tasks (due)', 'has another index tasks_due'],
    ['CREATE TABLE more (id int PRIMARY KEY)', 'has the additional table more'],
    ['DROP TABLE parts', 'lacks table parts and lacks table parts_1'],
    ['ALTER TABLE users ADD x int', 'has the additional column users.x'],
    ['ALTER TABLE tasks ALTER due SET NOT NULL', 'column tasks.due is date not null, not date'],
    [
      "ALTER TABLE users ALTER mood SET DEFAULT 'sad'",
      "column users.mood is mood default 'sad'::mood, not mood default 'happy'::mood",
    ],
    ['ALTER TABLE tasks DROP CONSTRAINT tasks_owner_fkey', 'lacks constraint tasks.tasks_owner_fkey'],
    ['ALTER TABLE users DROP CONSTRAINT users_email_key', 'lacks constraint users.users_email_key'],
    ['ALTER TABLE tasks DISABLE TRIGGER touched', 'has another trigger tasks.touched'],
    ["ALTER TYPE mood ADD VALUE 'calm' BEFORE 'happy'", 'has another enum mood'],
    ["ALTER DOMAIN zip SET DEFAULT '1'", 'has another domain zip'],
    ['ALTER SEQUENCE numbers INCREMENT 2', 'has another sequence numbers'],
    [
      "CREATE OR REPLACE FUNCTION twice(n int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n + n'",
      'has another function twice(n integer)',
    ],
    ['DROP VIEW owners; CREATE VIEW owners AS SELECT email FROM users', 'has another view owners'],
    ['DROP MATERIALIZED VIEW many', 'lacks materialized view many'],
    ['ALTER TABLE users ENABLE ROW LEVEL SECURITY', 'has another table users'],
    ['ALTER TYPE pair ADD ATTRIBUTE c int', 'has the additional column pair.c'],
  ])('%s', async (change, words) => {
    const changed = await makeSchema(change);
    const [a, b] = await hashesOf([model, changed]);
    expect(b).not.toBe(a);
    expect(await differencesOf(model, changed)).toBe(words);
  });
});

test('what a schema brings along is not run by whoever reads it', async () => {
  const trap = `CREATE FUNCTION trap(a name, b name) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$;
    CREATE FUNCTION trap2(a text, b text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$;
    CREATE FUNCTION trap3(a "char", b text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$;
    CREATE OPERATOR || (LEFTARG = name, RIGHTARG = name, FUNCTION = trap);
    CREATE OPERATOR || (LEFTARG = text, RIGHTARG = text, FUNCTION = trap2);
    CREATE OPERATOR = (LEFTARG = "char", RIGHTARG = text, FUNCTION = trap3);
    CREATE FUNCTION format_type(oid, integer) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$;
    CREATE TABLE pg_class (oid oid); CREATE TABLE pg_attribute (x int)`;
  const [hash] = await hashesOf([await makeSchema(trap)]);
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
});
