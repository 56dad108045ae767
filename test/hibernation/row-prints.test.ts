import { expect, it } from 'vitest';
import { compareRows, readRows } from '../../src/hibernation/row-prints.ts';
import { createTestDatabase } from '../support/database.ts';
import { runTool } from '../support/dumps.ts';
import { openSession } from '../support/sessions.ts';

const db = await createTestDatabase();
const copy = await createTestDatabase();

const tables = `create schema "A b"; create schema other;
  create table "A b".parent (z text, "Id" int generated always as identity, at timestamptz, twice int generated always as ("Id" * 2) stored);
  create table "A b".child (extra bytea) inherits ("A b".parent);
  create table "A b".parted (id int, amount float8) partition by range (id);
  create table "A b".part partition of "A b".parted for values from (0) to (10);
  create table "A b".nothing ();
  create sequence "A b".numbers;
  create table other.t (id int);`;
const rows = `insert into "A b".parent (z, at) values ('x', '2026-11-22 10:15:00+01'), ('y', null);
  insert into "A b".child (z, "Id", at, extra) values ('c', 9, now(), '\\x00ff');
  insert into "A b".parted values (1, 0.1), (2, 1e300);
  insert into "A b".nothing default values; insert into other.t values (1); select nextval('"A b".numbers');`;

it('are equal in a restored copy, whatever the settings and the order of rows and columns', async () => {
  await db.query(tables + rows);
  await db.query(`alter table "A b".parent add column late int default 5; alter table "A b".parent drop column z;
    update "A b".parent set at = at`);
  const text = await runTool('pg_dump', ['-Fp', '--column-inserts', '-d', db.url]);
  await copy.query(text.replace(/^\\.*$/gm, ''));
  const odd = { options: '-c TimeZone=Asia/Tokyo -c DateStyle=German -c extra_float_digits=-5 -c bytea_output=escape' };
  const [living, restored] = [await openSession(db.name), await openSession(copy.name, odd)];
  const before = await readRows(living, null);
  expect(before.map(({ schema, table, rows: count }) => `${schema}.${table} ${count}`)).toEqual([
    'A b.child 1',
    'A b.nothing 1',
    'A b.numbers 1',
    'A b.parent 2',
    'A b.parent_Id_seq 1',
    'A b.part 2',
    'other.t 1',
  ]);
  expect(compareRows(before, await readRows(restored, null))).toEqual([]);
  expect((await restored.raw('show DateStyle')).rows).toEqual([{ DateStyle: 'German, DMY' }]);
  expect(before.filter(({ schema }) => schema === 'other')).toEqual(await readRows(living, ['other']));
});

it('tell what differs, as the transaction that asks sees it', async () => {
  const session = await openSession(copy.name);
  const before = await readRows(session, ['A b']);
  await session.raw(`begin; set local DateStyle = 'SQL, DMY'; insert into "A b".part values (3, 1); update "A b".child set extra = '\\x01';
    select nextval('"A b".numbers'); drop table "A b".nothing; create table "A b".new (id int)`);
  expect(compareRows(before, await readRows(session, ['A b']))).toEqual([
    'table A b.child has other values in its rows',
    'table A b.nothing is gone',
    'sequence A b.numbers stands at 2 called, and stood at 1 called',
    'table A b.part has 3 rows, and had 2',
    'table A b.new was not there before',
  ]);
  expect((await session.raw('show DateStyle')).rows).toEqual([{ DateStyle: 'SQL, DMY' }]);
  await session.raw('rollback');
  expect(compareRows(before, await readRows(session, ['A b'])).length).toBe(1);
});

it('are an error where a policy hides rows', async () => {
  await copy.query(`alter table other.t enable row level security; create role "${copy.name}" login;
    grant usage on schema other to "${copy.name}"; grant select on other.t to "${copy.name}"`);
  const session = await openSession(copy.name, { user: copy.name });
  await expect(readRows(session, ['other'])).rejects.toMatchObject({ code: '42501' });
  expect(session.isIdle).toBe(true);
  await copy.query(`drop owned by "${copy.name}"`);
  await session.end();
  await copy.query(`drop role "${copy.name}"`);
});
