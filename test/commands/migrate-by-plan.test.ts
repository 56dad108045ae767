import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFleet, type TestFleet } from '../support/fleet.ts';
import { tableMigration, threeTables } from '../support/migrations.ts';

async function planned(schemas = 3): Promise<TestFleet> {
  const fleet = await createFleet({ schemas, migrations: threeTables });
  expect((await fleet.run('migrate plan --all --out plan.json')).exitCode).toBe(0);
  return fleet;
}

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
