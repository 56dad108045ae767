import { randomBytes } from 'node:crypto';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { tenantKey } from '../../src/postgres/advisory-locks.ts';
import { lockTenant } from '../../src/postgres/lock-wait.ts';
import type { Session } from '../../src/postgres/session.ts';
import { SessionPools } from '../../src/postgres/session-pools.ts';
import { sql } from '../../src/postgres/sql.ts';
import { prepareSession } from '../../src/postgres/tenant-session.ts';
import { asSuperuser, createTestDatabase } from '../support/database.ts';
import { makeRandom, testSeeds } from '../support/random.ts';
import { connectSession, openSession, pidOf } from '../support/sessions.ts';

const databases = [await createTestDatabase(), await createTestDatabase(), await createTestDatabase()];
const [first, second] = databases.map(({ name }) => name) as [string, string];
const server = 'main';

/** Pools whose sessions can be told from all others by their name. */
function makePools(limit: number) {
  const name = `pools ${randomBytes(6).toString('hex')}`;
  const pools = new SessionPools(
    (_server, database) => connectSession(database, { application_name: name }),
    () => limit,
  );
  onTestFinished(() => pools.closeAll());
  const pids = async () =>
    asSuperuser(async (admin) => {
      const { rows } = await admin.query<{ pid: number }>(
        'select pid from pg_catalog.pg_stat_activity where application_name = $1',
        [name],
      );
      return rows.map(({ pid }) => pid);
    });
  return { name, pools, pids };
}

/** Of all sessions with that name, in any database; asked on one of them. */
async function countSessions(session: Session, name: string): Promise<number> {
  const rows = await session.query(sql`SELECT FROM pg_catalog.pg_stat_activity WHERE application_name = ${name}`);
  return rows.length;
}

describe('SessionPools', () => {
  it.each(testSeeds(4))(
    'never has more sessions on a server than its limit, idle ones included (seed %i)',
    async (seed) => {
      const random = makeRandom(seed);
      const limit = random.between(1, 5);
      const { name, pools, pids } = makePools(limit);
      let most = 0;
      const uses = Array.from({ length: 60 }, async () => {
        const { name: database } = random.pick(databases);
        const fails = random.chance(0.2);
        await random.pause();
        return pools.use(server, database, async (session) => {
          most = Math.max(most, await countSessions(session, name));
          await random.pause();
          if (fails) throw new Error('as planned');
          return database;
        });
      });
      const results = await Promise.allSettled(uses);
      const odd = results.filter((result) => result.status === 'rejected' && result.reason.message !== 'as planned');
      expect(odd).toEqual([]);
      expect(most).toBeGreaterThan(0);
      expect(most).toBeLessThanOrEqual(limit);
      await pools.closeAll();
      expect(await pids()).toEqual([]);
    },
  );

  it('lends the session of a database again', async () => {
    const { pools } = makePools(2);
    const pid = await pools.use(server, first, pidOf);
    expect(await pools.use(server, first, pidOf)).toBe(pid);
  });

  it('lets an idle session of another database make way', async () => {
    const { pools, pids } = makePools(1);
    const pid = await pools.use(server, first, pidOf);
    const other = await pools.use(server, second, pidOf);
    expect(other).not.toBe(pid);
    expect(await pids()).toEqual([other]);
  });

  it('makes one wait for a session to be given back when all are in use', async () => {
    const { pools } = makePools(1);
    const order: string[] = [];
    const hold = Promise.withResolvers<void>();
    const holder = pools.use(server, first, async () => {
      await hold.promise;
      order.push('first');
    });
    const waiter = pools.use(server, second, async () => void order.push('second'));
    await asSuperuser(async () => {});
    hold.resolve();
    await Promise.all([holder, waiter]);
    expect(order).toEqual(['first', 'second']);
  });

  it('counts each server for itself', async () => {
    const { pools } = makePools(1);
    await pools.use('one', first, () => pools.use('two', first, pidOf));
  });

  it('renews a session after 100 tenants', async () => {
    const { pools } = makePools(1);
    const settings = {
      searchPath: ['public'],
      role: null,
      lockTimeoutMs: 0,
      statementTimeoutMs: 0,
      applicationName: 'x',
    };
    const seen = new Set<number>();
    const serve = () =>
      pools.use(server, first, async (session) => {
        await prepareSession(session, settings);
        seen.add(session.announcedPid);
      });
    for (let tenant = 0; tenant < 100; tenant += 1) await serve();
    expect(seen.size).toBe(1);
    await serve();
    expect(seen.size).toBe(2);
  });

  it('does not lend a session again that somebody failed with: it is gone from the server', async () => {
    const { pools, pids } = makePools(2);
    let pid = 0;
    const failing = pools.use(server, first, async (session) => {
      pid = await pidOf(session);
      throw new Error('as planned');
    });
    await expect(failing).rejects.toThrow('as planned');
    expect(await pids()).toEqual([]);
    expect(await pools.use(server, first, pidOf)).not.toBe(pid);
  });

  it('does not lend a session again that was left in a transaction', async () => {
    const { pools } = makePools(2);
    const pid = await pools.use(server, first, async (session) => {
      await session.raw('begin');
      return pidOf(session);
    });
    expect(await pools.use(server, first, pidOf)).not.toBe(pid);
  });

  it('does not lend a session again that was lost while it was idle', async () => {
    const { pools, pids } = makePools(1);
    let lent: Session | undefined;
    const pid = await pools.use(server, first, async (session) => {
      lent = session;
      return pidOf(session);
    });
    await asSuperuser((admin) => admin.query('select pg_catalog.pg_terminate_backend($1)', [pid]));
    await vi.waitFor(() => expect(lent?.isBroken).toBe(true), 10_000);
    const next = await pools.use(server, first, pidOf);
    expect(next).not.toBe(pid);
    expect(await pids()).toEqual([next]);
  });

  it('gives the place of a session that could not be opened to the next', async () => {
    const { pools } = makePools(1);
    const missing = pools.use(server, 'no such database', pidOf);
    const waiting = pools.use(server, first, pidOf);
    await expect(missing).rejects.toMatchObject({ code: '3D000' });
    expect(await waiting).toBeGreaterThan(0);
  });

  it("does not keep a tenant's lock in an idle session", async () => {
    const { pools, pids } = makePools(1);
    const key = tenantKey('tenant_a');
    const pid = await pools.use(server, first, async (session) => {
      await lockTenant(session, key);
      return pidOf(session);
    });
    const other = await openSession(first);
    // It is let go of while nobody waits for that.
    await vi.waitFor(() => lockTenant(other, key), 10_000);
    expect(await pids()).toEqual([pid]);
    expect(await pools.use(server, first, pidOf)).toBe(pid);
  });

  it('closes a session that is given back after all were closed, and lends none', async () => {
    const { pools, pids } = makePools(2);
    const hold = Promise.withResolvers<void>();
    const lent = Promise.withResolvers<void>();
    const using = pools.use(server, first, () => {
      lent.resolve();
      return hold.promise;
    });
    await lent.promise;
    await pools.closeAll();
    hold.resolve();
    await using;
    expect(await pids()).toEqual([]);
    await expect(pools.use(server, first, pidOf)).rejects.toThrow('closed');
  });

  it('keeps no more idle sessions than a limit that was lowered meanwhile', async () => {
    let limit = 2;
    const pools = new SessionPools(
      (_server, database) => connectSession(database),
      () => limit,
    );
    onTestFinished(() => pools.closeAll());
    const [one, two] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const lent: Session[] = [];
    const use = (until: Promise<void>) =>
      pools.use(server, first, (session) => until.finally(() => lent.push(session)));
    const uses = [use(one.promise), use(two.promise)];
    limit = 1;
    one.resolve();
    await uses[0];
    two.resolve();
    await uses[1];
    expect(lent.map(({ isBroken }) => isBroken)).toEqual([true, false]);
  });

  it('halves the limit of a server that has no connection left, once for all that were refused together', async () => {
    let room = 6;
    const pools = new SessionPools(
      async (_server, database) => {
        room -= 1;
        if (room < 0) throw Object.assign(new Error('full'), { code: '53300' });
        return connectSession(database);
      },
      () => 8,
    );
    onTestFinished(() => pools.closeAll());
    const together = Array.from({ length: 8 }, () => pools.use(server, first, pidOf));
    const refused = (await Promise.allSettled(together)).filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(2);
    room = 100;
    let used = 0;
    let most = 0;
    const allInUse = Promise.withResolvers<void>();
    const work = async (session: Session) => {
      used += 1;
      most = Math.max(most, used);
      if (used === 4) allInUse.resolve();
      await allInUse.promise;
      await pidOf(session);
      used -= 1;
    };
    await Promise.all(Array.from({ length: 12 }, () => pools.use(server, first, work)));
    expect(most).toBe(4);
  });

  it('opens one session only while a server is asked about itself', async () => {
    const answer = Promise.withResolvers<void>();
    let limit = 5;
    let asking: Promise<void> | undefined;
    let opened = 0;
    const pools = new SessionPools(
      async (_server, database) => {
        opened += 1;
        if (opened === 1) {
          asking = answer.promise;
          await asking;
        }
        return connectSession(database);
      },
      () => limit,
      () => asking,
    );
    onTestFinished(() => pools.closeAll());
    const uses = databases.map(({ name }) => pools.use(server, name, pidOf));
    expect(opened).toBe(1);
    limit = 1;
    asking = undefined;
    answer.resolve();
    expect(new Set(await Promise.all(uses)).size).toBe(3);
    expect(opened).toBe(3);
  });

  it('closes the idle sessions of one database when asked, and lends new ones', async () => {
    const { pools, pids } = makePools(3);
    await pools.use(server, first, pidOf);
    const kept = await pools.use(server, second, pidOf);
    await pools.closeIdle(server, first);
    expect(await pids()).toEqual([kept]);
    expect(await pools.use(server, first, pidOf)).toBeGreaterThan(0);
  });
});
