import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeBarrier, passBarrier, patientTimeouts } from '../support/barrier.ts';
import { databaseUrl } from '../support/database.ts';
import { createFleet, readReport, type TestFleet } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';
import { startOwnCluster } from '../support/own-cluster.ts';

const migrations = { '0001_long.sql': `${passBarrier};`, '0002_two.sql': tableMigration('two') };
const names = ['0001_long', '0002_two'];

/** Runs, and does something while t01 stands in the middle. */
async function during(fleet: TestFleet, argv: string, work: (running: { stop: () => void }) => Promise<void>) {
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01');
  const running = fleet.start(`${argv} --json`);
  await barrier.waiting(1);
  await work({ stop: () => running.signal('SIGINT') });
  await barrier.open('tenant_t01');
  return readReport(await running.ended);
}

function patientFleet() {
  return createFleet({ schemas: 2, migrations, inventory: { timeouts: patientTimeouts } });
}

test('a tenant that is born during the run is migrated too, and belongs to the run', async () => {
  const fleet = await patientFleet();
  const report = await during(fleet, 'migrate --all', async () => {
    await fleet.db.query('create schema tenant_born');
  });
  expect([report.exitCode, report.summary]).toEqual([0, 't01 done, t02 done, born done']);
  expect(report.stderr).toContain('1 tenant more since the run began: born');
  expect(await fleet.history('tenant_born')).toEqual(names);
  const shown = await fleet.json(`migrate --from-run ${report.run} --outcome done`);
  expect(shown.outcomes.map(({ tenant }) => tenant)).toEqual(expect.arrayContaining(['born', 't01', 't02']));
});

test('--no-sweep leaves it alone, and so does a selection that it is not in', async () => {
  for (const argv of ['migrate --all --no-sweep', 'migrate -t t01 t02']) {
    const fleet = await patientFleet();
    const report = await during(fleet, argv, async () => void (await fleet.db.query('create schema tenant_born')));
    expect([argv, report.exitCode, report.summary]).toEqual([argv, 0, 't01 done, t02 done']);
    expect(await fleet.history('tenant_born')).toBeNull();
  }
});

test('a run that was interrupted looks for nobody', async () => {
  const fleet = await patientFleet();
  const report = await during(fleet, 'migrate --all', async ({ stop }) => {
    await fleet.db.query('create schema tenant_born');
    stop();
  });
  expect([report.exitCode, report.summary]).toEqual([130, 't01 done, t02 done']);
  expect(await fleet.history('tenant_born')).toBeNull();
});

test('one that cannot be migrated fails alone', async () => {
  const fleet = await patientFleet();
  const report = await during(fleet, 'migrate --all', async () => {
    await fleet.db.query('create schema tenant_born; create table tenant_born.two (id int)');
  });
  expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 done, born failed']);
  expect(report.of('born').error).toMatchObject({ sqlState: '42P07', file: 'migrations/0002_two.sql' });
});

test('one whose history shows another text of a file fails alone: what was done is reported', async () => {
  const fleet = await patientFleet();
  await fleet.run('migrate -t t02');
  const report = await during(fleet, 'migrate --all', async () => {
    await fleet.db.query(`create schema tenant_born;
      create table tenant_born.pgmigrations as select * from tenant_t02.pgmigrations;
      update tenant_born.pgmigrations set checksum = 'edited' where name = '0001_long'`);
  });
  expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 done, born failed']);
  expect(report.of('born').error?.message).toContain('edited');
});

test('a source that cannot be read any more: what was done is reported, and that nobody could look', async () => {
  const fleet = await patientFleet();
  await fleet.db.query(`create table registry (id text, server text, database text, schema text);
    insert into registry select 'r' || n, 'main', current_database(), 'tenant_t0' || n from generate_series(1, 2) n`);
  const query = 'select id, server, database, schema from registry';
  await fleet.writeInventory({ discover: [{ server: 'main', database: fleet.db.name, query }] });
  const report = await during(fleet, 'migrate --all', async () => void (await fleet.db.query('drop table registry')));
  expect([report.exitCode, report.summary]).toEqual([3, 'r1 done, r2 done']);
  expect(report.sources).toMatchObject([{ server: 'main', database: fleet.db.name, error: { sqlState: '42P01' } }]);
  expect(report.stderr).toContain('born');
});

test('one that a preflight check complains of fails, and nothing runs on it', async () => {
  const fleet = await patientFleet();
  await fleet.write(
    '0002_two.sql',
    "-- tenantctl:preflight SELECT 1 WHERE current_schema() = 'tenant_born'\nDROP TABLE two;",
  );
  await fleet.db.query('create table tenant_t01.two (); create table tenant_t02.two ()');
  const report = await during(fleet, 'migrate --all', async () => {
    await fleet.db.query('create schema tenant_born; create table tenant_born.two ()');
  });
  expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 done, born failed']);
  expect(report.of('born').error).toMatchObject({
    code: 'refused',
    detail: expect.stringContaining('0002_two.sql:1: 1 of 1 tenant: born'),
  });
  expect(await fleet.history('tenant_born')).toBeNull();
  expect(await fleet.tables()).toEqual(['tenant_born.two']);
});

test('a password that is not to be had any more: what was done is reported, and that nobody could look', async () => {
  const cluster = await startOwnCluster();
  const fleet = await patientFleet();
  const password = join(fleet.folder, 'password');
  await writeFile(password, 'secret');
  const tenants = [1, 2].map((n) => `('t0${n}', 'main', '${fleet.db.name}', 'tenant_t0${n}')`);
  await cluster.query(
    'postgres',
    `create role guarded login password 'secret';
     create table registry (id, server, database, schema) as values ${tenants.join()}; grant select on registry to guarded`,
  );
  const url = (database: string) =>
    `postgres://guarded@${encodeURIComponent(cluster.socketDir)}:${cluster.port}/${database}`;
  await fleet.writeInventory({
    servers: { main: { url: databaseUrl('postgres') }, own: { url: url('postgres'), password: { file: password } } },
    discover: [{ server: 'own', database: 'postgres', query: 'select id, server, database, schema from registry' }],
  });
  const report = await during(fleet, 'migrate --all', async () => {
    await rm(password);
    // Who looks again must log in again.
    await cluster.query('postgres', "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'guarded'");
  });
  expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 done']);
  expect(report.sources).toMatchObject([{ server: 'own', error: { message: expect.stringContaining(password) } }]);
  expect(report.stderr).toContain('nobody knows whether tenants were born during the run');
});

test('a tenant that was held back before the run began keeps nobody else from it', async () => {
  const fleet = await createFleet({
    schemas: 2,
    databases: 1,
    migrations: { ...migrations, 'shared/0001_broken.sql': 'DROP TABLE nothing;' },
    inventory: { timeouts: patientTimeouts },
  });
  const [database = ''] = fleet.databases;
  const shared = [{ server: 'main', database, schema: 'common', migrations: './migrations/shared' }];
  await fleet.writeInventory({ shared, rollout: { healthSql: 'SELECT 1' } });
  const report = await during(
    fleet,
    'migrate --all',
    async () => void (await fleet.db.query('create schema tenant_born')),
  );
  expect(report.summary).toBe('d01 skipped, t01 done, t02 done, born done');
  expect(report).toMatchObject({ health: expect.stringContaining('2 of 2 tenants complain') });
});

test('after a run that was stopped it is said that nobody looked', async () => {
  const fleet = await createFleet({ schemas: 2, migrations });
  await fleet.db.query('create table tenant_t01.two ()');
  const report = await fleet.json('migrate --all --canary 1');
  expect(report.summary).toBe('t01 failed, t02 skipped');
  expect(report.stderr).toContain('the run was stopped: nobody looked for tenants that were born during it');
  const other = await fleet.run(['migrate', '--all', '--canary', '1', '--no-sweep', '--health-sql', 'SELECT 1']);
  expect(other.stderr).toContain('the run was stopped: no last health check was made');
});
