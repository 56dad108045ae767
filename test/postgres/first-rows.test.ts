import { expect, test } from 'vitest';
import { readFirstRows } from '../../src/postgres/first-rows.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/sessions.ts';

const db = await createTestDatabase();
const options = { maxRows: 3, maxValueLength: 10 };

test('rows as the server writes them, and no more than asked for', async () => {
  const session = await openSession(db.name);
  expect(await readFirstRows(session, "SELECT 1 AS a, NULL AS a, '2026-01-02'::date AS d", options)).toEqual({
    columns: ['a', 'a', 'd'],
    rows: [['1', null, '2026-01-02']],
    hasMore: false,
  });
  const many = await readFirstRows(session, 'SELECT * FROM generate_series(1, 3000000)', options);
  expect(many).toMatchObject({ rows: [['1'], ['2'], ['3']], hasMore: true });
  expect((await readFirstRows(session, 'SELECT 1 WHERE false', options)).rows).toEqual([]);
  expect((await readFirstRows(session, "SELECT repeat('x', 100000)", options)).rows).toEqual([['xxxxxxxxxx…']]);
  expect((await readFirstRows(session, 'SELECT 1 -- said', options)).rows).toEqual([['1']]);
  expect(session.isIdle).toBe(true);
});

test('several at once, one of them wrong', async () => {
  const session = await openSession(db.name);
  const results = await Promise.allSettled([
    readFirstRows(session, 'SELECT 1', options),
    readFirstRows(session, 'SELECT nothing', options),
    readFirstRows(session, 'SELECT 1 / (g - 2) FROM generate_series(1, 2) AS g', options),
    readFirstRows(session, 'SELECT 4', options),
  ]);
  expect(results).toMatchObject([
    { value: { rows: [['1']] } },
    { reason: { code: '42703' } },
    { reason: { code: '22012' } },
    { value: { rows: [['4']] } },
  ]);
  expect(session.isIdle).toBe(true);
});

test('nothing can be written, and no second statement be sent', async () => {
  await db.query('create table kept (id int)');
  await db.query('create sequence counted');
  await db.query(
    `create function write() returns int language sql as 'insert into public.kept values (1) returning id'`,
  );
  const session = await openSession(db.name);
  const codeOf = (query: string) => readFirstRows(session, query, options).then(JSON.stringify, ({ code }) => code);
  expect(await codeOf('SELECT write()')).toBe('25006');
  expect(await codeOf("SELECT nextval('counted')")).toBe('25006');
  expect(await codeOf('SELECT id FROM kept FOR UPDATE')).toBe('25006');
  expect(await codeOf("SELECT set_config('transaction_read_only', 'off', true), write()")).toBe('25001');
  expect(await codeOf('WITH w AS (INSERT INTO kept VALUES (1) RETURNING id) SELECT * FROM w')).toBe('0A000');
  expect(await codeOf('SELECT 1; COMMIT; INSERT INTO kept VALUES (1)')).toBe('42601');
  expect(await db.query('select * from kept')).toEqual([]);
  expect(await db.query('select is_called from counted')).toEqual([{ is_called: false }]);
});

test('rows that row-level security would hide are an error', async () => {
  await db.query('create table hidden as select 1 as id');
  await db.query('alter table hidden enable row level security');
  await db.query(`create role ${db.name}_reader`);
  const session = await openSession(db.name);
  try {
    await db.query(`grant select on hidden to ${db.name}_reader`);
    await session.raw(`SET ROLE ${db.name}_reader`);
    await expect(readFirstRows(session, 'SELECT * FROM hidden', options)).rejects.toMatchObject({ code: '42501' });
  } finally {
    await db.query(`drop owned by ${db.name}_reader`);
    await db.query(`drop role ${db.name}_reader`);
  }
});
