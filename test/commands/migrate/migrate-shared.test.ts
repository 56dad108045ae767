import { expect, test } from 'vitest';
import { createFleet } from '../../support/fleet.ts';

async function sharedFleet(shared: string, spec: { schemas: number; databases: number }) {
  const fleet = await createFleet({
    ...spec,
    migrations: {
      '0001_uses.sql': 'CREATE TABLE uses (country int REFERENCES public.countries);',
      'shared/0001_countries.sql': 'CREATE TABLE countries (id int PRIMARY KEY);',
      'shared/0002_more.sql': shared,
    },
  });
  await fleet.writeInventory({
    shared: [{ server: 'main', database: fleet.db.name, schema: 'public', migrations: './migrations/shared' }],
  });
  return fleet;
}

test('what tenants share comes first and once; extensions, roles and publications belong there', async () => {
  const fleet = await sharedFleet(
    `CREATE EXTENSION IF NOT EXISTS plpgsql;
     DO $$ BEGIN CREATE ROLE x; DROP ROLE x; END $$;
     CREATE PUBLICATION p; CREATE TABLE public.last (id int);`,
    { schemas: 3, databases: 0 },
  );
  const plan = await fleet.run('migrate plan --all');
  expect(plan.stdout).toContain(`shared schema public in main/${fleet.db.name}, first of all:
  + migrations/shared/0001_countries.sql`);
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([0, 't01 done, t02 done, t03 done']);
  expect(report.shared).toMatchObject([{ schema: 'public', status: 'done', value: { to: '0002_more' } }]);
  expect(await fleet.history('public')).toEqual(['0001_countries', '0002_more']);
  const status = await fleet.run('migrate status --all');
  expect(status.stdout).toContain(`shared schema public in main/${fleet.db.name}: at 0002_more`);
  // The tenants that share it are up to date: it is looked after all the same.
  await fleet.write('shared/0003_new.sql', 'CREATE TABLE new (id int);');
  expect((await fleet.json('migrate --all')).exitCode).toBe(0);
  expect(await fleet.history('public')).toHaveLength(3);
});

test('a role can be made in what databases share, although it belongs to the server', async () => {
  const fleet = await sharedFleet('SELECT 1;', { schemas: 1, databases: 0 });
  const role = `${fleet.db.name}_r`;
  await fleet.write('shared/0002_more.sql', `CREATE ROLE ${role}; DROP ROLE ${role};`);
  expect((await fleet.json('migrate --all')).exitCode).toBe(0);
});

test('when it fails its tenants are not started, the others go on, and the retry does them', async () => {
  const fleet = await sharedFleet('\nDROP TABLE nothing;', { schemas: 2, databases: 1 });
  await fleet.write('0001_uses.sql', 'CREATE TABLE uses (id int);');
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([3, 'd01 done, t01 skipped, t02 skipped']);
  expect(report.of('t01')).toMatchObject({ reason: 'not-started', because: expect.stringContaining('shared schema') });
  expect(report.shared).toMatchObject([
    { status: 'failed', error: { sqlState: '42P01', file: 'migrations/shared/0002_more.sql', line: 2 } },
  ]);
  expect(await fleet.tables()).toEqual([]);
  const table = await fleet.run('migrate --all');
  expect(table.exitCode).toBe(3);
  expect(table.stdout).toContain('table "nothing" does not exist');

  await fleet.write('shared/0002_more.sql', 'SELECT 1;');
  const retried = await fleet.json(`migrate --from-run ${report.run} --outcome skipped`);
  expect([retried.exitCode, retried.summary]).toEqual([0, 't01 done, t02 done']);
});

test('a shared schema whose tenants are all current, and that fails, does not look like success', async () => {
  const fleet = await sharedFleet('SELECT 1;', { schemas: 1, databases: 0 });
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
  await fleet.write('shared/0003_bad.sql', 'DROP TABLE nothing;');
  const report = await fleet.json('migrate --all');
  expect(report.shared).toMatchObject([{ status: 'failed' }]);
  expect([report.exitCode, report.summary]).toEqual([4, 't01 skipped']);
  expect((await fleet.run('migrate --all')).stdout).not.toContain('nothing to do');
});

test('what is shared by a database without selected tenants is left alone', async () => {
  const fleet = await sharedFleet('SELECT 1;', { schemas: 1, databases: 1 });
  await fleet.write('0001_uses.sql', 'SELECT 1;');
  expect((await fleet.json('migrate -t d01')).exitCode).toBe(0);
  expect(await fleet.history('public')).toBeNull();
});

test('status --check finds what is pending in a shared schema', async () => {
  const fleet = await sharedFleet('SELECT 1;', { schemas: 1, databases: 0 });
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
  expect((await fleet.run('migrate status --all --check')).exitCode).toBe(0);
  await fleet.write('shared/0003_new.sql', 'CREATE TABLE new (id int);');
  const report = await fleet.json('migrate status --all --check');
  expect([report.exitCode, report.totals.findings]).toEqual([1, 1]);
  expect(report.shared).toMatchObject([{ schema: 'public', value: { pending: ['0003_new'] } }]);
});

test('an edited file of a shared schema is repaired like those of tenants', async () => {
  const fleet = await sharedFleet('SELECT 1;', { schemas: 1, databases: 0 });
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
  await fleet.write('shared/0002_more.sql', 'SELECT 2;');
  expect((await fleet.run('migrate --all')).exitCode).toBe(5);
  const report = await fleet.json('migrate repair --all --yes');
  expect([report.exitCode, report.summary]).toEqual([0, 't01 done']);
  expect(report.shared).toMatchObject([{ schema: 'public', value: { repaired: ['0002_more'] } }]);
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
});

test('a plan says that a shared schema holds its tenants back, as the run would', async () => {
  const fleet = await sharedFleet('SELECT 1;', { schemas: 2, databases: 1 });
  await fleet.write('0001_uses.sql', 'CREATE TABLE uses (id int);');
  await fleet.writeInventory({
    shared: [{ server: 'main', database: fleet.db.name, schema: 'nowhere', migrations: './migrations/shared' }],
  });
  for (const argv of ['migrate --all --dry-run', 'migrate plan --all', 'migrate --all']) {
    const report = await fleet.json(argv);
    expect([argv, report.exitCode, report.summary]).toEqual([argv, 3, 'd01 done, t01 skipped, t02 skipped']);
  }
});
