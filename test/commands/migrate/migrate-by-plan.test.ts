import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { tableMigration, threeTables } from '../../support/migrations.ts';

async function planned(schemas = 3): Promise<TestFleet> {
  const fleet = await createFleet({ schemas, migrations: threeTables });
  expect((await fleet.run('migrate plan --all --out plan.json')).exitCode).toBe(0);
  return fleet;
}

const nameOf = (file: string) => file.replace('.sql', '');

describe('migrate --plan', () => {
  it('runs what was planned, and nothing that came since: neither files nor tenants', async () => {
    const fleet = await planned();
    await fleet.write('0004_four.sql', tableMigration('four'));
    await fleet.db.query('create schema tenant_new');
    const { exitCode, stdout, stderr } = await fleet.run('migrate --plan plan.json --json');
    expect(exitCode).toBe(0);
    expect(stderr).toContain('1 tenant not in the plan, left alone: new');
    const { outcomes } = JSON.parse(stdout) as { outcomes: { tenant: string; value: { to: string } }[] };
    expect(outcomes.map(({ tenant, value }) => `${tenant} ${value.to}`)).toEqual([
      't01 0003_three',
      't02 0003_three',
      't03 0003_three',
    ]);
    expect(await fleet.history('tenant_new')).toBeNull();
  });

  it('refuses when a file has changed, or a tenant stands elsewhere, and changes nothing', async () => {
    const fleet = await planned();
    await fleet.write('0002_two.sql', `${threeTables['0002_two.sql']}-- edited\n`);
    await fleet.run('migrate -t t02 --to 0001');
    const report = await fleet.json('migrate --plan plan.json');
    expect(report.exitCode).toBe(5);
    expect(report.error?.details).toEqual([
      'migrations/0002_two.sql was changed since the plan was made',
      '1 tenant planned from no history, now at 0001_one: t02',
    ]);
    expect(await fleet.tables()).toEqual(['tenant_t02.one']);
  });

  it('refuses when a tenant has got what the plan cannot stand on, and changes nobody', async () => {
    const fleet = await planned(2);
    await fleet.run('migrate -t t02 --to 0001');
    expect((await fleet.run('migrate plan --all --out plan.json')).exitCode).toBe(0);
    await fleet.db.query("insert into tenant_t02.pgmigrations (name, run_on) values ('0001_hotfix', now())");
    const report = await fleet.json('migrate --plan plan.json');
    expect([report.exitCode, report.error?.details]).toEqual([
      5,
      [expect.stringMatching(/^1 tenant that cannot be planned any more \(0001_hotfix was applied .*\): t02$/)],
    ]);
    expect(await fleet.history('tenant_t01')).toBeNull();
  });

  it('run again, does what it has not done yet', async () => {
    const fleet = await planned(3);
    await fleet.db.query('create table tenant_t02.two ()');
    expect((await fleet.json('migrate --plan plan.json')).summary).toBe('t01 done, t02 failed, t03 done');
    await fleet.db.query('drop table tenant_t02.two');
    const again = await fleet.json('migrate --plan plan.json');
    expect(again.outcomes.map(({ value }) => value?.applied)).toEqual([[], Object.keys(threeTables).map(nameOf), []]);
    expect((await fleet.json('migrate --plan plan.json')).exitCode).toBe(0);
  });

  it('that failed on some is carried on with the printed command, and runs nothing that was not reviewed', async () => {
    const fleet = await planned(2);
    await fleet.db.query('create table tenant_t02.two ()');
    const { stdout } = await fleet.run('migrate --plan plan.json');
    const retry = /retry: tenantctl (runs resume \S+)/.exec(stdout)?.[1];
    await fleet.db.query('drop table tenant_t02.two');
    await fleet.write('0002_between.sql', tableMigration('between'));
    await fleet.write('0004_four.sql', tableMigration('four'));
    const report = await fleet.json(retry!);
    expect(report.of('t02').value?.applied).toEqual(Object.keys(threeTables).map(nameOf));
  });

  it.each([
    ['--count 1', 1],
    ['--no-check-order', 3],
  ])('made with %s is carried on as it was made', async (flags, height) => {
    const fleet = await createFleet({ schemas: 2, migrations: threeTables });
    if (flags === '--no-check-order') {
      await fleet.write('0001_one.sql', null);
      await fleet.run('migrate --all --to 0002');
      await fleet.write('0001_one.sql', threeTables['0001_one.sql']!);
    }
    expect((await fleet.run(`migrate plan --all --out plan.json ${flags}`)).exitCode).toBe(0);
    await fleet.db.query('create table tenant_t02.one ()');
    const { run } = await fleet.json('migrate --plan plan.json');
    await fleet.db.query('drop table tenant_t02.one');
    expect((await fleet.json(`runs resume ${run}`)).summary).toBe('t02 done');
    expect(await fleet.history('tenant_t02')).toHaveLength(height);
  });

  it('refuses the plan of another environment', async () => {
    const fleet = await planned(1);
    await fleet.writeInventory({ environment: 'staging' });
    const { exitCode, stderr } = await fleet.run('migrate --plan plan.json');
    expect([exitCode, stderr]).toEqual([5, expect.stringContaining('the plan is for the environment test')]);
  });

  it.each([
    ['--all', '--plan names the tenants itself'],
    ['-t t01', '--plan names the tenants itself'],
    ['--to 0002', '--plan says itself what is run'],
    ['--fake', '--plan says itself what is run'],
  ])('beside %s is a mistake of the caller', async (flags, message) => {
    const fleet = await createFleet({ schemas: 1, migrations: threeTables });
    const { exitCode, stderr } = await fleet.run(`migrate --plan plan.json ${flags}`);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it('shows with --dry-run what it would do', async () => {
    const fleet = await planned(2);
    const { exitCode, stdout } = await fleet.run('migrate --plan plan.json --dry-run');
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('2 tenants from no history to 0003_three')]);
    expect(await fleet.tables()).toEqual([]);
  });

  it('takes no file that is no plan', async () => {
    const fleet = await createFleet({ schemas: 1, migrations: threeTables });
    for (const file of ['tenants.yaml', 'no-such.json']) {
      const { exitCode, stderr } = await fleet.run(`migrate --plan ${file}`);
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining(`the plan ${file}`)]);
    }
    expect(await readFile(join(fleet.folder, 'tenants.yaml'), 'utf8')).toContain('version');
  });
});
