import type { Socket } from 'node:net';
import pg from 'pg';
import { describe, expect, inject, it, vi } from 'vitest';
import {
  gateKey,
  type LockKey,
  shapeKey,
  tenantKey,
  tryLockTenant,
  unlockAll,
} from '../../src/postgres/advisory-locks.ts';
import { findKeyHolder } from '../../src/postgres/blockers.ts';
import { LockedError, lockTenant } from '../../src/postgres/lock-wait.ts';
import type { Session } from '../../src/postgres/session.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession, pidOf } from '../support/sessions.ts';

const database = await createTestDatabase({ until: 'file' });
const open = (name = 'tenantctl/test/-') => openSession(database.name, { application_name: name });
const acme = tenantKey('tenant_acme');
const globex = tenantKey('tenant_globex');

/** What the server says that a session holds, in its own words. */
async function held(session: Session): Promise<string[]> {
  const rows = await database.query<{ lock: string }>(
    `select ((classid::bigint << 32) | objid::bigint)::text || ' ' || mode as lock
       from pg_catalog.pg_locks where locktype = 'advisory' and granted and pid = $1`,
    [await pidOf(session)],
  );
  return rows.map(({ lock }) => lock).toSorted();
}

async function holdKey(key: LockKey): Promise<Session> {
  const session = await open('tenantctl/k3f9/dump');
  await session.raw('select pg_catalog.pg_advisory_lock($1::bigint)', [key]);
  return session;
}

describe('keys', () => {
  it('never change: two versions of tenantctl must not work on one tenant at once', () => {
    expect([gateKey, shapeKey, acme, tenantKey(null)]).toMatchInlineSnapshot(`
      [
        "4604424196367058198",
        "-518238421525540958",
        "-7448966739997382698",
        "-3706989383777906688",
      ]
    `);
  });

  it('differ for names that look alike, and are 64 bits', () => {
    const names = ['tenant_a-b', 'tenant_a_b', 'Tenant_a_b', 'tenant_ü', 'tenant_u\u0308', 'x'.repeat(63), '', ' '];
    const keys = [gateKey, shapeKey, tenantKey(null), ...names.map(tenantKey)];
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(BigInt.asIntN(64, BigInt(key))).toBe(BigInt(key));
  });
});

describe('tryLockTenant', () => {
  it('takes the tenant and a place in the shape, and lets go of the gate', async () => {
    const session = await open();
    expect(await tryLockTenant(session, acme)).toBeNull();
    expect(await held(session)).toEqual([`${acme} ExclusiveLock`, `${shapeKey} ShareLock`].toSorted());
    await unlockAll(session);
    expect(await held(session)).toEqual([]);
  });

  it('does not take what another session has, and holds nothing then', async () => {
    const [one, two] = [await open(), await open()];
    expect(await tryLockTenant(one, acme)).toBeNull();
    expect(await tryLockTenant(two, acme)).toBe('tenant');
    expect(await held(two)).toEqual([]);
  });

  it('lets different tenants of one database work side by side', async () => {
    const sessions = await Promise.all(Array.from({ length: 8 }, () => open()));
    const tries = sessions.map((session, index) => tryLockTenant(session, tenantKey(`tenant_${index}`)));
    expect(await Promise.all(tries)).toEqual(sessions.map(() => null));
  });

  it('knows a tenant with a database of its own from one with a schema', async () => {
    const [one, two] = [await open(), await open()];
    expect(await tryLockTenant(one, tenantKey(null))).toBeNull();
    expect(await tryLockTenant(two, acme)).toBeNull();
    expect(await tryLockTenant(two, tenantKey(null))).toBe('tenant');
  });

  it.each([
    ['gate', gateKey],
    ['shape', shapeKey],
  ] as const)('is turned away by who holds the %s exclusively, and holds nothing then', async (lock, key) => {
    const holder = await holdKey(key);
    const session = await open();
    expect(await tryLockTenant(session, acme)).toBe(lock);
    expect(await held(session)).toEqual([]);
    await holder.end();
    expect(await tryLockTenant(session, acme)).toBeNull();
  });

  it('lets whole-database work wait for those inside while it keeps new ones out', async () => {
    const [inside, late] = [await open(), await open()];
    expect(await tryLockTenant(inside, acme)).toBeNull();
    const dump = await holdKey(gateKey);
    const [row] = await dump.query<{ taken: boolean }>({
      text: 'select pg_catalog.pg_try_advisory_lock($1::bigint) as taken',
      values: [shapeKey],
    });
    expect(row?.taken).toBe(false);
    expect(await tryLockTenant(late, globex)).toBe('gate');
  });
});

describe('findKeyHolder', () => {
  it('names who holds a lock, since when, and what else its session holds', async () => {
    const session = await open();
    expect(await findKeyHolder(session, acme)).toBeNull();
    const holder = await holdKey(acme);
    await holder.raw('begin');
    await holder.raw('select pg_catalog.pg_advisory_lock_shared($1::bigint)', [shapeKey]);
    const found = await findKeyHolder(session, acme);
    expect(found).toEqual({
      pid: await pidOf(holder),
      application: 'tenantctl/k3f9/dump',
      user: inject('cluster').user,
      state: 'idle in transaction',
      transactionStartedAt: expect.any(Date),
      queryStartedAt: expect.any(Date),
      keys: expect.arrayContaining([acme, shapeKey]),
    });
  });

  it('does not take the same key in another database for this one', async () => {
    const elsewhere = await createTestDatabase({ until: 'test' });
    const other = await elsewhere.connect();
    await other.query('select pg_catalog.pg_advisory_lock($1::bigint)', [acme]);
    const session = await open();
    expect(await findKeyHolder(session, acme)).toBeNull();
    expect(await tryLockTenant(session, acme)).toBeNull();
    await other.end();
  });
});

describe('lockTenant', () => {
  it('names the holder of a lock that is not to be had, and holds nothing', async () => {
    const [holder, other] = [await open('tenantctl/k3f9/acme'), await open()];
    await tryLockTenant(holder, acme);
    const error = await lockTenant(other, acme).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LockedError);
    const { message, code } = error as LockedError;
    expect(code).toBe('locked');
    expect(message).toMatch(/^the tenant is locked by tenantctl\/k3f9\/acme \(pid \d+, user .+, since .+Z\)$/);
    expect(message).toContain(`pid ${await pidOf(holder)},`);
    expect(await held(other)).toEqual([]);
    await holder.end();
    await lockTenant(other, acme);
    expect(await held(other)).toHaveLength(2);
  });

  it('says so when it is the whole database that is locked', async () => {
    await holdKey(gateKey);
    const attempt = lockTenant(await open(), acme);
    await expect(attempt).rejects.toThrow("the database's gate is locked by tenantctl/k3f9/dump");
  });

  it('keeps others out for as long as the statement of a killed client runs', async () => {
    const { socketDir: host, port, user } = inject('cluster');
    const killed = new pg.Client({ host, port, user, database: database.name, application_name: 'killed' });
    killed.on('error', () => {});
    await killed.connect();
    const pid = (killed as unknown as { processID: number }).processID;
    await killed.query('select pg_catalog.pg_advisory_lock($1::bigint)', [acme]);
    const statement = killed.query('select pg_catalog.pg_sleep(600)').catch(() => {});
    await vi.waitFor(async () => {
      const [row] = await database.query("select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'", [
        pid,
      ]);
      expect(row).toBeDefined();
    }, 10_000);
    // As the system does for a process that gets kill -9.
    (killed as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    await statement;

    const next = await open();
    await expect(lockTenant(next, acme)).rejects.toThrow(`killed (pid ${pid}`);
    await database.query('select pg_catalog.pg_terminate_backend($1)', [pid]);
    await vi.waitFor(() => lockTenant(next, acme), 10_000);
  });
});
