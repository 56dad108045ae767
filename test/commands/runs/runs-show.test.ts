import { expect, test } from 'vitest';
import { createFleet } from '../../support/fleet.ts';
import { threeTables } from '../../support/migrations.ts';
import { forgetOutcomes, inAMinute, rewriteManifest } from '../../support/records.ts';
import { jsonOf } from '../../support/run-cli.ts';

/** Two of 50 tenants have failed for one cause, one for another. */
async function failedFleet() {
  const fleet = await createFleet({ schemas: 50, migrations: threeTables });
  await fleet.db.query(
    'create table tenant_t13.two (); create table tenant_t14.two (); create table tenant_t40.one ()',
  );
  const { run } = await fleet.json('migrate --all --to 0002 --max-same-cause 0');
  return { fleet, run: run! };
}

const alreadyThere = '  hint: it was made outside these migrations, or by an older run that was not one transaction';

test('shows what the run was to do, how many are done, failures by cause, and what to do next', async () => {
  const { fleet, run } = await failedFleet();
  const { exitCode, stdout } = await fleet.run(`runs show ${run.slice(-4)}`);
  expect(exitCode).toBe(0);
  const lines = stdout.split('\n');
  expect(lines[0]).toBe(`run ${run}: migrate, environment test`);
  expect(lines[1]).toMatch(/^finished after \d/);
  expect(lines[2]).toMatch(/^started \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC on \S+, by version 0\.0\.0-test$/);
  expect(lines[3]).toMatch(/^with --all( --to 0002| --max-same-cause 0){2}$/);
  expect(lines.slice(4)).toEqual([
    'target 0002_two',
    '50 tenants: 47 done, 3 failed',
    '',
    '2 tenants: 42P07 relation "two" already exists (migrations/0002_two.sql:2)',
    '  t13 and t14',
    alreadyThere,
    '1 tenant: 42P07 relation "one" already exists (migrations/0001_one.sql:2)',
    '  t40',
    alreadyThere,
    '',
    `carry on: tenantctl runs resume ${run}`,
    '',
  ]);
});

test('--verbose has a line for each tenant', async () => {
  const { fleet, run } = await failedFleet();
  const { stdout } = await fleet.run(`runs show ${run} -v`);
  expect(stdout.match(/^t\d\d {2}(done|failed) in /gm)).toHaveLength(50);
});

test('--json has all of it, and exits 0', async () => {
  const { fleet, run } = await failedFleet();
  const result = await fleet.run(`runs show ${run} --json`);
  const document = jsonOf<{ exitCode: number; run: string; record: Record<string, unknown> }>(result);
  expect([result.exitCode, document.exitCode, document.run]).toEqual([0, 0, run]);
  const { tenants, ...record } = document.record as { tenants: { tenant: string; status: string }[] };
  expect(record).toMatchObject({
    run,
    command: 'migrate',
    environment: 'test',
    state: 'finished',
    interrupted: false,
    target: '0002_two',
    flags: { all: true, to: '0002' },
    totals: { tenants: 50, done: 47, failed: 3, interrupted: 0, skipped: 0, hibernated: 0, unsettled: 0 },
    shared: [],
  });
  expect(tenants.map(({ tenant }) => tenant)[12]).toBe('t13');
  expect(tenants[12]).toMatchObject({ status: 'failed', schema: 'tenant_t13', error: { sqlState: '42P07' } });
  expect(tenants[0]).toMatchObject({ status: 'done', value: { to: '0002_two' } });
});

test('one cause in the tenants’ own words is one cause', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  await fleet.writeInventory({ role: 'no_{schema}' });
  const { run } = await fleet.json('migrate --all --max-same-cause 0');
  const { stdout } = await fleet.run(`runs show ${run}`);
  expect(stdout).toMatch(/^3 tenants: 22023 role .*\n {2}t01, t02 and t03$/m);
});

test('tenants that were stopped before they began, with the reason', async () => {
  const fleet = await createFleet({ schemas: 6, migrations: threeTables });
  await fleet.db.query('create table tenant_t01.one ()');
  const { run } = await fleet.json('migrate --all --canary 1');
  const { stdout } = await fleet.run(`runs show ${run}`);
  expect(stdout).toContain('6 tenants: 1 failed, 5 not started\n');
  expect(stdout).toMatch(/^5 tenants never started: .+\n {2}t02, t03, t04 and 2 more$/m);
});

test('a run that went well says no more', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  const { run } = await fleet.json('migrate --all --no-check-order -t t01 t02');
  const { stdout } = await fleet.run(`runs show ${run}`);
  expect(stdout).toMatch(/^with .*--no-check-order/m);
  expect(stdout).toMatch(/2 tenants: 2 done\n$/);
});

test('a manifest of an earlier version still reads', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  const { run } = await fleet.json('migrate --all');
  await forgetOutcomes(fleet, run!);
  await rewriteManifest(fleet, run!, ({ flags: _, host: __, ...manifest }) => ({ ...manifest, options: {} }));
  const { exitCode, stdout } = await fleet.run(`runs show ${run}`, inAMinute);
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('2 tenants: 2 unsettled\n')]);
});

test('an unknown run is one clear line, with a hint', async () => {
  const fleet = await createFleet({});
  expect(await fleet.run('runs show zzzz')).toMatchObject({
    exitCode: 2,
    stdout: '',
    stderr: 'error: no run zzzz is recorded\nhint: see which runs are recorded with: tenantctl runs list\n',
  });
});
