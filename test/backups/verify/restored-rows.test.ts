import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  compareRowCounts,
  countUnproven,
  findSequencesBehind,
  runChecks,
} from '../../../src/backups/verify/restored-rows.ts';
import { connect } from '../../../src/postgres/connect.ts';
import type { Session } from '../../../src/postgres/session.ts';
import { resolveConnection } from '../../../src/postgres/settings/resolve-connection.ts';
import { createTestDatabase, databaseUrl } from '../../support/database.ts';

const db = await createTestDatabase();
let session: Session;

beforeAll(async () => {
  await db.query(`create schema a; create schema b;
    create table a.users as select i as id from generate_series(1, 7) i;
    create table a.parent (id int); insert into a.parent values (1);
    create table a.child () inherits (a.parent); insert into a.child values (2), (3);
    create table a.up (id int primary key generated always as identity);
    insert into a.up overriding system value values (1), (2);
    create sequence a.down increment -5 maxvalue 100 start 100;
    create table a.falling (id int primary key default nextval('a.down')); alter sequence a.down owned by a.falling.id;
    insert into a.falling values (-20);
    create table a.free (id serial); insert into a.free values (9);
    create table b.other (id serial primary key); insert into b.other values (9);
    alter table a.parent add check (id < 0) no inherit not valid;`);
  session = await connect(
    resolveConnection({
      serverId: 'x',
      conninfo: databaseUrl(db.name),
      env: {},
      homeDir: '/',
      baseDir: '/',
      osUser: 'x',
      connectTimeoutMs: 10_000,
    }),
    { applicationName: 'test' },
  );
});
afterAll(() => session.end());

it('counts each table by itself, and names those that differ or are not there', async () => {
  const table = (name: string, rows: number | null, schema = 'a') => ({ schema, name, rows, sizeBytes: 0 });
  const right = [table('users', 7), table('parent', 1), table('child', 2), table('free', null)];
  expect(await compareRowCounts(session, right)).toEqual([]);
  expect(
    await compareRowCounts(session, [table('users', 8), table('gone', 0), table('users', 1, 'c'), ...right]),
  ).toEqual([
    'table a.users has 7 rows, and 8 were backed up',
    'table a.gone was not restored',
    'table c.users was not restored',
  ]);
});

it('finds sequences that are behind a unique column, in both directions', async () => {
  expect(await findSequencesBehind(session, 'a')).toEqual([
    'sequence a.down is behind: its next value is 100, and falling.id has -20',
    'sequence a.up_id_seq is behind: its next value is 1, and up.id has 2',
  ]);
  expect(await findSequencesBehind(session, null)).toHaveLength(3);
  await db.query("select setval('a.down', -20), setval('a.up_id_seq', 2)");
  expect(await findSequencesBehind(session, 'a')).toEqual([]);
});

it('counts constraints that prove nothing of the rows', async () => {
  expect(await countUnproven(session, 'a')).toBe(1);
  expect(await countUnproven(session, 'b')).toBe(0);
});

it('asks with the search path of the tenant, and changes nothing', async () => {
  const ask = (...checks: string[]) => runChecks(session, checks, ['b', 'a']);
  expect(await ask('select id from other where id > 100')).toEqual({ problems: [], obstacle: null });
  const { problems } = await ask('select id, null as x from other', 'select * from users');
  expect(problems).toEqual([
    'check "select id, null as x from other" found a row: id 9, x null',
    'check "select * from users" found rows, first: id 1',
  ]);
  expect((await ask('with gone as (delete from users returning *) select * from gone')).obstacle).toMatch(
    /could not be asked/,
  );
  expect((await ask('select nextval($$a.down$$)')).obstacle).toMatch(/read-only/);
});
