import { expect, test } from 'vitest';
import { tenantKey, tryLockTenant, unlockAll } from '../../src/postgres/advisory-locks.ts';
import { type EndTarget, endLockSession, findLockSessions } from '../../src/postgres/stale-sessions.ts';
import { createTestDatabase } from '../support/database.ts';
import { connectSession, openSession, pidOf } from '../support/sessions.ts';

const db = await createTestDatabase();
const keys = [tenantKey('a')];

/** A session that holds the lock, as it was seen. */
async function seenHolder(): Promise<{ target: EndTarget; session: Awaited<ReturnType<typeof openSession>> }> {
  const session = await openSession(db.name);
  expect(await tryLockTenant(session, keys[0]!)).toBeNull();
  const [seen] = await findLockSessions(await openSession(db.name), keys);
  expect(seen).toMatchObject({
    pid: await pidOf(session),
    state: 'idle',
    locks: [{ key: keys[0], isExclusive: true }],
  });
  return { session, target: { ...seen!, keys, idleMs: 0 } };
}

test('ends the backend that was seen', async () => {
  const { session, target } = await seenHolder();
  expect(await endLockSession(await openSession(db.name), target)).toBe('ended');
  await expect(session.raw('select 1')).rejects.toThrow();
  expect(await endLockSession(await openSession(db.name), target)).toBe('gone');
});

test.each([
  ['another backend that has its pid now', (target: EndTarget) => ({ ...target, startedAt: '1.5' }), 'gone'],
  ['one that nobody saw the beginning of', (target: EndTarget) => ({ ...target, startedAt: null }), 'gone'],
  ['one with other locks', (target: EndTarget) => ({ ...target, keys: [tenantKey('b')] }), 'gone'],
  ['one that did something a moment ago', (target: EndTarget) => ({ ...target, idleMs: 3_600_000 }), 'busy'],
])('leaves alone %s', async (_what, change, answer) => {
  const { session, target } = await seenHolder();
  expect(await endLockSession(await openSession(db.name), change(target))).toBe(answer);
  await session.raw('select 1');
  await unlockAll(session);
});

test('leaves alone one that has let go of its lock since', async () => {
  const { session, target } = await seenHolder();
  await unlockAll(session);
  expect(await endLockSession(await openSession(db.name), target)).toBe('gone');
  await session.raw('select 1');
});

test('does not see locks of two keys, of other databases, or waiting ones', async () => {
  const { session } = await seenHolder();
  const waiting = await connectSession(db.name);
  const waits = waiting.raw(`select pg_advisory_lock(${keys[0]})`).catch(() => {});
  const two = await openSession(db.name);
  const key = BigInt.asUintN(64, BigInt(keys[0]!));
  const half = (part: bigint) => BigInt.asIntN(32, part);
  await two.raw(`select pg_advisory_lock(${half(key >> 32n)}, ${half(key & 0xffffffffn)})`);
  const other = await openSession('postgres');
  await other.raw(`select pg_advisory_lock(${keys[0]})`);
  const seen = await findLockSessions(await openSession(db.name), keys);
  expect(seen.map(({ pid }) => pid)).toEqual([await pidOf(session)]);
  waiting.destroy();
  await waits;
});
