import { Socket } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { sql } from '../../src/postgres/sql.ts';
import { createTestDatabase } from '../support/database.ts';
import { openProxy } from '../support/proxy.ts';
import { connectSession, openSession, pidOf } from '../support/sessions.ts';

const database = await createTestDatabase();

/** How many backends have this process id. */
async function backends(pid: number): Promise<number> {
  const rows = await database.query('select from pg_catalog.pg_stat_activity where pid = $1', [pid]);
  return rows.length;
}

/** Resolves when the session runs a statement that holds this text. */
async function runs(pid: number, text: string): Promise<void> {
  await vi.waitFor(async () => {
    const [row] = await database.query(
      `select from pg_catalog.pg_stat_activity where pid = $1 and state = 'active' and strpos(query, $2) > 0`,
      [pid, text],
    );
    expect(row).toBeDefined();
  }, 10_000);
}

describe('statements', () => {
  it('that are sent together travel in one go, before the first answer came', async () => {
    const socket = new Socket();
    const session = await openSession(database.name, { stream: () => socket });
    const write = vi.spyOn(socket, 'write');
    const answers = [1, 2, 3].map((n) => session.query(sql`SELECT ${n}::int AS answer`));
    const sent = write.mock.calls.map(([bytes]) => Buffer.from(bytes as Uint8Array).toString('latin1')).join('');
    expect(sent.match(/SELECT \$1::int AS answer/g)).toHaveLength(3);
    expect(await Promise.all(answers)).toEqual([[{ answer: 1 }], [{ answer: 2 }], [{ answer: 3 }]]);
  });

  it('that fail do not take the others with them', async () => {
    const session = await openSession(database.name);
    const results = await Promise.allSettled([
      session.query(sql`SELECT 1 AS n`),
      session.query(sql`SELECT 1 / 0`),
      session.raw('select nothing from nowhere'),
      session.query(sql`SELECT 2 AS n`),
    ]);
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code))).toEqual([
      [{ n: 1 }],
      '22012',
      '42P01',
      [{ n: 2 }],
    ]);
    expect(session.isBroken).toBe(false);
    expect(session.isIdle).toBe(true);
  });

  it('tell whether a transaction is open, also a failed one', async () => {
    const session = await openSession(database.name);
    await session.raw('begin');
    expect(session.isIdle).toBe(false);
    await expect(session.query(sql`SELECT 1 / 0`)).rejects.toMatchObject({ code: '22012' });
    await expect(session.query(sql`SELECT 1`)).rejects.toMatchObject({ code: '25P02' });
    expect(session.isIdle).toBe(false);
    await session.raw('rollback');
    expect(session.isIdle).toBe(true);
    expect(await session.query(sql`SELECT 1 AS n`)).toEqual([{ n: 1 }]);
  });
});

describe('commits', () => {
  it('are counted, whoever sent them, and only those that made something stay', async () => {
    const session = await openSession(database.name);
    expect(session.commits).toBe(0);
    await session.raw('begin; select 1; rollback');
    await session.script('begin; savepoint a; rollback to a; release a');
    await session.script('select 1 / 0');
    await session.raw('commit');
    expect(session.commits).toBe(0);
    await session.raw('begin; select 1; commit');
    await session.raw({ text: 'begin' });
    await session.script('select 1; end; select 1 / 0');
    await session.raw('begin; commit and chain; rollback');
    expect(session.commits).toBe(3);
  });
});

describe('script', () => {
  it('counts the statements that completed before an error without position', async () => {
    const session = await openSession(database.name);
    const { completed, error } = await session.script(
      'create table counted (id int); insert into counted values (1); select * from counted; create table counted ();',
    );
    expect(completed).toBe(3);
    expect(error).toMatchObject({ code: '42P07' });
    expect(error).not.toHaveProperty('position', expect.anything());
    // One message is one transaction.
    expect(await session.query(sql`SELECT pg_catalog.to_regclass('counted') AS oid`)).toEqual([{ oid: null }]);
    expect(session.isBroken).toBe(false);
  });

  it('counts all of them when there is no error, and none when the text cannot be parsed', async () => {
    const session = await openSession(database.name);
    expect(await session.script('select 1; select 2;; do $$ begin null; end $$')).toEqual({
      completed: 3,
      error: null,
    });
    expect(await session.script('select 1; selct 2')).toMatchObject({ completed: 0, error: { code: '42601' } });
    expect(await session.script('')).toEqual({ completed: 0, error: null });
  });

  it('stands in line with other statements, and leaves a transaction open when it opened one', async () => {
    const session = await openSession(database.name);
    const [, script, row] = await Promise.all([
      session.raw('begin'),
      session.script('create temp table lined (id int); insert into lined values (7)'),
      session.query(sql`SELECT id FROM lined`),
    ]);
    expect(script).toEqual({ completed: 2, error: null });
    expect(row).toEqual([{ id: 7 }]);
    expect(session.isIdle).toBe(false);
    await session.raw('rollback');
  });

  it('does not reject when the connection is lost in the middle', async () => {
    const session = await openSession(database.name);
    const pid = await pidOf(session);
    const script = session.script('select 1; select pg_catalog.pg_sleep(600)');
    await runs(pid, 'pg_sleep');
    await database.query('select pg_catalog.pg_terminate_backend($1)', [pid]);
    expect(await script).toMatchObject({ completed: 1, error: { code: '57P01' } });
    expect(session.isBroken).toBe(true);
  });
});

describe('cancel', () => {
  it('ends the statement that runs; the session goes on, but nobody else gets it', async () => {
    const session = await openSession(database.name);
    const pid = await pidOf(session);
    const sleeping = session.query(sql`SELECT pg_catalog.pg_sleep(600)`);
    const failed = expect(sleeping).rejects.toMatchObject({ code: '57014' });
    await runs(pid, 'pg_sleep');
    await session.cancel();
    await failed;
    expect(session.isBroken).toBe(true);
    expect(await pidOf(session)).toBe(pid);
  });

  it('is harmless when nothing runs, and when the session has gone', async () => {
    const session = await openSession(database.name);
    await session.cancel();
    expect(await session.query(sql`SELECT 1 AS n`)).toEqual([{ n: 1 }]);
    await session.end();
    await session.cancel();
  });
});

describe('a session', () => {
  it('is broken when its backend was terminated while it was idle', async () => {
    const session = await openSession(database.name);
    await database.query('select pg_catalog.pg_terminate_backend($1)', [await pidOf(session)]);
    await vi.waitFor(() => expect(session.isBroken).toBe(true), 10_000);
    await expect(session.query(sql`SELECT 1`)).rejects.toThrow();
  });

  it('is broken when its backend was terminated during a statement', async () => {
    const session = await openSession(database.name);
    const pid = await pidOf(session);
    const sleeping = expect(session.query(sql`SELECT pg_catalog.pg_sleep(600)`)).rejects.toMatchObject({
      code: '57P01',
    });
    await runs(pid, 'pg_sleep');
    await database.query('select pg_catalog.pg_terminate_backend($1)', [pid]);
    await sleeping;
    expect(session.isBroken).toBe(true);
  });

  it('no longer counts on the server when end has resolved', async () => {
    for (let round = 0; round < 20; round += 1) {
      const session = await connectSession(database.name);
      const pid = await pidOf(session);
      expect(await backends(pid)).toBe(1);
      await session.end();
      expect(await backends(pid)).toBe(0);
    }
  });

  it('lets its last statements end before it ends, and can be ended twice', async () => {
    const session = await connectSession(database.name);
    const last = session.query(sql`SELECT 1 AS n`);
    await session.end();
    expect(await last).toEqual([{ n: 1 }]);
    expect(session.isBroken).toBe(true);
    await session.end();
  });

  it('can be dropped although the network is gone', async () => {
    const proxy = await openProxy();
    const session = await connectSession(database.name, { host: '127.0.0.1', port: proxy.port });
    proxy.fallSilent();
    const failed = expect(session.query(sql`SELECT 1`)).rejects.toMatchObject({ code: '08006' });
    session.destroy();
    await failed;
    expect(session.isBroken).toBe(true);
    await session.end();
  });

  it('that gets no answer says so: nothing was lost', async () => {
    const proxy = await openProxy();
    proxy.fallSilent();
    const config = { host: '127.0.0.1', port: proxy.port, connectionTimeoutMillis: 50 };
    await expect(connectSession(database.name, config)).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      message: `no answer from 127.0.0.1:${proxy.port} within 0.05 s`,
    });
  });

  it('rejects with what the server says when it cannot be opened', async () => {
    await expect(connectSession('no such database')).rejects.toMatchObject({ code: '3D000' });
    await expect(connectSession(database.name, { user: 'nobody at all' })).rejects.toMatchObject({ code: '28000' });
    await expect(connectSession(database.name, { host: '/no/such/folder' })).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
