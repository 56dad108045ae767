import { expect, it, onTestFinished } from 'vitest';
import { closeDatabase, openDatabase } from '../../src/hibernation/database-fence.ts';
import { type DropDatabaseJob, dropDatabase } from '../../src/hibernation/drop-database.ts';
import { endDatabaseSessions } from '../../src/hibernation/end-sessions.ts';
import { readLogins } from '../../src/hibernation/fence.ts';
import { setConnections } from '../../src/hibernation/lock-database.ts';
import { readRows } from '../../src/hibernation/row-prints.ts';
import { sqlStates } from '../../src/postgres/sqlstates.ts';
import { asSuperuser, createTestDatabase } from '../support/database.ts';
import { connectSession, openSession } from '../support/sessions.ts';
import { committed, createRoleDatabase } from './fenced-schema.ts';

const { db: control, roles } = await createRoleDatabase({
  Owner: '',
  app: 'login',
  helper: 'login',
  ops: 'login createdb createrole',
});
const r = roles.sql;
await control.query(
  `grant ${r('Owner')}, ${r('helper')} to ${r('ops')}; grant ${r('app')} to ${r('ops')} with admin option`,
);
const signal = new AbortController().signal;
const ending = { keepPids: [], budgetMs: 10_000, signal };

const rightsOn = async (database: string) => {
  const [row] = await control.query<{ acl: string | null }>(
    'select datacl::text as acl from pg_database where datname = $1',
    [database],
  );
  return row?.acl;
};

it.each([
  ['a superuser', undefined],
  ['a member of its owner', 'ops'],
])('is fenced and opened by %s', async (_, user) => {
  const db = await createTestDatabase({ until: 'test' });
  const as = user === undefined ? {} : { user: roles.name(user) };
  await control.query(`alter database ${db.name} owner to ${r('Owner')}; revoke all on database ${db.name} from public;
    grant connect on database ${db.name} to ${r('app')}; grant create, connect on database ${db.name} to ${r('helper')} with grant option;
    set role ${r('helper')}; grant connect on database ${db.name} to ${r('ops')}; reset role`);
  const before = await rightsOn(db.name);
  const session = await openSession(control.name, as);
  const fence = await committed(session, async () => {
    const closedRoles = await readLogins(session, [roles.name('app')]);
    return { objects: await closeDatabase(session, db.name, { closedRoles }), closedRoles };
  });
  expect(fence.closedRoles).toEqual([roles.name('app')]);
  await expect(connectSession(db.name, { user: roles.name('helper') })).rejects.toMatchObject({
    code: sqlStates.insufficientPrivilege,
  });
  await expect(connectSession(control.name, { user: roles.name('app') })).rejects.toMatchObject({
    code: sqlStates.invalidAuthorization,
  });
  await (await connectSession(db.name, as)).end();
  expect(await committed(session, () => openDatabase(session, db.name, fence))).toEqual([]);
  expect(await rightsOn(db.name)).toBe(before);
  await (await connectSession(db.name, { user: roles.name('app') })).end();
});

it('lets superusers in no more when it is locked, and puts everybody out', async () => {
  const db = await createTestDatabase({ until: 'test' });
  const inside = await db.connect();
  const ended = new Promise((resolve) => inside.on('error', resolve));
  const session = await openSession(control.name);
  await setConnections(session, db.name, false);
  expect(await endDatabaseSessions(session, db.name, ending)).toEqual([]);
  await ended;
  await expect(connectSession(db.name)).rejects.toMatchObject({ code: '55000' });
  await setConnections(session, db.name, true);
  await (await connectSession(db.name)).end();
});

it('tells who cannot be put out', async () => {
  const db = await createTestDatabase({ until: 'test' });
  const stubborn = await db.connect();
  onTestFinished(() => stubborn.end());
  const session = await openSession(control.name, { user: roles.name('ops') });
  const [who] = await endDatabaseSessions(session, db.name, { ...ending, budgetMs: 0 });
  expect(who).toMatch(/^a session \(pid \d+, user /);
});

async function drop(database: string, more: Partial<DropDatabaseJob> = {}): Promise<readonly string[]> {
  const outside = await openSession(control.name);
  const inside = await openSession(database);
  const rows = await readRows(inside, null);
  return dropDatabase(outside, inside, {
    database,
    rows,
    compare: async () => [],
    record: async () => {},
    budgetMs: 10_000,
    signal,
    ...more,
  });
}

it('drops what is as it was restored, when that is written down', async () => {
  const db = await createTestDatabase({ until: 'test' });
  await asSuperuser((admin) => admin.query(`alter database ${db.name} owner to ${r('Owner')}`));
  const recorded: boolean[] = [];
  const record: DropDatabaseJob['record'] = async (outside) => {
    const { rows } = await outside.raw(`select datallowconn as it from pg_database where datname = '${db.name}'`);
    recorded.push(...(rows as { it: boolean }[]).map(({ it }) => it));
  };
  expect(await drop(db.name, { record })).toEqual([]);
  expect(recorded).toEqual([false]);
  expect(await rightsOn(db.name)).toBeUndefined();
});

it.each<[string, Partial<DropDatabaseJob>, readonly string[]]>([
  ['rows that came later', { rows: [] }, ['table public.t was not there before']],
  ['another structure', { compare: async () => ['its structure was changed'] }, ['its structure was changed']],
])('leaves it as it is for %s, and open', async (_, more, said) => {
  const db = await createTestDatabase({ until: 'test' });
  await (await openSession(db.name)).raw('create table t (id int)');
  expect(await drop(db.name, more)).toEqual(said);
  await (await connectSession(db.name)).end();
});

it('is open again when it could not be written down', async () => {
  const db = await createTestDatabase({ until: 'test' });
  const record = () => Promise.reject(new Error('no room'));
  await expect(drop(db.name, { record })).rejects.toThrow('no room');
  await (await connectSession(db.name)).end();
});
