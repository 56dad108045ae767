import { describe, expect, test } from 'vitest';
import { createFleet, readReport } from '../support/fleet.ts';
import { tableMigration, threeTables } from '../support/migrations.ts';
import { openProxy } from '../support/proxy.ts';

const alone = '-- tenantctl:no-transaction\n';

/** A fleet of one tenant whose connections go through a proxy. */
async function fleetBehindProxy(migrations: Readonly<Record<string, string>>) {
  const proxy = await openProxy();
  const url = (database: string) => `postgres://postgres@127.0.0.1:${proxy.port}/${database}?sslmode=disable`;
  const fleet = await createFleet({ schemas: 1, migrations, url });
  return { fleet, proxy };
}

/** Runs with a connection that is lost at the nth COMMIT of the tenant. */
async function losingCommit({ fleet, proxy }: Fault, moment: 'before' | 'after', nth = 1, argv = 'migrate --all') {
  proxy.cutAtCommit(moment, nth);
  const report = readReport(await fleet.run(`${argv} --json`));
  expect(report.stderr).toMatch(/server main: .*; trying again in/);
  return { ...report, tenant: report.of('t01') };
}

type Fault = Awaited<ReturnType<typeof fleetBehindProxy>>;

const names = ['0001_one', '0002_two', '0003_three'];

describe.each(['before', 'after'] as const)('the connection is lost %s the server has committed', (moment) => {
  test('one transaction: done with the second attempt, whichever of them it was', async () => {
    const fault = await fleetBehindProxy(threeTables);
    const { exitCode, tenant } = await losingCommit(fault, moment);
    expect([exitCode, tenant.status, tenant.attempts]).toEqual([0, 'done', 2]);
    expect(tenant.value).toEqual({ from: null, to: '0003_three', applied: names });
    expect(await fault.fleet.history('tenant_t01')).toEqual(names);
  });

  test('on the way down', async () => {
    const fault = await fleetBehindProxy(threeTables);
    await fault.fleet.run('migrate --all');
    const { tenant } = await losingCommit(fault, moment, 1, 'migrate down --all --count 2 --yes');
    expect(tenant).toMatchObject({ status: 'done', attempts: 2 });
    expect(tenant.value).toEqual({ from: '0003_three', to: '0001_one', reverted: ['0003_three', '0002_two'] });
    expect(await fault.fleet.tables()).toEqual(['tenant_t01.one']);
  });

  test('before a migration without a transaction: both are told', async () => {
    const fault = await fleetBehindProxy({
      '0001_one.sql': tableMigration('one'),
      '0002_two.sql': `${alone}CREATE TABLE two (id int);`,
    });
    const { tenant } = await losingCommit(fault, moment);
    expect(tenant).toMatchObject({ status: 'done', attempts: 2 });
    expect(tenant.value).toEqual({ from: null, to: '0002_two', applied: ['0001_one', '0002_two'] });
    expect(await fault.fleet.tables()).toEqual(['tenant_t01.one', 'tenant_t01.two']);
  });
});

const withPartBefore = {
  '0001_one.sql': `${alone}CREATE TABLE one (id int);`,
  '0002_two.sql': tableMigration('two'),
};

test('after a migration without a transaction, not committed: failed, says what stays, and is not run again', async () => {
  const fault = await fleetBehindProxy(withPartBefore);
  // The first one ends the transaction in which the tenant was looked at.
  const { exitCode, tenant } = await losingCommit(fault, 'before', 2);
  expect([exitCode, tenant.status]).toEqual([4, 'failed']);
  expect(tenant.error).toMatchObject({
    sqlState: '08006',
    detail: 'already committed on this tenant: 0001_one',
    hint: expect.stringContaining('run the same command again'),
  });
  expect(await fault.fleet.history('tenant_t01')).toEqual(['0001_one']);
  const again = await fault.fleet.json('migrate --all');
  expect(again.of('t01').value).toEqual({ from: '0001_one', to: '0002_two', applied: ['0002_two'] });
});

test('after a migration without a transaction, committed: done', async () => {
  const fault = await fleetBehindProxy(withPartBefore);
  const { exitCode, tenant } = await losingCommit(fault, 'after', 2);
  expect([exitCode, tenant.status, tenant.attempts]).toEqual([0, 'done', 2]);
  expect(tenant.value).toEqual({ from: null, to: '0002_two', applied: ['0001_one', '0002_two'] });
  expect(await fault.fleet.history('tenant_t01')).toEqual(['0001_one', '0002_two']);
});

test('in stages that keep apart: each is decided for itself', async () => {
  // An expression index waits for a backfill, so the tenant gives its turn back in between.
  const fault = await fleetBehindProxy({
    '0001_one.sql': 'CREATE TABLE one (id int, name text);',
    '0002_fill.sql': 'UPDATE one SET id = 1;',
    '0003_index.sql': `${alone}CREATE INDEX CONCURRENTLY one_lower ON one (lower(name));`,
    '0004_two.sql': tableMigration('two'),
  });
  const applied = ['0001_one', '0002_fill', '0003_index', '0004_two'];
  const { tenant } = await losingCommit(fault, 'after', 1);
  expect([tenant.status, tenant.attempts, tenant.value?.applied]).toEqual(['done', 2, applied]);
  expect(await fault.fleet.history('tenant_t01')).toEqual(applied);
});

test.each(['before', 'after'] as const)('of a baseline, lost %s the server has committed: done', async (moment) => {
  const fault = await fleetBehindProxy(threeTables);
  await fault.fleet.db.query('create table tenant_t01.one (id int)');
  const argv = 'migrate baseline --all --at 0003 --accept-differences --yes';
  // The first one ends the comparison.
  const { exitCode, tenant } = await losingCommit(fault, moment, 2, argv);
  expect([exitCode, tenant.status, tenant.attempts]).toEqual([0, 'done', 2]);
  expect(tenant.value).toMatchObject({ at: '0003_three', recorded: names });
  expect(await fault.fleet.history('tenant_t01')).toEqual(names);
});
