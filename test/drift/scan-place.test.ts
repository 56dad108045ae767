import { describe, expect, it } from 'vitest';
import { placeAccess, scanFleet } from '../../src/commands/drift/scan-fleet.ts';
import { type Fleet, groupByPlace } from '../../src/commands/open-fleet.ts';
import { readFleet } from '../../src/commands/read-fleet.ts';
import type { TenantShape } from '../../src/drift/fact.ts';
import type { SchemaReader } from '../../src/drift/scan-batch.ts';
import { scanPlace } from '../../src/drift/scan-place.ts';
import { shapeReader } from '../../src/drift/schema-readers.ts';
import type { Outcome } from '../../src/fleet/outcome.ts';
import type { Session } from '../../src/postgres/session.ts';
import { eventually } from '../support/barrier.ts';
import { asSuperuser, databaseUrl, type TestDatabase } from '../support/database.ts';
import { createFleet, type TestFleet } from '../support/fleet.ts';
import { inFleet, makeContext, type TestContext } from '../support/in-fleet.ts';
import { attemptsAt, holdTable, nobodyWaitsFor } from '../support/table-lock.ts';

const tenantSql = (schema: string) => `
  create table ${schema}.users (id int primary key, email text not null);
  create index users_email on ${schema}.users (email);
  create view ${schema}.mails as select email from ${schema}.users;
  create table ${schema}.pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null);
  insert into ${schema}.pgmigrations (name, run_on) values ('9_old', now()), ('10_users', now())`;

async function makeTenants(fleet: TestFleet, count: number): Promise<void> {
  const schemas = Array.from({ length: count }, (_, index) => `tenant_t${String(index + 1).padStart(2, '0')}`);
  await fleet.db.query(schemas.map(tenantSql).join(';'));
}

/** Scans the whole fleet as a command does; with a reader or pauses of the test's own. */
function scan(
  test: TestContext,
  { reader = shapeReader, pausesMs }: { reader?: SchemaReader<TenantShape>; pausesMs?: readonly number[] } = {},
): Promise<Outcome<TenantShape>[]> {
  return inFleet(test, (fleet: Fleet) => {
    const access = placeAccess(fleet, fleet.tenants);
    const places = groupByPlace(fleet.tenants).map((place) => {
      return scanPlace({ ...place, ...access, reader, ...(pausesMs === undefined ? {} : { pausesMs }) });
    });
    return readFleet(test.context, fleet, 'scanning', fleet.tenants, places);
  });
}

const byId = (outcomes: readonly Outcome<TenantShape>[]) =>
  new Map(outcomes.map((outcome) => [outcome.tenant.id, outcome]));

const shapesOf = (outcomes: readonly Outcome<TenantShape>[]) =>
  outcomes.flatMap((outcome) => (outcome.status === 'done' ? [outcome.value.shape] : []));

describe('a scan', () => {
  it('sees the one of fifty that differs, and where the migrations of each are', async () => {
    const fleet = await createFleet({ schemas: 50, databases: 1 });
    await makeTenants(fleet, 50);
    const own = await connectTo(fleet.databases[0]!);
    await own(tenantSql('public'));
    await fleet.db.query('alter table tenant_t17.users add column nick text');
    await fleet.db.query(
      "delete from tenant_t18.pgmigrations where name = '10_users'; drop table tenant_t19.pgmigrations",
    );
    const test = makeContext(fleet.folder);
    const outcomes = await inFleet(test, (open) => scanFleet(test.context, open, open.tenants));
    const found = byId(outcomes);
    expect(outcomes.map(({ status }) => status)).toEqual(Array(51).fill('done'));
    const shapes = Map.groupBy(outcomes, (outcome) => (outcome.status === 'done' ? outcome.value.shape : ''));
    expect([...shapes.values()].map((each) => each.length).toSorted((a, b) => a - b)).toEqual([1, 50]);
    expect([...shapes.values()].find((each) => each.length === 1)?.[0]?.tenant.id).toBe('t17');
    expect(found.get('t01')).toMatchObject({ value: { version: '10_users' } });
    expect(found.get('t18')).toMatchObject({ value: { version: '9_old' } });
    expect(found.get('t19')).toMatchObject({ value: { version: null } });
  });

  it('says which schema is not there, and of which the login role may not look into', async () => {
    const role = `looker_${process.pid}_${Date.now()}`;
    await asSuperuser((admin) => admin.query(`create role ${role} login`));
    const url = (database: string) => databaseUrl(database).replace(/\/\/[^@]+@/, `//${role}@`);
    const fleet = await createFleet({ schemas: { a: 'tenant_a', b: 'tenant_b', gone: 'tenant_gone' }, url });
    for (const each of ['a', 'b']) await fleet.db.query(tenantSql(`tenant_${each}`));
    await fleet.db.query(`drop schema tenant_gone; grant usage on schema tenant_a to ${role};
      grant select on tenant_a.pgmigrations to ${role}`);
    const found = byId(await scan(makeContext(fleet.folder)));
    await fleet.db.query(`drop owned by ${role}; drop role ${role}`);
    expect(found.get('a')).toMatchObject({ status: 'done', value: { version: '10_users' } });
    expect(found.get('b')).toMatchObject({ status: 'failed', error: { sqlState: '42501' } });
    expect(found.get('gone')).toMatchObject({ status: 'failed', error: { code: 'schema-missing' } });
  });

  it('waits for no lock, and reads a tenant whose lock is let go meanwhile', async () => {
    const fleet = await createFleet({ schemas: 12 });
    await makeTenants(fleet, 12);
    const held = await holdTable(fleet.db, 'tenant_t05.users', 'ACCESS EXCLUSIVE');
    const scanning = scan(makeContext(fleet.folder), { pausesMs: Array(100).fill(300) });
    await attemptsAt(fleet.db, 'tenant_t05.users', 1);
    await nobodyWaitsFor(fleet.db, 'tenant_t05.users');
    await held.release();
    const outcomes = await scanning;
    expect(outcomes.map(({ status }) => status)).toEqual(Array(12).fill('done'));
    expect(new Set(shapesOf(outcomes)).size).toBe(1);
    expect(byId(outcomes).get('t05')?.attempts).toBeGreaterThan(1);
  });

  it('names who holds a tenant that stays locked; the others are done', async () => {
    const fleet = await createFleet({ schemas: 12 });
    await makeTenants(fleet, 12);
    const held = await holdTable(fleet.db, 'tenant_t05.users', 'ACCESS EXCLUSIVE');
    const outcomes = await scan(makeContext(fleet.folder), { pausesMs: [1, 1] });
    await held.release();
    const { t05, ...others } = Object.fromEntries(byId(outcomes));
    expect(t05).toMatchObject({
      status: 'failed',
      attempts: 3,
      error: { code: 'locked', sqlState: '55P03', message: expect.stringContaining(`shop (pid ${held.pid})`) },
      blockedBy: [{ pid: held.pid, application: 'shop' }],
    });
    expect(new Set(Object.values(others).map(({ status }) => status))).toEqual(new Set(['done']));
  });

  it('reads again what is altered while it is read, and tells what is dropped', async () => {
    const fleet = await createFleet({ schemas: 8 });
    await makeTenants(fleet, 8);
    const gate = await makeGate(fleet.db);
    const scanning = scan(makeContext(fleet.folder), { reader: gate.reader('tenant_t04') });
    await gate.reached();
    await fleet.db.query('drop schema tenant_t02 cascade');
    await fleet.db.query('create table tenant_t03.more (id int)');
    await fleet.db.query("insert into tenant_t04.pgmigrations (name, run_on) values ('11_more', now())");
    await fleet.db.query('alter schema tenant_t05 rename to elsewhere');
    await fleet.db.query('drop schema tenant_t06 cascade; create schema tenant_t06');
    await gate.open();
    const found = byId(await scanning);
    const usual = found.get('t01');
    expect(found.get('t02')).toMatchObject({ status: 'failed', error: { code: 'schema-missing' } });
    expect(found.get('t03')).toMatchObject({ status: 'done', attempts: 2 });
    expect(found.get('t03')).not.toMatchObject({ value: { shape: usual?.status === 'done' && usual.value.shape } });
    expect(found.get('t04')).toMatchObject({ status: 'done', attempts: 2, value: { version: '11_more' } });
    expect(found.get('t05')).toMatchObject({ status: 'failed', error: { code: 'schema-missing' } });
    expect(found.get('t06')).toMatchObject({ status: 'done', attempts: 2, value: { version: null } });
    for (const id of ['t07', 't08'])
      expect(found.get(id)).toMatchObject({ status: 'done', value: usual?.status === 'done' && usual.value });
  });

  it('lets go of what it locked with each schema, not with each transaction', async () => {
    const fleet = await createFleet({ schemas: 4 });
    await makeTenants(fleet, 4);
    const gate = await makeGate(fleet.db);
    const scanning = scan(makeContext(fleet.folder), { reader: gate.reader('tenant_t03') });
    const pid = await gate.reached();
    const held = await fleet.db.query<{ name: string }>(
      `select relation::regclass::text as name from pg_locks
        where pid = $1 and locktype = 'relation' and relation >= 16384 order by 1`,
      [pid],
    );
    await gate.open();
    await scanning;
    expect(held.map(({ name }) => name).filter((name) => !name.startsWith('tenant_t03.'))).toEqual([]);
  });

  it('renews a session whose backend has grown', async () => {
    const fleet = await createFleet({ schemas: 90 });
    const pids = new Set<number>();
    const reader: SchemaReader<TenantShape> = {
      ...shapeReader,
      read: (session, mapped, own) => {
        pids.add(session.announcedPid);
        return shapeReader.read(session, mapped, own);
      },
      countFacts: () => 100_000,
    };
    expect(new Set((await scan(makeContext(fleet.folder), { reader })).map(({ status }) => status))).toEqual(
      new Set(['done']),
    );
    expect(pids.size).toBeGreaterThan(2);
  });

  it('starts nothing new after Ctrl-C', async () => {
    const fleet = await createFleet({ schemas: 90 });
    const gate = await makeGate(fleet.db);
    const test = makeContext(fleet.folder);
    const scanning = scan(test, { reader: gate.reader('tenant_t01') });
    await gate.reached();
    test.interrupt('stop');
    await gate.open();
    const outcomes = await scanning;
    const counts = Object.groupBy(outcomes, ({ status }) => status);
    expect(counts.done?.length).toBeGreaterThan(0);
    expect(counts.skipped?.length).toBeGreaterThan(0);
    expect(Object.keys(counts).toSorted()).toEqual(['done', 'skipped']);
  });

  it('cancels what runs after the second Ctrl-C', async () => {
    const fleet = await createFleet({ schemas: 3 });
    const gate = await makeGate(fleet.db);
    const test = makeContext(fleet.folder);
    const scanning = scan(test, { reader: gate.reader('tenant_t02') });
    await gate.reached();
    test.interrupt('cancel');
    expect((await scanning).map(({ status }) => status)).toContain('interrupted');
    await gate.open();
  });
});

/** A place in the middle of the reading of one schema, the first time it is read, where the test has its way. */
async function makeGate(db: TestDatabase) {
  const key = 4712;
  await db.query(`select pg_advisory_lock(${key})`);
  let wasThere = false;
  const wait = (session: Session) => {
    wasThere = true;
    // The scan itself waits for no lock longer than its timeout.
    const patient = session.raw("set local lock_timeout = '0'");
    const waited = session.raw(`select pg_advisory_xact_lock(${key})`);
    return Promise.all([patient, waited]);
  };
  return {
    reader: (schema: string): SchemaReader<TenantShape> => ({
      ...shapeReader,
      read: async (session, mapped, own) => {
        const before = mapped.schema === schema && !wasThere ? wait(session) : null;
        const [, shape] = await Promise.all([before, shapeReader.read(session, mapped, own)]);
        return shape;
      },
    }),
    reached: () =>
      eventually('the scan stands at the gate', async () => {
        const rows = await db.query<{ pid: number }>(
          `select pid from pg_locks where locktype = 'advisory' and objid = ${key} and not granted
              and database = (select oid from pg_database where datname = current_database())`,
        );
        return rows[0]?.pid ?? null;
      }),
    open: () => db.query(`select pg_advisory_unlock(${key})`),
  };
}

async function connectTo(database: string): Promise<(text: string) => Promise<void>> {
  return async (text) => {
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: databaseUrl(database) });
    await client.connect();
    await client.query(text);
    await client.end();
  };
}
