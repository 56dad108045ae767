import { afterEach, expect, it, vi } from 'vitest';
import { keepCancelling } from '../../src/postgres/cancelling.ts';
import { sql } from '../../src/postgres/sql.ts';
import { createTestDatabase } from '../support/database.ts';
import { openProxy } from '../support/proxy.ts';
import { connectSession, openSession } from '../support/sessions.ts';

const database = await createTestDatabase();

afterEach(() => void vi.useRealTimers());

it('is repeated: a request that came between two statements was ignored', async () => {
  const session = await openSession(database.name);
  const cancel = vi.spyOn(session, 'cancel');
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
  const stop = keepCancelling(session);
  await cancel.mock.results[0]?.value;
  let isOver = false;
  const failed = session.query(sql`SELECT pg_catalog.pg_sleep(600)`).catch((error: unknown) => {
    isOver = true;
    return error;
  });
  // The statement is on its way: a request may still be quicker.
  for (let round = 0; round < 12 && !isOver; round += 1) {
    vi.advanceTimersByTime(1000);
    await cancel.mock.results.at(-1)?.value;
  }
  if (!isOver) session.destroy();
  expect(await failed).toMatchObject({ code: '57014' });
  const { length } = cancel.mock.calls;
  expect(length).toBeGreaterThan(1);
  stop();
  vi.advanceTimersByTime(20_000);
  expect(cancel.mock.calls).toHaveLength(length);
});

it('drops the connection when the network is gone', async () => {
  const proxy = await openProxy();
  const session = await connectSession(database.name, { host: '127.0.0.1', port: proxy.port });
  proxy.fallSilent();
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
  const failed = expect(session.query(sql`SELECT 1`)).rejects.toMatchObject({ code: '08006' });
  const stop = keepCancelling(session);
  vi.advanceTimersByTime(15_000);
  await failed;
  stop();
});
