import { afterAll, describe, expect, it } from 'vitest';
import { compareFacts } from '../../src/drift/compare.ts';
import type { OwnNames } from '../../src/drift/fact.ts';
import { quoteIdentifier } from '../../src/postgres/identifiers.ts';
import type { Session } from '../../src/postgres/session.ts';
import { asSuperuser, createTestDatabase } from '../support/database.ts';
import { connectSession } from '../support/sessions.ts';
import { readTenant } from './read-tenant.ts';

const shared = await createTestDatabase();
const lone = await createTestDatabase();
const reader = `${shared.name}_reader`;

const names = [
  'tenant_1',
  'tenant_10',
  'users',
  'Weird-1',
  'é',
  'Tenant "Q"',
  "o'clock",
  'u',
  'people',
  'a.b',
  'order',
];
const roleOf = (schema: string) => `${shared.name}_${schema}`;
// A tenant whose id is also the name of one of its tables keeps such literals: nobody can tell which of the two is meant.
const ownOf = (schema: string): OwnNames => ({ schema, id: `c-${names.indexOf(schema) + 1}`, role: roleOf(schema) });
const allNames = [...names, 'lone'];
await asSuperuser(async (admin) => {
  for (const role of [reader, ...allNames.map(roleOf)]) await admin.query(`create role ${quoteIdentifier(role)}`);
});

/** Parts that do not need each other, so that they can be made in any order. */
function parts({ schema, id, role }: OwnNames): readonly string[] {
  const own = quoteIdentifier(schema);
  const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
  return [
    `create table users (id bigint generated always as identity primary key, name text not null, code public.citext,
       tenant text default ${text(id)}, check (tenant <> '${'none'}'));
     create table orders (id serial primary key, user_id bigint references users (id), total numeric check (total > 0), check (total < 9));
     create index on orders (user_id); create index on orders ((total + 1)) where total > 2;
     create view people as select users.id, u.name from users join users u on u.id = users.id where u.tenant = ${text(id)};`,
    `create type mood as enum ('sad', 'happy'); create domain short as text check (length(value) < 9);
     create type pair as (a integer, b mood);`,
    `create function pinned() returns integer language sql security definer set search_path = ${own}, public, pg_temp as 'select 1';
     create function quoting() returns bigint language sql as
       ${text(`select count(users.id) from ${own}.users join ${own}.orders users on true where 'x' <> ${text(id)}`)};
     create function configured() returns integer language sql set role = ${quoteIdentifier(role ?? '')} set app.tenant = ${text(id)}
       set app.note = ${text(`for ${id}`)} as 'select 1';
     create function plain() returns integer language sql begin atomic select 1; end;`,
    'create sequence tickets start 5; create table lonely (a integer, b text); create statistics lonely_stats on a, b from lonely;',
    `grant select on lonely to ${reader}; grant insert on lonely to ${quoteIdentifier(role ?? '')};
     alter table lonely enable row level security; create policy mine on lonely to ${quoteIdentifier(role ?? '')}, ${reader} using (b = ${text(id)});
     create function logged() returns trigger language plpgsql as 'begin return new; end';
     create trigger log before insert on lonely for each row execute function logged(${text(id)});
     comment on table lonely is ${text(`of ${id}`)};
     create server ${quoteIdentifier(`${id}_server`)} foreign data wrapper elsewhere;
     create foreign table remote (id integer) server ${quoteIdentifier(`${id}_server`)};`,
    `create table pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null, extra${schema.length} text);`,
  ];
}

/** The fourth part uses the third's table: it stays behind it. */
const orders = [
  [0, 1, 2, 3, 4, 5],
  [5, 3, 4, 2, 1, 0],
  [3, 4, 1, 0, 5, 2],
];

async function build(session: Session, own: OwnNames, turn: number): Promise<void> {
  await session.raw(`set search_path = ${quoteIdentifier(own.schema)}; set check_function_bodies = off`);
  const made = parts(own);
  for (const index of orders[turn % orders.length]!) await session.raw(made[index]!);
  const role = quoteIdentifier(own.role!);
  await session.raw(`alter table orders owner to ${role}; alter function pinned() owner to ${role};
    grant usage on schema ${quoteIdentifier(own.schema)} to ${reader}`);
}

/** Where most put it: a tenant with a schema finds it beside, one with a database of its own has it in its schema. */
const extension = `create extension citext schema public; create foreign data wrapper elsewhere`;

const session = await connectSession(shared.name);
const loneSession = await connectSession(lone.name);
afterAll(async () => void (await Promise.all([session.end(), loneSession.end()])));

describe('no false alarm', () => {
  it('finds tenants alike that differ in their names and in the order in which they were made', async () => {
    await session.raw(extension);
    for (const [turn, schema] of names.entries()) {
      await session.raw(`create schema ${quoteIdentifier(schema)} authorization ${quoteIdentifier(roleOf(schema))}`);
      await build(session, ownOf(schema), turn);
    }
    const first = await readTenant(session, names[0]!, { own: ownOf(names[0]!) });
    expect(first.facts.facts.size).toBeGreaterThan(60);
    for (const schema of names.slice(1)) {
      const tenant = await readTenant(session, schema, { own: ownOf(schema) });
      expect.soft(compareFacts(first.facts, tenant.facts), schema).toEqual([]);
      expect.soft(tenant.shape, schema).toEqual(first.shape);
    }
  });

  it('finds a tenant with a database of its own like one with a schema', async () => {
    const role = roleOf('lone');
    await loneSession.raw(extension);
    await asSuperuser((admin) => admin.query(`alter database ${lone.name} owner to ${quoteIdentifier(role)}`));
    const own: OwnNames = { schema: 'public', id: 'c-99', role };
    await build(loneSession, own, 1);
    const tenant = await readTenant(loneSession, 'public', { own });
    const first = await readTenant(session, names[0]!, { own: ownOf(names[0]!) });
    expect(compareFacts(first.facts, tenant.facts)).toEqual([]);
    expect(tenant.shape).toEqual(first.shape);
  });

  it('says which facts are equal only after templating', async () => {
    const { facts } = await readTenant(session, 'tenant_1', { own: ownOf('tenant_1') });
    expect(facts.templated.map((key) => key.replace('\0', ' ')).toSorted()).toEqual([
      'column users.tenant',
      'comment table lonely',
      'foreign table remote',
      'function configured()',
      'function quoting()',
      'policy lonely.mine',
      'trigger lonely.log',
      'view people',
    ]);
  });

  it('tells a tenant that reaches into another one', async () => {
    const first = await readTenant(session, 'tenant_10', { own: ownOf('tenant_10') });
    const planted = 'create or replace view people as select users.id, users.name from tenant_1.users';
    const { facts, shape } = await readTenant(session, 'tenant_10', { own: ownOf('tenant_10'), planted });
    expect(compareFacts(first.facts, facts).map(({ name }) => name)).toEqual(['people']);
    expect(shape.shape).not.toBe(first.shape.shape);
  });

  it('counts what no fact covers', async () => {
    const planted =
      "create type later; create function fires() returns event_trigger language plpgsql as 'begin end'; create event trigger drift_fires on ddl_command_start execute function fires()";
    const { facts } = await readTenant(session, 'tenant_1', { own: ownOf('tenant_1'), planted });
    expect(facts.unmodelled).toEqual([
      { kind: 'pg_event_trigger', count: 1 },
      { kind: 'shell type', count: 1 },
    ]);
  });
});
