import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { type PreflightJob, runPreflight } from '../../../src/commands/migrate/preflight.ts';
import { RefusedError, StoppedError } from '../../../src/errors.ts';
import type { Tenant } from '../../../src/fleet/tenant.ts';
import type { ChangePlan } from '../../../src/migrations/change-tenant.ts';
import { readFolder } from '../../../src/migrations/folder.ts';
import { makeBarrier, passBarrier } from '../../support/barrier.ts';
import { asSuperuser } from '../../support/database.ts';
import { createFleet, numbered, type TestFleet } from '../../support/fleet.ts';
import { inFleet, makeContext, type TestContext } from '../../support/in-fleet.ts';

const duplicates = 'SELECT email, count(*) FROM users GROUP BY email HAVING count(*) > 1';
const migrations = {
  '0001_users.sql': 'CREATE TABLE users (email text);',
  '0002_unique.sql': `-- Up Migration\n\n-- tenantctl:preflight ${duplicates}\nCREATE UNIQUE INDEX ON users (email);`,
};

interface Run {
  /** Names of the migrations that each tenant lacks; all of them when not said. */
  readonly pending?: (tenant: Tenant) => readonly string[];
  /** Where the tenants stand; null, the standard: they have no history. */
  readonly from?: string | null;
  readonly extraSql?: readonly string[];
  readonly folder?: string;
  readonly isShared?: boolean;
  readonly at?: TestContext;
}

/** What the guard says to a run of the folder's migrations on all tenants: null, or its refusal. */
async function preflight(fleet: TestFleet, run: Run = {}): Promise<RefusedError | null> {
  const {
    pending,
    from = null,
    extraSql = [],
    folder = 'migrations',
    isShared = false,
    at = makeContext(fleet.folder),
  } = run;
  const files = readFolder(join(fleet.folder, folder), fleet.folder).migrations;
  const plans = new Map<string, ChangePlan>();
  const planOf = (tenant: Tenant): ChangePlan => {
    const names = pending?.(tenant) ?? files.map(({ name }) => name);
    const key = names.join();
    const plan = plans.get(key) ?? {
      from,
      to: null,
      migrations: files.filter(({ name }) => names.includes(name)),
    };
    plans.set(key, plan);
    return plan;
  };
  try {
    await inFleet(at, async (opened) => {
      const work = new Map(opened.tenants.map((tenant) => [tenant, { plan: planOf(tenant) }]));
      const jobs: readonly PreflightJob[] = [{ isShared, work }];
      await runPreflight(at.context, opened, jobs, extraSql);
    });
    return null;
  } catch (error) {
    if (error instanceof RefusedError) return error;
    throw error;
  }
}

/** The index is what is left to do. */
const unique = () => ['0002_unique'];

async function fleetWithUsers(count: number): Promise<TestFleet> {
  const fleet = await createFleet({ schemas: count, migrations });
  await fleet.db.query(
    numbered('tenant_t', count)
      .map((schema) => `create table ${schema}.users as select '${schema}@example.com' as email`)
      .join(';'),
  );
  return fleet;
}

test('one bad tenant of fifty stops the run, and is named with its rows', async () => {
  const fleet = await fleetWithUsers(50);
  expect(await preflight(fleet, { pending: unique })).toBeNull();
  await fleet.db.query('insert into tenant_t23.users select email from tenant_t23.users');
  const refused = await preflight(fleet, { pending: unique });
  expect(refused?.details).toEqual([
    'migrations/0002_unique.sql:3: 1 of 50 tenants: t23 (email=tenant_t23@example.com, count=2)',
  ]);
  expect(refused?.hint).toContain('--except t23');
  expect(refused?.message).toContain('nothing was changed');
});

test('only tenants for which the migration is pending are asked', async () => {
  const fleet = await fleetWithUsers(4);
  await fleet.db.query('insert into tenant_t02.users select email from tenant_t02.users');
  expect(await preflight(fleet, { pending: ({ id }) => (id === 't02' ? [] : unique()) })).toBeNull();
  const refused = await preflight(fleet, { pending: ({ id }) => (id === 't03' ? [] : unique()) });
  expect(refused?.details).toEqual([expect.stringContaining('1 of 3 tenants: t02 (')]);
});

test('a complaint is short, however much there is to complain of', async () => {
  const fleet = await createFleet({ schemas: 13 });
  const sql = "SELECT g AS id, repeat('x', 1000) AS text, NULL AS gone FROM generate_series(1, 100000) AS g";
  const refused = await preflight(fleet, { extraSql: [sql] });
  expect(refused?.details).toHaveLength(1);
  const [line = ''] = refused?.details ?? [];
  expect(line).toMatch(
    /^--preflight-sql: 13 of 13 tenants: t01 \(id=1, text=x{60}…, gone=null; id=2, .*; id=3, [^;]*; …\), t02 /,
  );
  expect(line).toMatch(/, t10 \([^)]*\) and 3 more$/);
  expect(refused?.hint).toContain('--except <tenant>…');
});

test('several checks are told apart, in the order of the files', async () => {
  const fleet = await fleetWithUsers(3);
  await fleet.write(
    '0003_more.ts',
    "// tenantctl:preflight SELECT 1 WHERE current_schema() = 'tenant_t01'\nexport const up = () => {};",
  );
  await fleet.db.query('drop table tenant_t02.users');
  const extraSql = ["SELECT 'first' WHERE false", "SELECT 'second' AS which"];
  const refused = await preflight(fleet, { pending: () => ['0002_unique', '0003_more'], extraSql });
  expect(refused?.details).toEqual([
    'migrations/0002_unique.sql:3: could not be made on 1 of 3 tenants: 42P01 relation "users" does not exist: t02',
    'migrations/0003_more.ts:1: 1 of 3 tenants: t01 (1)',
    '--preflight-sql 2: 3 of 3 tenants: t01 (which=second), t02 (which=second) and t03 (which=second)',
  ]);
});

test('what an earlier pending migration makes cannot be looked at yet, and keeps no new tenant out', async () => {
  const fleet = await fleetWithUsers(3);
  await fleet.db.query('drop table tenant_t02.users');
  const at = makeContext(fleet.folder);
  const pending = ({ id }: Tenant) => (id === 't02' ? ['0001_users', '0002_unique'] : unique());
  expect(await preflight(fleet, { pending, at })).toBeNull();
  expect(at.notices()).toEqual([
    expect.stringMatching(/^migrations\/0002_unique\.sql:3: not made on 1 tenant .*: t02$/),
  ]);
  // Any other error is a complaint there too.
  await fleet.write('0002_unique.sql', '-- tenantctl:preflight SELECT 1 / 0');
  expect((await preflight(fleet, { pending }))?.details).toEqual([
    'migrations/0002_unique.sql:1: could not be made on 3 of 3 tenants: 22012 division by zero: t01, t02 and t03',
  ]);
});

const guard = (sql: string) => `-- tenantctl:preflight ${sql}\nSELECT 1;`;

test.each([
  ['a table', 'CREATE TABLE gone (id int);', 'SELECT 1 FROM gone', 'SELECT 1 FROM gine'],
  ['a column', 'ALTER TABLE users ADD gone int;', 'SELECT gone FROM users', 'SELECT gine FROM users'],
  ['a function', 'CREATE FUNCTION gone() RETURNS int RETURN 1;', 'SELECT gone()', 'SELECT gine()'],
  ['a type', "CREATE TYPE gone AS ENUM ('a');", 'SELECT NULL::gone WHERE false', 'SELECT NULL::gine'],
])('%s that is not there: too early only where an earlier pending file makes it', async (_, made, right, wrong) => {
  const fleet = await fleetWithUsers(2);
  await fleet.write('0003_makes.sql', made);
  await fleet.write('0004_guarded.sql', guard(right));
  const run = { pending: () => ['0003_makes', '0004_guarded'], from: '0002_unique' };
  expect(await preflight(fleet, run)).toBeNull();
  await fleet.write('0004_guarded.sql', guard(wrong));
  const refused = await preflight(fleet, run);
  expect(refused?.details).toEqual([
    expect.stringMatching(/^migrations\/0004_guarded\.sql:1: could not be made on 2 of 2 tenants: 42/),
  ]);
  expect(refused?.hint).toContain('correct the check, run first what makes what it looks at (--to 0003_makes)');
  // A new tenant has no data that could be wrong.
  expect(await preflight(fleet, { ...run, from: null })).toBeNull();
});

test('no query, no run: said before a tenant is asked', async () => {
  const fleet = await fleetWithUsers(2);
  await fleet.write(
    '0002_unique.sql',
    '\n-- tenantctl:preflight DELETE FROM users RETURNING email\n-- tenantctl:preflight',
  );
  const at = makeContext(fleet.folder);
  const refused = await preflight(fleet, { pending: unique, extraSql: ['SELECT 1; SELECT 2'], at });
  expect(refused?.details).toEqual([
    'migrations/0002_unique.sql:2: it is no query',
    'migrations/0002_unique.sql:3: it holds no statement',
    '--preflight-sql: it holds 2 statements',
  ]);
  expect(at.events.filter(({ type }) => type === 'phase')).toEqual([]);
});

test('a check that writes fails and changes nothing', async () => {
  const fleet = await fleetWithUsers(3);
  await fleet.db.query(
    "create function public.tidy() returns setof text language plpgsql as 'begin return query delete from users returning email; end'",
  );
  await fleet.writeInventory({ searchPath: ['{schema}', 'public'] });
  const refused = await preflight(fleet, { extraSql: ['SELECT tidy()'] });
  expect(refused?.details).toEqual([
    '--preflight-sql: could not be made on 3 of 3 tenants: 25006 cannot execute DELETE in a read-only transaction: t01, t02 and t03',
  ]);
  expect(refused?.hint).toBe('correct the check, or leave those tenants out: --except t01 t02 t03');
  expect(await fleet.db.query('select * from tenant_t02.users')).toHaveLength(1);
});

test('each tenant is asked as its own role, in its own schema; where that is not to be had, not at all', async () => {
  const fleet = await createFleet({ schemas: { a: 'one', b: 'two', c: 'three' } });
  const roles = ['one', 'two', 'three'].map((schema) => `${fleet.db.name}_${schema}`);
  const [one = '', , three = ''] = roles;
  await asSuperuser(async (admin) => {
    for (const role of roles) await admin.query(`create role ${role}`);
  });
  try {
    await fleet.db.query(`alter schema one owner to ${one}; alter schema three owner to ${three}`);
    await fleet.writeInventory({ role: `${fleet.db.name}_{schema}` });
    const refused = await preflight(fleet, { extraSql: ['SELECT current_user AS u, current_schemas(false) AS s'] });
    expect(refused?.details).toEqual([
      `--preflight-sql: 2 of 3 tenants: a (u=${one}, s={one,public}) and c (u=${three}, s={three,public})`,
      '--preflight-sql: could not be made on 1 of 3 tenants: the session stands in schema "public" and not in "two": b',
    ]);
    await fleet.writeInventory({ role: 'no_such_role_{schema}' });
    const without = await preflight(fleet, { extraSql: ['SELECT 1'] });
    expect(without?.details).toEqual([expect.stringMatching(/could not be made on 3 of 3 tenants: 22023 role /)]);
  } finally {
    await fleet.db.query(`alter schema one owner to current_user; alter schema three owner to current_user`);
    await asSuperuser(async (admin) => {
      for (const role of roles) await admin.query(`drop role ${pg.escapeIdentifier(role)}`);
    });
  }
});

test('a database that cannot be reached is a complaint about its tenants', async () => {
  const fleet = await createFleet({ schemas: 2, databases: 1 });
  const [database = ''] = fleet.databases;
  const at = makeContext(fleet.folder);
  const refused = inFleet(at, async (opened) => {
    await opened.pools.closeIdle('main', database);
    await asSuperuser((admin) => admin.query(`alter database ${database} allow_connections false`));
    const work = new Map(opened.tenants.map((tenant) => [tenant, { plan: { from: null, to: null, migrations: [] } }]));
    await runPreflight(at.context, opened, [{ isShared: false, work }], ['SELECT 1 WHERE false']);
  });
  await expect(refused).rejects.toMatchObject({
    details: [expect.stringMatching(/could not be made on 1 of 3 tenants: 55000 .*: d01$/)],
  });
  await asSuperuser((admin) => admin.query(`alter database ${database} allow_connections true`));
});

test('what databases share has the checks of its own files, and not those of the command line', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { 'shared/0001_plans.sql': '-- tenantctl:preflight SELECT current_schema()' },
  });
  const shared = { folder: 'migrations/shared', isShared: true };
  const refused = await preflight(fleet, { ...shared, extraSql: ['SELECT 1'] });
  expect(refused?.details).toEqual([
    'migrations/shared/0001_plans.sql:1: 1 of 1 tenant: t01 (current_schema=tenant_t01)',
  ]);
  expect(refused?.hint).toBe('correct the data');
});

test('the first Ctrl-C ends a check that runs, and nothing is said of tenants', async () => {
  const fleet = await createFleet({ schemas: 3 });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close(...numbered('tenant_t', 3));
  const at = makeContext(fleet.folder);
  // The checks' own lock_timeout would end it as well.
  const patient = passBarrier.replace('SELECT', "SELECT set_config('lock_timeout', '0', true),");
  const running = preflight(fleet, { extraSql: [patient], at });
  await barrier.waiting(1);
  at.interrupt('stop');
  await expect(running).rejects.toBeInstanceOf(StoppedError);
  await barrier.waiting(0);
  // Sooner than the check's own statement_timeout would end it.
}, 20_000);

test('without a check nothing is asked', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: { '0001_a.sql': 'CREATE TABLE a (id int);' } });
  const at = makeContext(fleet.folder);
  expect(await preflight(fleet, { at })).toBeNull();
  expect(at.events).toEqual([]);
});
