import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFleet } from '../../support/fleet.ts';
import { holdTo } from './held-to.ts';

const tables = (schema: string) => `create table ${schema}.users (id int primary key, mail text);
  create index on ${schema}.users (mail);`;

/** Texts that are not easily written down, in objects of many kinds. */
const odd = (schema: string) => `set search_path to ${schema}; ${tables(schema)}
  create type "Mood 1" as enum ('', 'a b', E'tab\\t', 'null', '12', E'line\\nbreak', '- x', '"');
  create domain odd as text default E' \\n ' check (value <> E'a\\r\\nb \\u202e');
  create type pair as ("of x" int, "é👍" odd); create type span as range (subtype = numeric);
  create function f(a int default 1, "b c" text default E'\\t') returns int language sql as 'select a';
  create function lines() returns trigger language plpgsql set search_path = ${schema}
    as E'\\n\\tbegin  \\r\\n\\n  -- | x\\n    -- - y\\n  return new; \\n end;\\n';
  create procedure p() language sql as ''; create aggregate total(int) (sfunc = int4pl, stype = int, initcond = '0');
  create table "Odd: of ""x""" ("a b" "Mood 1" default '', b int generated always as identity, primary key (b)) with (fillfactor = 70);
  create view v as select id, E'two\\nlines' as t from users; create materialized view m as select 1 as x;
  create trigger "t t" before update on users for each row when (new.mail <> E'\\n') execute function lines(E'x\\ty', '');
  create rule r as on delete to v do instead nothing; create sequence s minvalue -5 cycle;
  create policy own on users using (mail = E'\\u200b') with check (true); alter table users enable row level security;
  create statistics st on id, mail from users; create table parts (at date) partition by range (at);
  create table part partition of parts for values from ('2000-01-01') to ('2001-01-01');
  comment on table users is E'first \\n\\nthird\\t\\u0001'; comment on column users.id is '# not a remark';
  grant select (id) on users to public; grant usage on schema ${schema} to public;
  alter default privileges in schema ${schema} grant select on tables to public; reset search_path;`;

const fleet = await createFleet({ schemas: { a: 'a', b: 'b', c: 'c' }, until: 'file' });
await fleet.db.query(`${['a', 'b', 'c'].map(odd).join('')}alter table c.users add tmp text`);

describe('the majority', () => {
  it('is read from one of those that look so', async () => {
    const { tenants } = await holdTo(fleet, 'majority');
    expect(tenants).toEqual({ a: 'equal', b: 'equal', c: expect.stringContaining('extra column users.tmp') });
  });
});

describe('another tenant', () => {
  it('is what all are held to, also when it is not selected', async () => {
    const { tenants } = await holdTo(fleet, 'tenant:c');
    expect(tenants).toMatchObject({ a: expect.stringContaining('missing column users.tmp'), c: 'equal' });
    const { exitCode, stdout } = await fleet.run('drift -t a b --against tenant:c');
    expect([exitCode, stdout]).toEqual([1, expect.stringContaining('users.tmp')]);
  });

  it('must be one that there is', async () => {
    const { exitCode, stderr } = await fleet.run('drift --all --against tenant:nobody');
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('nobody')]);
  });
});

describe('a schema', () => {
  it('is a template in each tenant’s own database, and its name does not count', async () => {
    const mixed = await createFleet({ schemas: 2, databases: 1 });
    const [first = ''] = mixed.databases;
    await mixed.db.query(`create schema model; ${tables('model')} ${tables('tenant_t01')} ${tables('tenant_t02')}
      drop index tenant_t02.users_mail_idx`);
    const { tenants } = await holdTo(mixed, 'schema:model');
    expect(tenants).toEqual({
      t01: 'equal',
      t02: 'missing index users_mail_idx',
      d01: `none: database ${first} has no schema "model"`,
    });
  });
});

describe('a snapshot', () => {
  it('is what a tenant consists of, and holds for the others', async () => {
    const written = await fleet.run('drift snapshot -t a --out a.facts');
    expect([written.exitCode, written.stderr]).toEqual([0, '']);
    expect(written.stdout).toMatch(/^a\.facts: \d+ facts of a, PostgreSQL \d+\n/);
    const { tenants } = await holdTo(fleet, 'file:a.facts');
    expect(tenants).toEqual({ a: 'equal', b: 'equal', c: expect.stringContaining('extra column users.tmp') });
    // Of each kind that a schema can hold here there is one.
    const kinds = new Set(
      [...(await readFile(join(fleet.folder, 'a.facts'), 'utf8')).matchAll(/^[a-z ]+(?=: )/gm)].flat(),
    );
    expect(kinds.size).toBeGreaterThan(20);

    const printed = await fleet.run('drift snapshot -t b');
    const text = await readFile(join(fleet.folder, 'a.facts'), 'utf8');
    expect(printed).toMatchObject({ exitCode: 0, stdout: text });
    const json = JSON.parse((await fleet.run('drift snapshot -t b --json')).stdout);
    expect(json).toMatchObject({ tenant: 'b', snapshot: text, file: null, fromMigrations: false, outcomes: [] });
    // It is replaced as a whole.
    await fleet.run('drift snapshot -t c --out a.facts');
    expect(await readFile(join(fleet.folder, 'a.facts'), 'utf8')).toContain('column: users.tmp of users');
  });

  it('of another PostgreSQL holds for nobody here, and a damaged one is refused', async () => {
    await fleet.run('drift snapshot -t a --out a.facts');
    const file = join(fleet.folder, 'a.facts');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(/postgresql \d+/, 'postgresql 9'));
    const { tenants } = await holdTo(fleet, 'file:a.facts');
    expect(tenants.a).toMatch(/^none: a\.facts was made on PostgreSQL 9, and this tenant is on PostgreSQL \d+$/);
    await writeFile(file, text.replace(/end\n$/, ''));
    const cut = await fleet.run('drift --all --against file:a.facts');
    expect([cut.exitCode, cut.stderr]).toEqual([2, expect.stringMatching(/a\.facts:\d+: the file ends before/)]);
    const missing = await fleet.run('drift --all --against file:b.facts');
    expect([missing.exitCode, missing.stderr]).toEqual([2, expect.stringContaining('b.facts cannot be read')]);
  });

  it('is of what the migrations build, whatever the tenant looks like', async () => {
    const fleet = await createFleet({
      schemas: { a: 'a', b: 'b' },
      migrations: { '0001_users.sql': tables('a').replaceAll('a.', '') },
    });
    await fleet.run('migrate -t b');
    const built = await fleet.run('drift snapshot -t a --from-migrations --out m.facts');
    expect(built).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('of what the migrations build') });
    expect((await holdTo(fleet, 'file:m.facts')).tenants).toMatchObject({ b: 'equal' });
    await fleet.write('0002_broken.sql', 'CREATE NONSENSE;');
    const broken = await fleet.run('drift snapshot -t a --from-migrations');
    expect([broken.exitCode, broken.stderr]).toEqual([4, expect.stringContaining('0002_broken.sql:1: syntax error')]);
  });

  it('is of one tenant that is there, written where one may write', async () => {
    const refused = async (argv: string) => {
      const { exitCode, stderr } = await fleet.run(argv);
      return `${exitCode} ${stderr}`;
    };
    expect(await refused('drift snapshot --all')).toContain('2 error: a snapshot is of one tenant, and 3 are selected');
    expect(await refused('drift snapshot')).toMatch(/^2 /);
    expect(await refused('drift snapshot -t a --out no/such/folder')).toContain(
      '2 error: no/such/folder cannot be written',
    );
    await fleet.writeInventory({ migrations: undefined });
    expect(await refused('drift snapshot -t a --from-migrations')).toContain(
      '2 error: tenants.yaml names no migrations',
    );
    await fleet.db.query('drop schema a cascade');
    expect(await refused('drift snapshot -t a')).toMatch(/^4 .*schema "a" does not exist/s);
  });
});
