import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { tenantKey, tryLockTenant } from '../../src/postgres/advisory-locks.ts';
import { probeServer, sharesBackends } from '../../src/postgres/server-probe.ts';
import type { Session } from '../../src/postgres/session.ts';
import { sql } from '../../src/postgres/sql.ts';
import {
  applicationName,
  prepareReader,
  prepareSession,
  type TenantSettings,
} from '../../src/postgres/tenant-session.ts';
import { asSuperuser, createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/sessions.ts';

const database = await createTestDatabase();

const acme: TenantSettings = {
  searchPath: ['tenant_acme', 'public'],
  role: null,
  lockTimeoutMs: 2000,
  statementTimeoutMs: 900_000,
  applicationName: 'tenantctl/k3f9/acme',
};

/** A role that can log in, until the end of the test. */
async function makeRole(...settings: readonly string[]): Promise<string> {
  const role = `Role "${randomBytes(6).toString('hex')}"`;
  const quoted = pg.escapeIdentifier(role);
  await asSuperuser(async (admin) => {
    await admin.query(`create role ${quoted} login`);
    for (const setting of settings) await admin.query(`alter role ${quoted} set ${setting}`);
  });
  onTestFinished(() => asSuperuser((admin) => admin.query(`drop role ${quoted}`)).then(() => {}));
  return role;
}

async function setting(session: Session, name: string): Promise<string | null> {
  const [row] = await session.query<{ value: string | null }>(sql`
    SELECT pg_catalog.current_setting(${name}, true) AS value`);
  return row?.value ?? null;
}

async function serverMajor(session: Session): Promise<number> {
  return Math.floor(Number(await setting(session, 'server_version_num')) / 10_000);
}

describe('prepareSession', () => {
  it('makes the session ready for its tenant', async () => {
    const role = await makeRole();
    const session = await openSession(database.name);
    await prepareSession(session, { ...acme, role });
    expect(await setting(session, 'search_path')).toBe('"tenant_acme", "public"');
    expect(await setting(session, 'lock_timeout')).toBe('2s');
    expect(await setting(session, 'statement_timeout')).toBe('15min');
    expect(await setting(session, 'application_name')).toBe('tenantctl/k3f9/acme');
    expect(await session.query(sql`SELECT current_user AS name`)).toEqual([{ name: role }]);
    expect(session.tenantsServed).toBe(1);
  });

  it('leaves nothing of the tenant before', async () => {
    const role = await makeRole();
    const session = await openSession(database.name);
    await prepareSession(session, { ...acme, role });
    await tryLockTenant(session, tenantKey('tenant_acme'));
    await session.raw('reset role');
    await session.script(`
      create temp table left_over (id int);
      prepare left_over as select 1;
      set myapp.tenant = 'acme';
      set session_replication_role = replica;
      set timezone = 'Asia/Tokyo';
      listen left_over;
      declare left_over cursor with hold for select 1`);
    await prepareSession(session, { ...acme, searchPath: ['tenant_globex'], applicationName: 'tenantctl/k3f9/globex' });

    const [left] = await session.query<Record<string, unknown>>(sql`SELECT
      pg_catalog.to_regclass('pg_temp.left_over') AS table,
      (SELECT count(*)::int FROM pg_catalog.pg_prepared_statements WHERE name = 'left_over') AS statements,
      (SELECT count(*)::int FROM pg_catalog.pg_cursors WHERE name = 'left_over') AS cursors,
      (SELECT count(*)::int FROM pg_catalog.pg_listening_channels()) AS channels,
      (SELECT count(*)::int FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()) AS locks,
      current_user = session_user AS itself`);
    expect(left).toEqual({ table: null, statements: 0, cursors: 0, channels: 0, locks: 0, itself: true });
    expect(await setting(session, 'search_path')).toBe('"tenant_globex"');
    expect(await setting(session, 'myapp.tenant')).toBeFalsy();
    expect(await setting(session, 'session_replication_role')).toBe('origin');
    expect(await setting(session, 'timezone')).not.toBe('Asia/Tokyo');
  });

  it('does not inherit timeouts of the login role', async () => {
    const names = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout'];
    const probe = await openSession(database.name);
    const known = (await serverMajor(probe)) >= 17 ? [...names, 'transaction_timeout'] : names;
    const user = await makeRole(...known.map((name) => `${name} = '45s'`), "client_min_messages = 'debug5'");
    const session = await openSession(database.name, { user });
    for (const name of known) expect(await setting(session, name)).toBe('45s');
    await prepareSession(session, { ...acme, lockTimeoutMs: 0, statementTimeoutMs: 0 });
    for (const name of known) expect([name, await setting(session, name)]).toEqual([name, '0']);
    expect(await setting(session, 'client_min_messages')).toBe('warning');
    await prepareReader(session, 'tenantctl/k3f9/survey');
    for (const name of known.filter((it) => it !== 'lock_timeout')) {
      expect([name, await setting(session, name)]).toEqual([name, '0']);
    }
  });

  it('stands in the schema that was meant, whatever it is called', async () => {
    const schema = `x", public; drop schema "y' -- $user`;
    await database.query(`create schema ${pg.escapeIdentifier(schema)}`);
    const session = await openSession(database.name);
    await prepareSession(session, { ...acme, searchPath: [schema, 'public'] });
    expect(await session.query(sql`SELECT pg_catalog.current_schema() AS name`)).toEqual([{ name: schema }]);
  });

  it('rejects for a role that does not exist', async () => {
    const session = await openSession(database.name);
    const attempt = prepareSession(session, { ...acme, role: 'no "such" role' });
    await expect(attempt).rejects.toMatchObject({ code: expect.stringMatching(/^[0-9A-Z]{5}$/) });
  });
});

describe('prepareReader', () => {
  it('would rather fail than miss rows that are hidden by row-level security', async () => {
    const user = await makeRole();
    await database.query('create table guarded (id int)');
    await database.query('alter table guarded enable row level security');
    await database.query(`grant select on guarded to ${pg.escapeIdentifier(user)}`);
    await database.query('insert into guarded values (1)');
    const session = await openSession(database.name, { user });
    expect(await session.query(sql`SELECT * FROM public.guarded`)).toEqual([]);
    await prepareReader(session, 'tenantctl/k3f9/survey');
    await expect(session.query(sql`SELECT * FROM public.guarded`)).rejects.toMatchObject({ code: '42501' });
    expect(await setting(session, 'search_path')).toBe('pg_catalog');
    await database.query(`drop table guarded`);
  });
});

describe('applicationName', () => {
  it('is ASCII and fits into 63 bytes, the last part of the run before the tenant', async () => {
    expect(applicationName('2026-11-22T101500Z-k3f9', 'acme')).toBe('tenantctl/k3f9/acme');
    expect(applicationName(null, 'acme')).toBe('tenantctl/-/acme');
    const odd = applicationName('2026-11-22T101500Z-k3f9', `ü\n${'x'.repeat(80)}`);
    expect(odd).toMatch(/^[\x20-\x7e]{63}$/);
    const session = await openSession(database.name, { application_name: odd });
    expect(await setting(session, 'application_name')).toBe(odd);
  });
});

describe('probeServer', () => {
  it('says what the server is and how many connections are free', async () => {
    const session = await openSession(database.name);
    const others = await Promise.all(Array.from({ length: 10 }, () => openSession(database.name)));
    const facts = await probeServer(session);
    expect(facts).toMatchObject({
      versionNum: Number(await setting(session, 'server_version_num')),
      isStandby: false,
      maxConnections: Number(await setting(session, 'max_connections')),
      isPooled: false,
    });
    const reserved = Number(await setting(session, 'superuser_reserved_connections'));
    expect(facts.freeConnections).toBeGreaterThan(0);
    expect(facts.freeConnections).toBeLessThanOrEqual(facts.maxConnections - reserved - others.length - 1);
  });

  it('sees that two sessions without a pooler have backends of their own', async () => {
    const [one, two] = [await openSession(database.name), await openSession(database.name)];
    expect(await sharesBackends(one, two)).toBe(false);
    expect([one.isIdle, two.isIdle]).toEqual([true, true]);
    // The same session twice is what a pooler with one backend looks like.
    expect(await sharesBackends(one, one)).toBe(true);
  });

  it('counts on the address that the run uses', async () => {
    const { port } = inject('cluster');
    const session = await openSession(database.name);
    expect(await setting(session, 'port')).toBe(String(port));
    expect(session.announcedPid).toBe(
      (await session.query<{ pid: number }>(sql`SELECT pg_catalog.pg_backend_pid() AS pid`))[0]?.pid,
    );
  });
});
