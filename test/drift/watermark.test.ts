import { beforeAll, describe, expect, it } from 'vitest';
import { type ClusterIdentity, isSameCluster, readIdentity, readWatermarks } from '../../src/drift/watermark.sql.ts';
import type { Session } from '../../src/postgres/session.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/sessions.ts';

const db = await createTestDatabase();

/** A schema in which there is something of everything, and one beside it that nothing happens to. */
async function makeSchemas(): Promise<void> {
  await db.query(`
    create schema a; create schema b; set search_path = a;
    create type mood as enum ('sad', 'glad');
    create function of_mood(mood) returns int language sql as 'select 1';
    create domain positive as int check (value > 0);
    create table parent (id int primary key);
    create table t (id serial primary key, n positive, m mood default 'sad', p int references parent, gone int);
    create table child () inherits (parent);
    create table parts (id int) partition by range (id);
    create table part partition of parts for values from (0) to (10);
    create index t_n on t (n);
    create view v as select id, n from t;
    create function f() returns int language sql as 'select 1';
    create function on_change() returns trigger language plpgsql as 'begin return new; end';
    create trigger changed before update on t for each row execute function on_change();
    create policy p on t using (id > 0);
    create statistics s on id, n from t;
    create publication everything for table t;
    create table b.t (id int primary key);
    reset search_path`);
}

async function marks(session: Session): Promise<{ a: string | undefined; b: string | undefined }> {
  const [{ version } = { version: 0 }] = (await session.raw('show server_version_num')).rows.map(
    (row: { server_version_num: string }) => ({ version: Number(row.server_version_num) }),
  );
  const found = await readWatermarks(session, ['a', 'b', 'none'], Math.floor(version / 10_000));
  return { a: found.get('a'), b: found.get('b') };
}

const changes = [
  'alter table a.t add column x int',
  'alter table a.t drop column gone',
  'alter table a.t alter n set not null',
  'alter table a.t alter n set default 5',
  'alter table a.t alter m drop default',
  'alter table a.t alter n set statistics 7',
  'alter table a.t add constraint odd check (n % 2 = 1) not valid',
  'alter table a.t drop constraint t_p_fkey',
  'alter table a.t rename to u',
  'alter table a.t enable row level security',
  'alter table a.t disable trigger changed',
  'alter table a.t cluster on t_pkey',
  'alter table a.t replica identity full',
  'alter table a.t set (fillfactor = 70)',
  'alter table a.child set unlogged',
  'alter table a.child no inherit a.parent',
  'alter table a.parts detach partition a.part',
  'create index on a.t (m)',
  'drop index a.t_n',
  'alter index a.t_n rename to t_m',
  'create or replace view a.v as select id, n, 1 as one from a.t',
  'alter view a.v set (security_barrier = true)',
  "create or replace function a.f() returns int language sql as 'select 2'",
  'alter function a.f() security definer',
  'alter function a.f() owner to pg_monitor',
  "alter type a.mood add value 'mad'",
  "alter type a.mood rename value 'sad' to 'blue'",
  'alter domain a.positive drop constraint positive_check',
  'alter sequence a.t_id_seq increment 5',
  'alter sequence a.t_id_seq owned by none',
  'create policy q on a.t',
  'alter policy p on a.t to pg_monitor',
  'drop policy p on a.t',
  'alter statistics a.s set statistics 10',
  'alter publication everything drop table a.t',
  'grant select on a.t to pg_monitor',
  'grant select (n) on a.t to pg_monitor',
  'grant usage on schema a to pg_monitor',
  'grant execute on function a.f() to pg_monitor',
  'alter default privileges in schema a grant select on tables to pg_monitor',
  "comment on table a.t is 'x'",
  "comment on column a.t.n is 'x'",
  "comment on policy p on a.t is 'x'",
  "comment on trigger changed on a.t is 'x'",
  "comment on constraint t_pkey on a.t is 'x'",
  "comment on function a.f() is 'x'",
  "comment on schema a is 'x'",
  'create table a.more ()',
  'create type a.pair as (x int, y int)',
  'create aggregate a.total(int) (sfunc = int4pl, stype = int)',
  'create operator a.=== (leftarg = int, rightarg = int, function = int4eq)',
  'create collation a.plain (locale = $$C$$)',
  'create text search dictionary a.d (template = simple)',
  'create cast (a.mood as int) with function a.of_mood(a.mood)',
  // These two change no fact; the exact scan says so.
  'truncate a.t',
  'alter table a.t add column y int; alter table a.t drop column y',
];

describe('a watermark', () => {
  beforeAll(makeSchemas);

  it('stays under what writes rows and cleans up', async () => {
    const session = await openSession(db.name);
    await db.query('insert into a.t (n) select g from generate_series(1, 100) g');
    const before = await marks(session);
    expect(before.a).toBeDefined();
    await db.query('insert into a.t (n) values (7)');
    await db.query("update a.t set n = 8; delete from a.t where id < 10; select setval('a.t_id_seq', 1000)");
    for (const each of ['analyze a.t', 'vacuum a.t', 'vacuum freeze a.t', 'analyze', 'vacuum freeze', 'checkpoint']) {
      await db.query(each);
    }
    expect(await marks(session)).toEqual(before);
  });

  it('moves under everything that changes a fact, and only that of the schema', async () => {
    const session = await openSession(db.name);
    const before = await marks(session);
    const unheard: string[] = [];
    for (const statement of changes) {
      await session.raw('begin');
      await session.raw(statement);
      const after = await marks(session);
      if (after.a === before.a || after.b !== before.b) unheard.push(statement);
      await session.raw('rollback');
    }
    expect(unheard).toEqual([]);
    expect(await marks(session)).toEqual(before);
  });

  it('moves under what works concurrently', async () => {
    const session = await openSession(db.name);
    const before = await marks(session);
    await db.query('create index concurrently on a.t (m)');
    expect(await marks(session)).not.toEqual(before);
  });
});

describe('the identity of a cluster', () => {
  it('is told to every role', async () => {
    const session = await openSession(db.name);
    await session.raw('set role pg_read_all_settings');
    const identity = await readIdentity(session);
    expect(identity).toMatchObject({ system: expect.stringMatching(/^\d+$/), timeline: 1 });
    expect(isSameCluster(identity, await readIdentity(session))).toBe(true);
  });

  it('is another one after a restore, a failover and a step back in time', () => {
    const now: ClusterIdentity = { system: '7', timeline: 1, database: '5', nextXid: '1000' };
    expect(isSameCluster({ ...now, nextXid: '900' }, now)).toBe(true);
    expect(isSameCluster({ ...now, nextXid: '1001' }, now)).toBe(false);
    expect(isSameCluster({ ...now, system: '8' }, now)).toBe(false);
    expect(isSameCluster({ ...now, timeline: 2 }, now)).toBe(false);
    expect(isSameCluster({ ...now, database: '6' }, now)).toBe(false);
    expect(isSameCluster(null, now)).toBe(false);
    expect(isSameCluster(now, null)).toBe(false);
  });
});
