import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RehearsalResult } from '../../../src/migrations/rehearsal.ts';
import { makeBarrier, passBarrier, patientTimeouts } from '../../support/barrier.ts';
import { createFleet, type FleetReport, type TestFleet } from '../../support/fleet.ts';
import { tableMigration, threeTables } from '../../support/migrations.ts';

function rehearsalOf(report: FleetReport, tenant = 't01'): RehearsalResult {
  const { status, value, error } = report.of(tenant);
  if (status !== 'done') throw new Error(`${tenant} is ${status}: ${JSON.stringify(error)}`);
  return value as unknown as RehearsalResult;
}

function namesOf({ migrations }: RehearsalResult): readonly string[] {
  return migrations.map(({ name }) => name);
}

/** Tenants that have two tables with some rows, and a release that changes them. */
async function fleetWithRelease(files: Readonly<Record<string, string>>, schemas = 3): Promise<TestFleet> {
  const fleet = await createFleet({
    schemas,
    migrations: { '0001_one.sql': tableMigration('one'), '0002_two.sql': tableMigration('two') },
  });
  await fleet.run('migrate --all');
  await fleet.db.query('insert into tenant_t01.one select generate_series(1, 10)');
  for (const [name, text] of Object.entries(files)) await fleet.write(name, text);
  return fleet;
}

/** All that a rehearsal could have changed. */
async function stateOf(fleet: TestFleet) {
  const columns = await fleet.db.query(
    `select table_schema, table_name, column_name from information_schema.columns
      where table_schema like 'tenant_%' order by 1, 2, ordinal_position`,
  );
  const rows = await fleet.db.query('select * from tenant_t01.one order by 1');
  return { columns, rows, history: await fleet.history('tenant_t01'), tables: await fleet.tables() };
}

test('runs pending migrations on the first tenants, tells time and locks, and leaves nothing', async () => {
  const fleet = await fleetWithRelease({
    '0003_change.sql': 'ALTER TABLE one ADD x int; UPDATE one SET x = 1; CREATE INDEX two_id ON two (id);',
    '0004_new.sql': 'CREATE TABLE made (id int PRIMARY KEY); ALTER TABLE made ADD y int; INSERT INTO made VALUES (1);',
  });
  const before = await stateOf(fleet);
  const report = (await fleet.json('migrate rehearse --all --canary 2')) as FleetReport & { pendingTenants: number };
  expect([report.exitCode, report.summary, report.run]).toEqual([0, 't01 done, t02 done', null]);
  expect(report.pendingTenants).toBe(3);
  expect(rehearsalOf(report)).toEqual({
    migrations: [
      { name: '0003_change', durationMs: expect.any(Number) },
      { name: '0004_new', durationMs: expect.any(Number) },
    ],
    // Not those on what it made itself.
    locks: [
      { relation: 'one', mode: 'AccessExclusiveLock' },
      { relation: 'two', mode: 'ShareLock' },
    ],
    writes: [{ relation: 'one', rows: 10 }],
    notRehearsed: [],
    durationMs: expect.any(Number),
  });
  expect(await stateOf(fleet)).toEqual(before);

  const { stdout } = await fleet.run('migrate rehearse --all --canary 100% -v');
  expect(stdout).toContain('environment test: rehearsed on 3 of 3 tenants with pending migrations, and rolled back\n');
  expect(stdout).toMatch(/^MIGRATION +TENANTS +MEDIAN +WORST\n0003_change +3 +\d+ms +\d+ms \(t0\d\)\n0004_new +3 /m);
  expect(stdout).toMatch(/^the whole transaction +3 +\d+ms +\d+ms \(t0\d\)$/m);
  expect(stdout).toContain(`  AccessExclusiveLock  one  nobody reads or writes (3 tenants)
  ShareLock            two  nobody writes (3 tenants)
rows written, the most of a tenant: one 10
not rolled back: what nextval took from sequences`);
  // It is no run: nothing is recorded, and the real one has all to do.
  expect((await fleet.json('runs list')) as unknown).toMatchObject({ total: 1 });
  expect((await fleet.json('migrate --all')).of('t01').value?.applied).toEqual(['0003_change', '0004_new']);
});

test('a tenant without a history, and one with a database of its own', async () => {
  const fleet = await createFleet({ schemas: 1, databases: 1, migrations: threeTables });
  const report = await fleet.json('migrate rehearse --all --canary 2');
  for (const tenant of ['t01', 'd01']) {
    expect(rehearsalOf(report, tenant)).toMatchObject({ locks: [], writes: [], notRehearsed: [] });
    expect(namesOf(rehearsalOf(report, tenant))).toEqual(['0001_one', '0002_two', '0003_three']);
  }
  expect([await fleet.history('tenant_t01'), await fleet.tables()]).toEqual([null, []]);
  expect(existsSync(join(fleet.folder, '.tenantctl', 'runs'))).toBe(false);
});

test('takes what the selection and the target leave', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  await fleet.run('migrate -t t01');
  // The first one has nothing to do, so that it is no canary of a run either.
  const report = await fleet.json('migrate rehearse --all --to 0002');
  expect([report.exitCode, report.summary]).toEqual([0, 't02 done']);
  expect(namesOf(rehearsalOf(report, 't02'))).toEqual(['0001_one', '0002_two']);
  const { exitCode, stdout } = await fleet.run('migrate rehearse -t t01');
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('nothing to rehearse, no migration is pending\n')]);
});

describe('goes up to what cannot be rolled back, and says so:', () => {
  test.each([
    [
      'a file without a transaction',
      '0004_x.sql',
      '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY i ON one (id);',
    ],
    [
      'JavaScript without one',
      '0004_x.js',
      `exports.up = async (pgm) => { pgm.noTransaction();
      await pgm.db.query("INSERT INTO one VALUES (99)"); pgm.sql("CREATE TABLE alone ()"); };`,
    ],
    // The parser does not know what the server may know.
    ['what nobody understands, with a word in it', '0004_x.sql', 'CREATE TABLE alone (); COMMIT; FROBNICATE one;'],
  ])('%s', async (_what, file, text) => {
    const fleet = await fleetWithRelease({
      '0003_change.sql': 'ALTER TABLE one ADD x int;',
      [file]: text,
      '0005_later.sql': 'CREATE TABLE later ();',
    });
    const before = await stateOf(fleet);
    const report = await fleet.json('migrate rehearse --all --canary 2');
    expect(report.exitCode).toBe(0);
    expect(namesOf(rehearsalOf(report, 't02'))).toEqual(['0003_change']);
    expect(rehearsalOf(report, 't02')).toMatchObject({
      notRehearsed: ['0004_x', '0005_later'],
      locks: [{ relation: 'one', mode: 'AccessExclusiveLock' }],
    });
    expect(await stateOf(fleet)).toEqual(before);
    const { stdout } = await fleet.run('migrate rehearse --all');
    expect(stdout).toMatch(/^0004_x +0 +- +not rehearsed$/m);
    expect(stdout).toContain('not rehearsed: what runs without a transaction, or may end it by itself, and all that');
  });
});

describe('failures are those of a real run:', () => {
  test('an error has its place in the file, and the others are rehearsed', async () => {
    const fleet = await fleetWithRelease({ '0003_x.sql': 'CREATE TABLE made ();\nCREATE TABLE three ();' });
    await fleet.db.query('create table tenant_t02.three ()');
    const before = await stateOf(fleet);
    const report = await fleet.json('migrate rehearse --all --canary 3');
    expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 failed, t03 done']);
    expect(report.of('t02')).toMatchObject({
      step: '0003_x',
      error: { sqlState: '42P07', file: 'migrations/0003_x.sql', line: 2, column: 1 },
    });
    expect(await stateOf(fleet)).toEqual(before);
    const { exitCode, stdout } = await fleet.run('migrate rehearse -t t02');
    expect([exitCode, stdout]).toEqual([
      4,
      expect.stringContaining('retry: tenantctl migrate rehearse --tenant t02\n'),
    ]);
  });

  test('what only COMMIT would find is found', async () => {
    const fleet = await fleetWithRelease({
      '0003_fk.sql': `ALTER TABLE one ADD UNIQUE (id);
        ALTER TABLE two ADD FOREIGN KEY (id) REFERENCES one (id) DEFERRABLE INITIALLY DEFERRED;
        INSERT INTO two VALUES (77);`,
    });
    const report = await fleet.json('migrate rehearse --all');
    expect([report.exitCode, report.of('t01').step]).toEqual([4, 'checking deferred constraints']);
    expect(report.of('t01').error).toMatchObject({ sqlState: '23503' });
    expect(await fleet.db.query('select from tenant_t01.two')).toEqual([]);
  });

  test.each([
    'exports.up = async (pgm) => { await pgm.db.query("CREATE TABLE alone (); COMMIT"); };',
    'exports.up = (pgm) => { pgm.sql("CREATE TABLE alone (); COMMIT"); };',
  ])('JavaScript that commits is refused before it does: %s', async (text) => {
    const fleet = await fleetWithRelease({ '0003_x.js': text });
    const before = await stateOf(fleet);
    const report = await fleet.json('migrate rehearse --all');
    expect([report.exitCode, report.of('t01').error?.code]).toEqual([4, 'transaction-ended']);
    expect(await stateOf(fleet)).toEqual(before);
  });

  test('a history that is another one afterwards', async () => {
    const fleet = await fleetWithRelease({ '0003_held.sql': `${passBarrier};` }, 1);
    await fleet.writeInventory({ timeouts: patientTimeouts });
    const barrier = await makeBarrier(fleet.db);
    await barrier.close('tenant_t01');
    const rehearsal = fleet.start('migrate rehearse --all');
    await barrier.waiting(1);
    await fleet.db.query("insert into tenant_t01.pgmigrations (name, run_on) values ('by somebody', now())");
    await barrier.open('tenant_t01');
    const { exitCode, stdout } = await rehearsal.ended;
    expect([exitCode, stdout]).toEqual([4, expect.stringContaining('another one after the rehearsal was rolled back')]);
  });

  test('a statement that must not run, and an edited file, are refused', async () => {
    const fleet = await fleetWithRelease({ '0003_x.sql': 'CREATE EXTENSION hstore;' });
    expect((await fleet.run('migrate rehearse --all')).exitCode).toBe(5);
    await fleet.write('0003_x.sql', 'SELECT 1;');
    await fleet.write('0002_two.sql', 'SELECT 2;');
    expect((await fleet.run('migrate rehearse --all')).exitCode).toBe(5);
  });
});

describe('locks', () => {
  test('the tenant’s own is held meanwhile, and waited for', async () => {
    const fleet = await fleetWithRelease({ '0003_held.sql': `${passBarrier};` }, 1);
    await fleet.writeInventory({ timeouts: patientTimeouts });
    const barrier = await makeBarrier(fleet.db);
    await barrier.close('tenant_t01');
    const first = fleet.start('migrate rehearse --all');
    await barrier.waiting(1);
    const report = await fleet.json('migrate --all --lock-wait 0');
    expect([report.exitCode, report.of('t01').error?.code]).toEqual([4, 'locked']);
    const second = await fleet.json('migrate rehearse --all --lock-wait 0');
    expect([second.exitCode, second.of('t01').error?.code]).toEqual([4, 'locked']);
    await barrier.open('tenant_t01');
    expect((await first.ended).exitCode).toBe(0);
  });

  test('a table that the application keeps is given up after the lock timeout, and tried again', async () => {
    const fleet = await fleetWithRelease({ '0003_x.sql': 'ALTER TABLE one ADD x int;' }, 1);
    const reader = await fleet.db.connect({ application_name: 'shop' });
    await reader.query('begin; select from tenant_t01.one');
    const report = await fleet.json('migrate rehearse --all --lock-timeout 50ms --tries 2');
    await reader.end();
    expect([report.exitCode, report.of('t01').attempts]).toEqual([4, 2]);
    expect(report.of('t01')).toMatchObject({
      error: { sqlState: '55P03', file: 'migrations/0003_x.sql' },
      blockedBy: [{ application: 'shop' }],
    });
    expect((await fleet.json('migrate rehearse --all')).exitCode).toBe(0);
  });

  test('outside of the tenant’s schema a table has its schema’s name, and indexes are named when they say more', async () => {
    const fleet = await fleetWithRelease(
      {
        '0003_x.sql': `LOCK TABLE public.plans IN EXCLUSIVE MODE; REINDEX INDEX one_i; DROP INDEX two_i;
          COMMENT ON COLUMN two.id IS 'x';`,
      },
      1,
    );
    await fleet.db.query('create table public.plans (); create index one_i on tenant_t01.one (id)');
    await fleet.db.query('create index two_i on tenant_t01.two (id)');
    expect(rehearsalOf(await fleet.json('migrate rehearse --all')).locks).toEqual([
      { relation: 'one_i', mode: 'AccessExclusiveLock' },
      { relation: 'two', mode: 'AccessExclusiveLock' },
      { relation: 'public.plans', mode: 'ExclusiveLock' },
      { relation: 'one', mode: 'ShareLock' },
    ]);
  });
});

test('shared schemas are rehearsed before the tenants of their databases', async () => {
  const fleet = await createFleet({
    schemas: 2,
    migrations: { '0001_a.sql': 'CREATE TABLE a ();', 'shared/0001_s.sql': 'CREATE TABLE s ();' },
  });
  await fleet.writeInventory({
    shared: [{ server: 'main', database: fleet.db.name, schema: 'public', migrations: './migrations/shared' }],
  });
  const report = await fleet.json('migrate rehearse --all');
  expect([report.exitCode, report.summary]).toEqual([0, 't01 done']);
  expect(report.shared).toMatchObject([
    { schema: 'public', status: 'done', value: { migrations: [{ name: '0001_s' }] } },
  ]);
  expect(await fleet.tables()).toEqual([]);
  const { stdout } = await fleet.run('migrate rehearse --all');
  expect(stdout).toContain('rehearsed first; the tenants were rehearsed without what it makes:\n  MIGRATION');

  await fleet.write('shared/0001_s.sql', 'CREATE TABLE s (;');
  const failed = await fleet.json('migrate rehearse --all');
  expect([failed.exitCode, failed.of('t01').status]).toEqual([4, 'skipped']);
  expect(failed.of('t01').because).toContain('the shared schema of database');
});

test('preflight checks of what is rehearsed are made on the tenants that it is rehearsed on', async () => {
  const fleet = await fleetWithRelease({ '0003_x.sql': '-- tenantctl:preflight SELECT id FROM one\nSELECT 1;' });
  expect((await fleet.run('migrate rehearse --all')).exitCode).toBe(5);
  expect((await fleet.run('migrate rehearse -t t02')).exitCode).toBe(0);
});

test.each([
  ['migrate rehearse', 'no tenant is selected'],
  ['migrate rehearse --all --canary 0', '--canary 0 would rehearse nothing'],
  ['migrate rehearse --all --canary 0%', '--canary 0 would rehearse nothing'],
  ['migrate rehearse --all --canary some', '--canary takes a number or a percentage'],
  ['migrate rehearse --all --to 0009', 'no migration is named 0009'],
  ['migrate rehearse --all --fake', 'unknown option'],
])('%s is a usage error', async (argv, words) => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  const { exitCode, stderr } = await fleet.run(argv);
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining(words)]);
});
