import { beforeEach, expect, it } from 'vitest';
import { type DropJob, dropSchema } from '../../src/hibernation/drop-schema.ts';
import type { Structure } from '../../src/hibernation/receipt.ts';
import { readRows } from '../../src/hibernation/row-prints.ts';
import { sqlStates } from '../../src/postgres/sqlstates.ts';
import { eventually } from '../support/barrier.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/sessions.ts';
import { holdTable } from '../support/table-lock.ts';

const db = await createTestDatabase();
const structure: Structure = { format: 1, major: 15, shape: 'as it was' };

beforeEach(async () => {
  await db.query(`drop schema if exists a, shared cascade; drop table if exists receipts; create table receipts (tenant text);
    create schema shared; create table shared.countries (id int primary key); insert into shared.countries values (1);
    create schema a; create table a.t (id serial primary key, note text, country int references shared.countries);
    insert into a.t (note, country) values ('x', 1)`);
});

async function drop(more: Partial<DropJob> = {}): Promise<readonly string[]> {
  const session = await openSession(db.name, { options: '-c default_transaction_isolation=serializable' });
  const rows = await readRows(session, ['a']);
  const record: DropJob['record'] = async (inside) => void (await inside.raw(`insert into receipts values ('a')`));
  const job = {
    schema: 'a',
    rows,
    structure,
    structureOf: async () => structure,
    lockTimeoutMs: 60_000,
    confirm: async () => {},
    record,
  };
  return dropSchema(session, { ...job, ...more }).finally(() => expect(session.isBroken || session.isIdle).toBe(true));
}

const standing = async () => {
  const [row] = await db.query(
    `select exists (select from pg_namespace where nspname = 'a') as schema, (select count(*)::int from receipts) as receipts`,
  );
  return row;
};

it('drops what is as it was restored, with its receipt', async () => {
  expect(await drop()).toEqual([]);
  expect(await standing()).toEqual({ schema: false, receipts: 1 });
  expect(await db.query('select id from shared.countries')).toEqual([{ id: 1 }]);
});

it.each<[string, Partial<DropJob>, string, string]>([
  ['a row that came after the dump', {}, `insert into a.t values (7, 'late')`, 'table a.t has 2 rows, and had 1'],
  ['a changed row', {}, `update a.t set note = 'y'`, 'table a.t has other values in its rows'],
  ['a new table', {}, 'create table a.more (id int)', 'table a.more was not there before'],
  [
    'another structure',
    { structureOf: async () => ({ ...structure, shape: 'other' }) },
    '',
    'its structure or rights were changed after it was fenced',
  ],
  [
    'what refers to it from outside',
    {},
    'create view shared.v as select * from a.t',
    'what is not in the schema refers to it now: view shared.v',
  ],
])('leaves it as it is for %s', async (_, more, change, said) => {
  const rows = await readRows(await openSession(db.name), ['a']);
  if (change !== '') await db.query(change);
  expect(await drop({ rows, ...more })).toEqual([said]);
  expect(await standing()).toEqual({ schema: true, receipts: 0 });
});

it('throws when its row is no longer ours, and leaves all as it is', async () => {
  const confirm = () => Promise.reject(new Error('another run works on it'));
  await expect(drop({ confirm })).rejects.toThrow('another run works on it');
  expect(await standing()).toEqual({ schema: true, receipts: 0 });
});

it('sees what was committed while it waited for its locks', async () => {
  const { query, release } = await holdTable(db, 'a.t', 'ROW EXCLUSIVE');
  const dropping = drop();
  await eventually('it waits', async () => {
    const rows = await db.query(`select from pg_locks where not granted and relation = 'a.t'::regclass`);
    return rows.length > 0 ? true : null;
  });
  await query(`insert into a.t (note) values ('late')`);
  await release();
  expect(await dropping).toContain('table a.t has 2 rows, and had 1');
  expect(await standing()).toEqual({ schema: true, receipts: 0 });
});

it('keeps all when a table is made between the last look and the drop', async () => {
  const record: DropJob['record'] = async () => void (await db.query('create table a.surprise as select 1 as id'));
  expect(await drop({ record })).toEqual(['something was made in it at the last moment']);
  expect(await db.query('select id from a.surprise')).toEqual([{ id: 1 }]);
});

it('throws when its locks are not to be had, and leaves all as it is', async () => {
  await holdTable(db, 'a.t');
  await expect(drop({ lockTimeoutMs: 20 })).rejects.toMatchObject({ code: sqlStates.lockNotAvailable });
  expect(await standing()).toEqual({ schema: true, receipts: 0 });
});
