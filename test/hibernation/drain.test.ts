import { expect, it } from 'vitest';
import { drain } from '../../src/hibernation/drain.ts';
import { closeSchema } from '../../src/hibernation/fence.ts';
import { eventually } from '../support/barrier.ts';
import { openSession } from '../support/sessions.ts';
import { holdTable } from '../support/table-lock.ts';
import { committed, createRoleDatabase } from './fenced-schema.ts';

const { db, roles } = await createRoleDatabase({ app: 'login' });
const signal = new AbortController().signal;

async function makeTenant(schema: string): Promise<void> {
  await db.query(`create schema ${schema}; create table ${schema}.t (id int); create table ${schema}.other (id int);
    grant usage on schema ${schema} to ${roles.sql('app')}; grant all on all tables in schema ${schema} to ${roles.sql('app')}`);
}

it('waits for a transaction that wrote before the fence, whose rows are there then', async () => {
  await makeTenant('a');
  const app = await openSession(db.name, { user: roles.name('app') });
  await app.raw('begin; insert into a.t values (1)');
  const session = await openSession(db.name, { application_name: 'tenantctl/x/a' });
  await committed(session, () => closeSchema(session, 'a', { closedRoles: [] }));
  const draining = drain(session, 'a', { budgetMs: 60_000, signal });
  await eventually('it waits', async () => {
    const rows = await db.query(`select from pg_locks where not granted and pid = $1`, [session.announcedPid]);
    return rows.length > 0 ? true : null;
  });
  await app.raw('commit');
  expect(await draining).toBeNull();
  expect(await db.query('select id from a.t')).toEqual([{ id: 1 }]);
  expect(session.isIdle).toBe(true);
});

it('names those who do not end in time, and keeps no lock', async () => {
  await makeTenant('b');
  const { pid } = await holdTable(db, 'b.other', 'ROW EXCLUSIVE');
  const session = await openSession(db.name);
  expect(await drain(session, 'b', { budgetMs: 50, signal })).toMatchObject([{ pid, application: 'shop' }]);
  await db.query('begin; lock table b.t in access exclusive mode nowait; rollback');
  expect(session.isIdle).toBe(true);
});

it('does not wait for readers', async () => {
  await makeTenant('c');
  await holdTable(db, 'c.t');
  expect(await drain(await openSession(db.name), 'c', { budgetMs: 60_000, signal })).toBeNull();
});

it('gives up when it is told to', async () => {
  await makeTenant('d');
  await expect(
    drain(await openSession(db.name), 'd', { budgetMs: 60_000, signal: AbortSignal.abort() }),
  ).rejects.toThrow();
});
