import { expect, it } from 'vitest';
import { endRoleSessions } from '../../src/hibernation/end-sessions.ts';
import { type Inspection, inspectDatabase, inspectTenants } from '../../src/hibernation/refusals.ts';
import { tenantKey } from '../../src/postgres/advisory-locks.ts';
import { nodePgMigrateKey } from '../../src/postgres/stale-sessions.ts';
import { openSession } from '../support/sessions.ts';
import { holdTable } from '../support/table-lock.ts';
import { createRoleDatabase } from './fenced-schema.ts';

const { db, roles } = await createRoleDatabase({
  owner: '',
  shared: 'login',
  a_app: 'login',
  b_group: '',
  b_app: 'login',
  b_admin: 'login createdb',
  writer: 'login in role pg_write_all_data',
  ops: 'login createrole',
});
const r = roles.sql;
const tenants = ['a', 'b', 'bare', 'busy', 'published', 'referred', 'lo', 'guarded', 'onlyWriter'];
await db.query(
  tenants.map((name) => `create schema "${name}"; create table "${name}".t (id int primary key)`).join(';'),
);
await db.query(`${tenants
  .filter((name) => !['bare', 'onlyWriter'].includes(name))
  .map(
    (name) =>
      `grant usage on schema "${name}" to ${r('shared')}; grant all on all tables in schema "${name}" to ${r('shared')}`,
  )
  .join(';')};
  grant usage on schema a to ${r('a_app')}; grant update (id) on a.t to ${r('a_app')}; grant connect on database ${db.name} to ${r('a_app')};
  alter default privileges in schema a grant select on tables to ${r('a_app')};
  grant ${r('b_group')} to ${r('b_app')}, ${r('b_admin')}; alter table b.t owner to ${r('b_group')};
  grant select on "onlyWriter".t to ${r('writer')};
  create publication ${db.name}_p for table published.t;
  create view public.v as select * from referred.t;
  create table lo.files (id int, content oid);
  alter table guarded.t enable row level security; alter table guarded.t owner to ${r('owner')}`);

async function inspect(login?: string): Promise<ReadonlyMap<string, Inspection>> {
  const session = await openSession(db.name, login === undefined ? {} : { user: login });
  return inspectTenants(
    session,
    [...tenants, 'gone'].map((schema) => ({ schema })),
  );
}

const codes = (found: ReadonlyMap<string, Inspection>) =>
  Object.fromEntries([...found].map(([name, { refusals }]) => [name, refusals.map(({ code }) => code)]));

it('says why a tenant cannot sleep, for all of a database at once', async () => {
  const busy = await holdTable(db, 'busy.t');
  const app = await openSession(db.name, { user: roles.name('shared') });
  await app.raw('begin; lock table a.t in access share mode');
  const found = await inspect();
  expect(codes(found)).toEqual({
    a: [],
    b: [],
    bare: ['unfenceable'],
    busy: ['in-use'],
    published: ['published'],
    referred: ['outside'],
    lo: [],
    guarded: [],
    onlyWriter: ['unfenceable'],
    gone: ['missing'],
  });
  expect(found.get('busy')?.refusals[0]?.message).toContain(`pid ${busy.pid}`);
  expect(found.get('referred')?.refusals[0]?.message).toContain('view v');
  expect(found.get('lo')?.remarks).toEqual(['may name large objects, which stay where they are: files.content']);
  expect(found.get('a')?.sizeBytes).toBe(8192);
});

it('finds login roles that are one tenant’s alone', async () => {
  const found = await inspect();
  const own = Object.fromEntries([...found].map(([name, { ownRoles }]) => [name, ownRoles]));
  expect(own).toMatchObject({ a: [roles.name('a_app')], b: [roles.name('b_app')], busy: [], onlyWriter: [] });
  await db.query(`create table public.elsewhere (id int); grant select on public.elsewhere to ${r('b_group')}`);
  expect((await inspect()).get('b')?.ownRoles).toEqual([]);
});

it('refuses what the login may not do', async () => {
  await db.query(`grant select on guarded.t to ${r('ops')}`);
  await holdTable(db, 'busy.t');
  const found = codes(await inspect(roles.name('ops')));
  expect(found.busy).toEqual(['not-allowed', 'in-use']);
  expect(found.guarded).toEqual(['not-allowed', 'row-security']);
  await db.query(
    `alter schema a owner to ${r('owner')}; alter table a.t owner to ${r('owner')}; grant ${r('owner')} to ${r('ops')}`,
  );
  expect(codes(await inspect(roles.name('ops')))).toMatchObject({ a: [], guarded: ['not-allowed'] });
});

it('sees a migration of another tool', async () => {
  const session = await db.connect();
  try {
    await session.query('select pg_advisory_lock($1::bigint), pg_advisory_lock($2::bigint)', [
      tenantKey('a'),
      nodePgMigrateKey,
    ]);
    expect(codes(await inspect()).a).toEqual(['migrating']);
  } finally {
    await session.end();
  }
});

it('ends sessions of roles, in whatever database', async () => {
  const [mine, other] = [
    await db.connect({ user: roles.name('a_app') }),
    await openSession(db.name, { user: roles.name('shared') }),
  ];
  const ended = new Promise((resolve) => mine.on('error', resolve));
  expect(await endRoleSessions(await openSession('postgres'), [roles.name('a_app')])).toEqual([]);
  await ended;
  await other.raw('select 1');
});

it('says why a database cannot sleep', async () => {
  const codesOf = async (way: 'archive' | 'lock', user?: string) => {
    const session = await openSession(db.name, user === undefined ? {} : { user });
    return (await inspectDatabase(session, way)).refusals.map(({ code }) => code);
  };
  expect(await codesOf('archive')).toEqual([]);
  expect(await codesOf('lock', roles.name('ops'))).toEqual(['not-allowed']);
  expect(await codesOf('archive', roles.name('ops'))).toEqual(['not-allowed', 'not-allowed']);
});
