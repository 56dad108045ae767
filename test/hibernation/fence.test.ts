import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { addNewcomers, closeSchema, readLogins } from '../../src/hibernation/fence.ts';
import { grantAll } from '../../src/hibernation/grant-statements.ts';
import { openFence } from '../../src/hibernation/open-fence.ts';
import type { Fence } from '../../src/hibernation/receipt.ts';
import { readFenceable } from '../../src/hibernation/rights.sql.ts';
import { quoteIdentifier } from '../../src/postgres/identifiers.ts';
import { sqlStates } from '../../src/postgres/sqlstates.ts';
import { runTool } from '../support/dumps.ts';
import { openFolder } from '../support/folders.ts';
import { openSession } from '../support/sessions.ts';
import { committed, createRoleDatabase, dumpOf } from './fenced-schema.ts';

const { db, roles } = await createRoleDatabase({
  Owner: 'nologin',
  app: 'login',
  reader: 'login',
  helper: 'login',
  extra: 'login',
  ops: 'login createrole',
});
const r = roles.sql;
await db.query(`grant ${r('Owner')}, ${r('helper')}, ${r('extra')} to ${r('ops')}`);
const schema = 'Acme "X"';
const s = quoteIdentifier(schema);
const permissionDenied = { code: sqlStates.insufficientPrivilege };

/** Rights of every kind: options handed on twice, columns, PUBLIC, an owner who has less than all, none at all. */
async function makeSchema(): Promise<void> {
  await db.query(`drop schema if exists ${s} cascade; create schema ${s} authorization ${r('Owner')};
    set role ${r('Owner')};
    create table ${s}.users (id int generated always as identity primary key, email text, "Secret ""A" text);
    insert into ${s}.users (email) values ('ada'), ('bob');
    create table ${s}.orders (id int primary key, "user" int references ${s}.users);
    create table ${s}.untouched (id int);
    create table ${s}."Log" (id int) partition by range (id);
    create table ${s}.log_1 partition of ${s}."Log" for values from (0) to (10);
    create view ${s}.emails as select email from ${s}.users;
    create materialized view ${s}.counted as select pg_catalog.count(*) from ${s}.emails;
    create sequence ${s}.numbers;
    create function ${s}.now_ish() returns int language sql as 'select 1';
    grant usage on schema ${s} to ${r('app')}, ${r('helper')} with grant option;
    grant usage on schema ${s} to ${r('reader')};
    grant select, insert, update, delete on all tables in schema ${s} to ${r('app')};
    grant select on ${s}.users to ${r('helper')} with grant option;
    grant update (email), references (id) on ${s}.users to ${r('reader')};
    grant select ("Secret ""A") on ${s}.users to public;
    revoke truncate on ${s}.orders from ${r('Owner')};
    grant all on ${s}.orders to public;
    revoke all on ${s}.log_1 from ${r('Owner')}, ${r('app')};
    revoke select on ${s}.untouched from ${r('app')}; grant select on ${s}.untouched to ${r('app')};
    grant usage on sequence ${s}.numbers to ${r('app')};
    set role ${r('helper')};
    grant usage on schema ${s} to ${r('extra')};
    grant select on ${s}.users to ${r('extra')} with grant option;
    grant select (email) on ${s}.users to ${r('reader')};
    set role ${r('extra')}; grant select (id) on ${s}.users to ${r('reader')};
    set role ${r('helper')}; revoke usage on schema ${s} from ${r('extra')};
    reset role; comment on schema ${s} is 'of Acme'`);
}

/** Entry by entry, grantors and their order too; what nobody granted anything on as PostgreSQL means it. */
const lists = () =>
  db.query(
    `select c.relname, n.nspacl::text, coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))::text,
            (select array_agg(a.attname || a.attacl::text order by attnum) from pg_attribute a where a.attrelid = c.oid and a.attacl is not null)
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'S') order by 1`,
    [schema],
  );

beforeEach(makeSchema);

async function fence(login?: string, ownRoles: readonly string[] = []): Promise<Fence> {
  const session = await openSession(db.name, login === undefined ? {} : { user: login });
  return committed(session, async () => {
    const closedRoles = await readLogins(session, ownRoles);
    return { objects: await closeSchema(session, schema, { closedRoles }), closedRoles };
  });
}

async function open(recorded: Fence, login?: string): Promise<readonly string[]> {
  const session = await openSession(db.name, login === undefined ? {} : { user: login });
  return committed(session, () => openFence(session, schema, recorded));
}

describe.each([
  ['a superuser', undefined],
  ['a member of the owner', 'ops'],
])('the fence, closed and opened by %s', (_, role) => {
  const login = role === undefined ? undefined : roles.name(role);

  it('keeps out everybody, and gives back exactly what was there', async () => {
    const [before, listsBefore] = [await dumpOf(db, schema), await lists()];
    const recorded = await fence(login);
    for (const name of ['app', 'reader', 'helper', 'extra']) {
      const session = await openSession(db.name, { user: roles.name(name) });
      await expect(session.raw(`select from ${s}.orders`)).rejects.toMatchObject(permissionDenied);
    }
    expect(await dumpOf(db, schema)).not.toBe(before);
    expect(await open(recorded, login)).toEqual([]);
    expect(await dumpOf(db, schema)).toBe(before);
    expect(await lists()).toEqual(listsBefore);
  });

  it('gives it to what comes back from a dump, whatever new objects get by default', async () => {
    const [before, recorded] = [await dumpOf(db, schema), await fence(login)];
    const archive = join(await openFolder(), 'archive');
    await runTool('pg_dump', ['-Fc', '-n', s, '-f', archive, '-d', db.url]);
    const byDefault = (verb: string) =>
      `alter default privileges ${verb} all on tables ${verb === 'grant' ? 'to' : 'from'} ${r('extra')}`;
    await db.query(`drop schema ${s} cascade; ${byDefault('grant')}`);
    try {
      await runTool('pg_restore', ['-d', db.url, archive]);
      const [more] = await db.query(
        `select from pg_tables where schemaname = $1 and has_table_privilege($2, 'pg_class'::regclass, 'SELECT')
         and has_table_privilege($2, format('%I.%I', schemaname, tablename), 'INSERT')`,
        [schema, roles.name('extra')],
      );
      expect(more).toBeDefined();
      await db.query(`grant update ("user") on ${s}.orders to ${r('extra')}`);
      expect(await open(recorded, login)).toEqual([]);
    } finally {
      await db.query(byDefault('revoke'));
    }
    expect(await dumpOf(db, schema)).toBe(before);
  });
});

it('can be closed again, and opened again', async () => {
  const before = await lists();
  const recorded = await fence();
  const closed = await lists();
  await fence();
  expect(await lists()).toEqual(closed);
  await open(recorded);
  await open(recorded);
  expect(await lists()).toEqual(before);
});

it('gives what came between two closings its rights too, the owner his own', async () => {
  const recorded = await fence();
  await db.query(`create table ${s}.newcomer (id int, word text); alter table ${s}.newcomer owner to ${r('Owner')};
    grant select on ${s}.newcomer to ${r('app')}; grant update (word) on ${s}.newcomer to ${r('reader')};
    grant select on ${s}.orders to ${r('extra')}`);
  const rightsOf = async (table: string) =>
    (await lists()).flatMap(({ relname, nspacl: _, ...rights }) => (relname === table ? [rights] : []));
  const before = await rightsOf('newcomer');
  const objects = addNewcomers(recorded.objects, (await fence()).objects);
  expect(await rightsOf('newcomer')).not.toEqual(before);
  await open({ ...recorded, objects });
  expect(await rightsOf('newcomer')).toEqual(before);
  // What was recorded comes back as it was recorded.
  expect(JSON.stringify(await rightsOf('orders'))).not.toContain(roles.name('extra'));
});

it('lets roles of the tenant alone log in no more, until it is opened', async () => {
  const recorded = await fence(undefined, [roles.name('app'), roles.name('Owner')]);
  expect(recorded.closedRoles).toEqual([roles.name('app')]);
  const mayLogIn = async () =>
    (
      await db.query<{ it: boolean }>(`select rolcanlogin as it from pg_roles where rolname = $1`, [roles.name('app')])
    )[0]?.it;
  expect(await mayLogIn()).toBe(false);
  await open(recorded);
  expect(await mayLogIn()).toBe(true);
});

it('leaves away roles that are gone, and says so', async () => {
  await db.query(`create role ${r('gone')}; grant select on ${s}.users to ${r('gone')} with grant option; set role ${r('gone')};
    reset role`);
  const recorded = await fence();
  await db.query(`drop role ${r('gone')}`);
  expect(await open(recorded)).toEqual([`role ${r('gone')} is gone: its rights were not given back`]);
});

it('keeps an old statement from writing', async () => {
  const app = await openSession(db.name, { user: roles.name('app') });
  const insert = { name: 'insert', text: `insert into ${s}.untouched values ($1)` };
  await app.raw(insert, [1]);
  await fence();
  await expect(app.raw(insert, [2])).rejects.toMatchObject(permissionDenied);
});

it('lets materialized views be refreshed by their owner, as a restore does', async () => {
  await fence();
  await db.query(`refresh materialized view ${s}.counted`);
});

it('fails where a right cannot be taken away, and nothing is changed', async () => {
  await db.query(`revoke ${r('helper')} from ${r('ops')}`);
  try {
    const before = await lists();
    await expect(fence(roles.name('ops'))).rejects.toMatchObject({ failure: { code: 'not-fenced' } });
    expect(await lists()).toEqual(before);
  } finally {
    await db.query(`grant ${r('helper')} to ${r('ops')}`);
  }
});

it('records an owner who may do everything so, for a PostgreSQL that knows more', async () => {
  const session = await openSession(db.name);
  const users = (await readFenceable(session, schema)).find(({ name }) => name === 'users');
  expect(users?.grants?.[0]).toMatchObject({ grantee: roles.name('Owner'), privilege: 'ALL' });
});

it('gives a right to hand on before what was handed on, in whatever order they were kept', () => {
  const grant = (grantee: string, grantor: string, isGrantable: boolean) => {
    return { grantee, grantor, privilege: 'SELECT', isGrantable };
  };
  const grants = [grant('c', 'b', false), grant('b', 'a', true), grant('a', 'owner', true)];
  const table = { kind: 'table', schema: 's', name: 't', column: null, owner: 'owner', grants } as const;
  const role = (name: string) => [name, { name, isSuperuser: false, isInherited: true, canSet: true }] as const;
  const actors = { login: 'ops', isSuperuser: true, roles: new Map(['a', 'b', 'c', 'owner'].map(role)) };
  expect(grantAll([table], actors)).toEqual([
    { role: null, text: 'GRANT SELECT ON TABLE "s"."t" TO "a" WITH GRANT OPTION' },
    { role: 'a', text: 'GRANT SELECT ON TABLE "s"."t" TO "b" WITH GRANT OPTION' },
    { role: 'b', text: 'GRANT SELECT ON TABLE "s"."t" TO "c"' },
  ]);
});
