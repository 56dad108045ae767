import { beforeEach, expect, it } from 'vitest';
import {
  checkTenantTable,
  deleteTenantRow,
  ensureTenantTable,
  putTenantRow,
  readTenantRow,
  readTenantRows,
  type TenantRow,
} from '../../src/postgres/tenant-rows.ts';
import { createTestDatabase } from '../support/database.ts';
import { dropRolesAtEnd } from '../support/hibernated.ts';
import { openSession } from '../support/sessions.ts';

const database = await createTestDatabase();
const acme = { database: database.name, schema: 'tenant_acme' };
const row: Omit<TenantRow, 'since'> = {
  ...acme,
  tenant: 'acme',
  labels: { tier: 'free' },
  state: 'hibernating',
  how: 'archive',
  run: 'r1',
  step: 'fenced',
  fence: { objects: [], closedRoles: ['o\'"x'] },
  receipt: null,
};

beforeEach(() => database.query('drop schema if exists tenantctl cascade').then(() => {}));

it('reads nobody where nobody was ever put to sleep', async () => {
  const session = await openSession(database.name);
  expect(await readTenantRows(session)).toEqual([]);
  expect(await readTenantRow(session, acme)).toBeNull();
});

it('is made by several at once', async () => {
  const sessions = await Promise.all(Array.from({ length: 6 }, () => openSession(database.name)));
  await Promise.all(sessions.map(ensureTenantTable));
  expect(await readTenantRows(sessions[0]!)).toEqual([]);
});

it('needs no right to create anything where it is there', async () => {
  const session = await openSession(database.name);
  await ensureTenantTable(session);
  await session.raw('SET default_transaction_read_only = on');
  await ensureTenantTable(session);
});

it('gives back what was written, with the time at which the state began', async () => {
  const session = await openSession(database.name);
  await ensureTenantTable(session);
  await putTenantRow(session, row);
  const first = await readTenantRow(session, acme);
  expect(first).toEqual({ ...row, since: expect.any(Date) });
  await putTenantRow(session, { ...row, step: 'dropping' });
  expect((await readTenantRow(session, acme))?.since).toEqual(first?.since);
  await putTenantRow(session, { ...row, state: 'hibernated', run: 'r2', receipt: { applied: ['0001_a'] } });
  const slept = await readTenantRow(session, acme);
  expect(slept?.since.getTime()).toBeGreaterThan(first!.since.getTime());
  expect(await readTenantRows(session)).toEqual([
    {
      ...{ ...acme, tenant: 'acme', labels: { tier: 'free' }, how: 'archive', step: 'fenced' },
      ...{ state: 'hibernated', run: 'r2', since: slept?.since, applied: ['0001_a'], isNameTaken: false },
    },
  ]);
});

it('keeps a schema and a whole database of one name apart', async () => {
  const session = await openSession(database.name);
  await ensureTenantTable(session);
  await putTenantRow(session, row);
  await putTenantRow(session, { ...row, schema: null, tenant: 'whole' });
  expect((await readTenantRow(session, { database: database.name, schema: null }))?.tenant).toBe('whole');
  await deleteTenantRow(session, { database: database.name, schema: null });
  expect((await readTenantRows(session)).map(({ schema }) => schema)).toEqual(['tenant_acme']);
});

it('reads times whatever way the login wants to see them, and a row that somebody else holds only when told', async () => {
  const [session, other] = await Promise.all([openSession(database.name), openSession(database.name)]);
  await ensureTenantTable(session);
  await putTenantRow(session, row);
  await session.raw("SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Kolkata'");
  expect((await readTenantRow(session, acme))?.since).toEqual((await readTenantRow(other, acme))?.since);
  await other.raw('BEGIN');
  await readTenantRow(other, acme, { lock: true });
  await session.raw("SET lock_timeout = '20ms'");
  await expect(readTenantRow(session, acme, { lock: true })).rejects.toMatchObject({ code: '55P03' });
  expect((await readTenantRow(session, acme))?.tenant).toBe('acme');
});

it("is nobody else's to write, whatever the default privileges say, and refuses to be used where it is", async () => {
  const roles = dropRolesAtEnd('app', 'reader');
  const [app, reader] = [`${roles}_app`, `${roles}_reader`];
  const session = await openSession(database.name);
  await session.raw(`CREATE ROLE ${app}; CREATE ROLE ${reader}`);
  for (const kind of ['SCHEMAS', 'TABLES']) {
    await session.raw(`ALTER DEFAULT PRIVILEGES GRANT ALL ON ${kind} TO ${app}, PUBLIC`);
  }
  try {
    await ensureTenantTable(session);
    const { rows } = await session.raw(`SELECT has_schema_privilege('${app}', 'tenantctl', 'USAGE') AS a,
      has_table_privilege('${app}', 'tenantctl.tenant', 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER') AS b`);
    expect(rows).toEqual([{ a: false, b: false }]);
    // Whoever may read it was meant to.
    await session.raw(`GRANT USAGE ON SCHEMA tenantctl TO ${reader}; GRANT SELECT ON tenantctl.tenant TO ${reader}`);
    await checkTenantTable(session);
    const dangers = [
      'UPDATE (receipt) ON tenantctl.tenant',
      'DELETE ON tenantctl.tenant',
      'CREATE ON SCHEMA tenantctl',
    ];
    for (const danger of dangers) {
      await session.raw(`GRANT ${danger} TO ${app}`);
      const refused = { failure: { code: 'state-unsafe', message: expect.stringContaining(app) } };
      await expect(ensureTenantTable(session), danger).rejects.toMatchObject(refused);
      await session.raw(`REVOKE ${danger} FROM ${app}`);
    }
    await ensureTenantTable(session);
    await session.raw(`ALTER TABLE tenantctl.tenant OWNER TO ${app}; SET ROLE ${reader}`);
    await expect(checkTenantTable(session)).rejects.toMatchObject({ failure: { code: 'state-unsafe' } });
  } finally {
    await session.raw('RESET ROLE');
    await session.raw(`DROP OWNED BY ${app}, ${reader}`);
    for (const kind of ['SCHEMAS', 'TABLES']) {
      await session.raw(`ALTER DEFAULT PRIVILEGES REVOKE ALL ON ${kind} FROM PUBLIC`);
    }
  }
});

it('knows whose name is taken: what was dropped stands there again', async () => {
  const session = await openSession(database.name);
  await ensureTenantTable(session);
  await putTenantRow(session, { ...row, state: 'hibernated', tenant: 'gone' });
  await putTenantRow(session, { ...row, state: 'hibernated', tenant: 'there', schema: 'pg_catalog' });
  await putTenantRow(session, { ...row, state: 'hibernated', tenant: 'whole', schema: null });
  await putTenantRow(session, {
    ...row,
    state: 'hibernated',
    tenant: 'locked',
    schema: null,
    how: 'lock',
    database: 'postgres',
  });
  await putTenantRow(session, {
    ...row,
    state: 'hibernated',
    tenant: 'far',
    schema: null,
    database: 'no_such_database',
  });
  await putTenantRow(session, { ...row, tenant: 'fenced', schema: 'public' });
  const taken = (await readTenantRows(session)).filter(({ isNameTaken }) => isNameTaken);
  expect(taken.map(({ tenant }) => tenant).toSorted()).toEqual(['there', 'whole']);
});

it('says of a login that may not look what it lacks', async () => {
  const session = await openSession(database.name);
  await ensureTenantTable(session);
  await session.raw('SET ROLE pg_monitor');
  await expect(readTenantRows(session)).rejects.toMatchObject({
    failure: { code: 'sleepers-denied', sqlState: '42501', hint: expect.stringContaining('grant usage') },
  });
});
