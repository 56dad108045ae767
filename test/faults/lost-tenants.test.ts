import { expect, test } from 'vitest';
import { makeBarrier, passBarrier, patientTimeouts } from '../support/barrier.ts';
import { closedPort } from '../support/closed-port.ts';
import { asSuperuser } from '../support/database.ts';
import { createFleet, readReport } from '../support/fleet.ts';
import { tableMigration, threeTables } from '../support/migrations.ts';
import { startOwnCluster } from '../support/own-cluster.ts';
import { spawnCli } from '../support/spawn-cli.ts';

test('what vanishes between the survey and its turn is a failure of its own', async () => {
  const fleet = await createFleet({
    schemas: 5,
    databases: 1,
    migrations: { '0000_one.sql': tableMigration('one'), '0001_long.sql': `${passBarrier};` },
    inventory: { timeouts: patientTimeouts },
  });
  // t02 to t05 have a history when they are surveyed.
  await fleet.run('migrate -t t02 t03 t04 t05 --to 0000');
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01');
  const running = fleet.start('migrate -t t01 t02 t03 t04 t05 d01 --concurrency 1 --json');
  await barrier.waiting(1);
  await fleet.db.query('drop schema tenant_t02 cascade');
  await fleet.db.query('drop table tenant_t03.pgmigrations, tenant_t03.one');
  await fleet.db.query('drop schema tenant_t04 cascade; create schema tenant_t04');
  // The run has an idle session there, from the survey.
  await asSuperuser((admin) => admin.query(`drop database ${fleet.databases[0]} with (force)`));
  await barrier.open('tenant_t01');
  const report = readReport(await running.ended);
  expect(report.exitCode).toBe(3);
  expect(report.of('t02')).toMatchObject({
    status: 'failed',
    error: { code: 'schema-missing', hint: expect.any(String) },
  });
  expect(report.of('d01')).toMatchObject({ status: 'failed', error: { sqlState: '3D000', hint: expect.any(String) } });
  // Made anew meanwhile: planned anew.
  for (const tenant of ['t03', 't04']) {
    expect(report.of(tenant)).toMatchObject({ status: 'done', value: { applied: ['0000_one', '0001_long'] } });
  }
  expect(report.of('t05')).toMatchObject({ status: 'done', value: { applied: ['0001_long'] } });
  expect((await fleet.tables()).filter((table) => table.startsWith('public.'))).toEqual([]);
});

test('a history that another tool moves on meanwhile is read again, and a diverged one stops its tenant', async () => {
  const fleet = await createFleet({
    schemas: 3,
    migrations: { '0001_long.sql': `${passBarrier};`, '0002_two.sql': tableMigration('two') },
    inventory: { timeouts: patientTimeouts },
  });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01');
  const running = fleet.start('migrate --all --concurrency 1 --json');
  await barrier.waiting(1);
  const history = 'pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null)';
  await fleet.db.query(`create table tenant_t02.${history}; create table tenant_t03.${history};
    insert into tenant_t02.pgmigrations (name, run_on) values ('0001_long', now());
    insert into tenant_t03.pgmigrations (name, run_on) values ('0002_two', now());`);
  await barrier.open('tenant_t01');
  const report = readReport(await running.ended);
  expect(report.of('t02')).toMatchObject({ status: 'done', value: { from: '0001_long', applied: ['0002_two'] } });
  expect(report.of('t03')).toMatchObject({ status: 'failed', error: { code: 'out-of-order' } });
  expect(await fleet.history('tenant_t03')).toEqual(['0002_two']);
});

async function fleetWithAServerDown() {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  const { url } = fleet.db;
  await fleet.writeInventory({
    servers: { main: { url }, down: { url: `postgres://x@127.0.0.1:${await closedPort()}/x` } },
    tenants: [
      { id: 'x', server: 'down', database: 'x' },
      { id: 'y', server: 'down', database: 'y' },
    ],
  });
  return fleet;
}

test('a server that is down refuses a command that changes things, before anything is changed', async () => {
  const fleet = await fleetWithAServerDown();
  for (const argv of ['migrate --all', 'migrate down --all --yes']) {
    const { exitCode, stdout, stderr } = await fleet.run(argv);
    expect([argv, exitCode, stdout]).toEqual([argv, 5, '']);
    expect(stderr).toContain('server down');
    expect(stderr).toContain('--skip-unreachable');
  }
  expect(await fleet.history('tenant_t01')).toBeNull();
  expect((await fleet.json('migrate --all --server main')).exitCode).toBe(0);
});

test('--skip-unreachable goes on without it, and says whom it left out', async () => {
  const fleet = await fleetWithAServerDown();
  const report = await fleet.json('migrate --all --skip-unreachable');
  expect([report.exitCode, report.summary]).toEqual([3, 'x skipped, y skipped, t01 done, t02 done']);
  expect(report.of('x')).toMatchObject({ reason: 'not-started', because: 'server down cannot be reached' });
  expect(report.sources).toMatchObject([{ server: 'down', skipped: true, error: { code: 'ECONNREFUSED' } }]);
});

test('commands that read go on, and end with 3', async () => {
  const fleet = await fleetWithAServerDown();
  for (const argv of ['migrate status --all', 'migrate plan --all', 'migrate --all --dry-run']) {
    const report = await fleet.json(argv);
    expect([argv, report.exitCode, report.summary]).toEqual([argv, 3, 'x failed, y failed, t01 done, t02 done']);
    expect(report.of('x').error).toMatchObject({ code: 'ECONNREFUSED', hint: expect.any(String) });
  }
});

test('a source of tenants that cannot be read refuses a change, also when no tenant of it is known', async () => {
  const fleet = await fleetWithAServerDown();
  await fleet.writeInventory({
    servers: { main: { url: fleet.db.url }, down: { url: `postgres://x@127.0.0.1:${await closedPort()}/x` } },
    discover: [
      { server: 'main', database: fleet.db.name, schemas: 'tenant_*' },
      { server: 'down', database: 'x', schemas: 'tenant_*' },
    ],
  });
  expect((await fleet.run('migrate --all')).exitCode).toBe(5);
  expect(await fleet.history('tenant_t01')).toBeNull();
  const status = await fleet.json('migrate status --all');
  expect([status.exitCode, status.summary]).toEqual([3, 't01 done, t02 done']);
  const skipping = await fleet.json('migrate --all --skip-unreachable');
  expect(skipping.summary).toBe('t01 done, t02 done');
  expect(skipping.sources).toMatchObject([{ server: 'down', database: 'x', skipped: true }]);
});

test('a database that is missing is its tenant’s affair, and no server is called down for it', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  await fleet.writeInventory({ tenants: [{ id: 'a', server: 'main', database: `${fleet.db.name}_no` }] });
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([3, 'a failed, t01 done']);
  expect(report.of('a').error).toMatchObject({ sqlState: '3D000' });
});

test('a login that one database refuses does not make its server unreachable; one that all refuse does', async () => {
  const cluster = await startOwnCluster();
  await cluster.query('postgres', 'create database refused');
  await cluster.query('postgres', 'create database taken');
  const fleet = await createFleet({ migrations: threeTables });
  const tenants = ['refused', 'taken'].map((database) => ({ id: database, server: 'main', database }));
  await fleet.writeInventory({ servers: { main: { url: cluster.url('postgres') } }, tenants });
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([3, 'refused failed, taken done']);
  expect(report.of('refused').error).toMatchObject({ sqlState: '28000' });
  expect((await fleet.run('migrate -t refused')).exitCode).toBe(5);
});

test('a mistake that is found while discovery is under way ends the process', async () => {
  const fleet = await createFleet({ schemas: 1, databases: 1, inventory: { migrations: './no-such-folder' } });
  const { exitCode, stderr } = await spawnCli('migrate status --all', fleet.folder).ended;
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining('no-such-folder')]);
});
