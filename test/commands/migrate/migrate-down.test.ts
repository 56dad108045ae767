import { expect, test } from 'vitest';
import { createFleet } from '../../support/fleet.ts';
import { tableMigration, threeTables } from '../../support/migrations.ts';

async function migratedFleet(schemas = 2) {
  const fleet = await createFleet({ schemas, migrations: threeTables });
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
  return fleet;
}

test('takes back the last one, the last few, or all that ran after one', async () => {
  const fleet = await migratedFleet(4);
  const last = await fleet.json('migrate down -t t01 --yes');
  expect(last.exitCode).toBe(0);
  expect(last.of('t01').value).toEqual({ from: '0003_three', to: '0002_two', reverted: ['0003_three'] });
  const two = await fleet.json('migrate down -t t02 --count 2 --yes');
  expect(two.of('t02').value).toEqual({ from: '0003_three', to: '0001_one', reverted: ['0003_three', '0002_two'] });
  const to = await fleet.json('migrate down -t t03 --to 0001 --yes');
  expect(to.of('t03').value).toEqual({ from: '0003_three', to: '0001_one', reverted: ['0003_three', '0002_two'] });
  const all = await fleet.json('migrate down -t t04 --count 9 --yes');
  expect(all.of('t04').value).toMatchObject({ from: '0003_three', to: null });
  expect(await fleet.tables()).toEqual(['tenant_t01.one', 'tenant_t01.two', 'tenant_t02.one', 'tenant_t03.one']);
  expect(await fleet.history('tenant_t02')).toEqual(['0001_one']);
  expect(await fleet.history('tenant_t04')).toEqual([]);
  // And up again.
  expect((await fleet.json('migrate --all')).exitCode).toBe(0);
  expect(await fleet.tables()).toHaveLength(12);
});

test('each tenant is taken back in the order in which its own migrations ran', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: { '0001_one.sql': tableMigration('one') } });
  await fleet.write('0003_three.sql', tableMigration('three'));
  await fleet.run('migrate -t t02');
  await fleet.write('0002_two.sql', tableMigration('two'));
  await fleet.run('migrate --all --no-check-order');
  const planned = await fleet.json('migrate down --all --dry-run');
  expect(planned.outcomes.map(({ value }) => value?.pending)).toEqual([['0003_three'], ['0002_two'], ['0003_three']]);
  const report = await fleet.json('migrate down --all --yes');
  expect(report.outcomes.map(({ value }) => value?.reverted)).toEqual([['0003_three'], ['0002_two'], ['0003_three']]);
  expect(await fleet.history('tenant_t02')).toEqual(['0001_one', '0003_three']);
});

test('a file without a down section stops its tenants before anything is asked or touched', async () => {
  const fleet = await migratedFleet();
  await fleet.write('0004_four.sql', 'CREATE TABLE four (id int);');
  await fleet.run('migrate -t t01');
  const report = await fleet.json('migrate down --all --count 2 --yes');
  expect([report.exitCode, report.summary]).toEqual([3, 't01 failed, t02 done']);
  expect(report.of('t01')).toMatchObject({
    step: 'plan',
    error: { code: 'no-down', file: 'migrations/0004_four.sql', hint: expect.stringContaining('-- Down Migration') },
  });
  expect(await fleet.history('tenant_t01')).toHaveLength(4);
});

test('a migration whose file is gone cannot be taken back', async () => {
  const fleet = await migratedFleet(1);
  await fleet.write('0003_three.sql', null);
  const report = await fleet.json('migrate down --all --yes');
  expect(report.exitCode).toBe(4);
  expect(report.of('t01').error).toMatchObject({ code: 'missing-migration' });
});

test('a tenant where nothing ran has nothing to be taken back, and nobody is asked', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  const report = await fleet.json('migrate down --all');
  expect(report.exitCode).toBe(0);
  expect(report.of('t01').value).toEqual({ from: null, to: null, reverted: [] });
});

test('what fails in one tenant is rolled back there and done in the others', async () => {
  const fleet = await migratedFleet(3);
  await fleet.db.query('drop table tenant_t02.two');
  const report = await fleet.json('migrate down --all --count 2 --yes');
  expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 failed, t03 done']);
  expect(report.of('t02')).toMatchObject({
    step: '0002_two',
    error: { sqlState: '42P01', file: 'migrations/0002_two.sql', line: 5, column: 1 },
  });
  expect(await fleet.history('tenant_t02')).toHaveLength(3);
  expect(await fleet.tables()).toEqual(['tenant_t01.one', 'tenant_t02.one', 'tenant_t02.three', 'tenant_t03.one']);
});

test('--fake forgets, and leaves the tables', async () => {
  const fleet = await migratedFleet(1);
  await fleet.run('migrate down --all --fake --yes');
  expect(await fleet.history('tenant_t01')).toEqual(['0001_one', '0002_two']);
  expect(await fleet.tables()).toHaveLength(3);
});

test('a person types the name of the environment, once for all tenants', async () => {
  const fleet = await migratedFleet();
  const { exitCode, questions, stdout, stderr } = await fleet.run('migrate down --all', { answers: [' test '] });
  expect(exitCode).toBe(0);
  expect(questions).toHaveLength(1);
  expect(questions[0]).toContain('(test)');
  // What would be done is shown before the question, and not on stdout.
  expect(stderr).toContain('2 tenants from 0003_three to 0002_two:\n  - migrations/0003_three.sql\n');
  expect(stdout).not.toContain('- migrations');
  expect(await fleet.tables()).toHaveLength(4);
});

test.each([
  ['a wrong word', { answers: ['tset'] }],
  ['nothing', { answers: [''] }],
  ['yes', { answers: ['yes'] }],
  ['no terminal to ask on', {}],
])('without consent nothing happens: %s', async (_, options) => {
  const fleet = await migratedFleet();
  const report = await fleet.json('migrate down --all', options);
  expect([report.exitCode, report.outcomes]).toEqual([5, []]);
  expect(report.error?.message).toContain('confirmed');
  expect(report.stderr).toContain('error: ');
  expect(await fleet.tables()).toHaveLength(6);
});

test('--dry-run asks nobody and takes nothing back', async () => {
  const fleet = await migratedFleet();
  const report = await fleet.json('migrate down --all --dry-run');
  expect(report.exitCode).toBe(0);
  expect(report.of('t01').value).toEqual({ from: '0003_three', to: '0002_two', pending: ['0003_three'] });
  expect(await fleet.tables()).toHaveLength(6);
  expect(await fleet.history('tenant_t01')).toHaveLength(3);
});

test('consent cannot come from the environment', async () => {
  const fleet = await migratedFleet(1);
  const { exitCode } = await fleet.run('migrate down --all', { env: { TENANTCTL_YES: '1' } });
  expect(exitCode).toBe(5);
});
