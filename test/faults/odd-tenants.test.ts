import { expect, test } from 'vitest';
import { createFleet, numbered } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';

const schemas = numbered('tenant_t', 50);

test('fifty tenants, four of them odd in four ways: the others are done, and each odd one says what it is', async () => {
  const fleet = await createFleet({ schemas: schemas.length, migrations: { '0001_one.sql': tableMigration('one') } });
  // Two branches were released to one tenant each, and their files are on no branch that has both.
  await fleet.write('0003_branch.sql', tableMigration('branch'));
  expect((await fleet.run('migrate -t t20')).exitCode).toBe(0);
  await fleet.write('0003_branch.sql', null);
  await fleet.write('0009_later.sql', tableMigration('later'));
  expect((await fleet.run('migrate -t t30')).exitCode).toBe(0);
  expect((await fleet.run('migrate -t t40 t50 --to 0001')).exitCode).toBe(0);
  // A file that one tenant has run is gone.
  await fleet.db.query("update tenant_t40.pgmigrations set name = '0000_gone'");
  await fleet.write(
    '0005_three.sql',
    'CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\nALTER TABLE\n  one ADD COLUMN x int;\n',
  );
  await fleet.db.query('create table tenant_t10.one (id int)');
  await fleet.write('0001_one.sql', 'CREATE TABLE IF NOT EXISTS one (id int);');
  await fleet.db.query('alter table tenant_t10.one add column x int');
  await fleet.db.query("update tenant_t20.pgmigrations set checksum = null where name = '0001_one'");
  for (const schema of ['tenant_t30', 'tenant_t40', 'tenant_t50']) {
    await fleet.db.query(`update ${schema}.pgmigrations set checksum = null where name = '0001_one'`);
  }
  const before = await fleet.tables();

  const report = await fleet.json('migrate --all --max-same-cause 0');
  expect([report.exitCode, report.totals]).toMatchObject([3, { selected: 50, done: 46, failed: 4, skipped: 0 }]);
  expect(report.of('t10')).toMatchObject({
    step: '0005_three',
    error: { sqlState: '42701', file: 'migrations/0005_three.sql', line: 3, column: 1 },
  });
  expect(report.of('t20').error).toMatchObject({
    code: 'diverged',
    message: '0003_branch was applied and is not in the folder, which has 0005_three pending',
  });
  expect(report.of('t30').error).toMatchObject({ code: 'out-of-order', file: 'migrations/0005_three.sql' });
  expect(report.of('t40').error).toMatchObject({ code: 'diverged', message: expect.stringContaining('0000_gone') });
  expect(report.of('t50').value).toMatchObject({ from: '0001_one', applied: ['0005_three', '0009_later'] });

  const odd = ['tenant_t10', 'tenant_t20', 'tenant_t30', 'tenant_t40'];
  const isOdd = (table: string) => odd.includes(table.split('.')[0]!);
  expect((await fleet.tables()).filter(isOdd)).toEqual(before.filter(isOdd));
  expect(await fleet.history('tenant_t10')).toBeNull();
  for (const schema of schemas.filter((each) => !odd.includes(each))) {
    expect(await fleet.history(schema), schema).toEqual(['0001_one', '0005_three', '0009_later']);
  }
  // A tenant that is ahead and has nothing to do is no failure.
  await fleet.write('0005_three.sql', null);
  await fleet.write('0009_later.sql', null);
  const ahead = await fleet.json('migrate --all');
  expect([ahead.exitCode, ahead.totals]).toMatchObject([3, { done: 49, failed: 1 }]);
  expect(ahead.of('t20')).toMatchObject({ status: 'done', value: { applied: [] } });
});

test('fifty tenants, one has run another text of a file: nobody is touched, without it the others are done', async () => {
  const fleet = await createFleet({ schemas: schemas.length, migrations: { '0001_one.sql': tableMigration('one') } });
  expect((await fleet.run('migrate -t t17')).exitCode).toBe(0);
  await fleet.write('0001_one.sql', `${tableMigration('one')}-- edited\n`);
  await fleet.write('0002_two.sql', tableMigration('two'));
  const { exitCode, stdout, stderr } = await fleet.run('migrate --all');
  expect([exitCode, stdout]).toEqual([5, '']);
  expect(stderr).toContain('migrations/0001_one.sql: applied to 1 tenant as it was');
  expect(await fleet.tables()).toEqual(['tenant_t17.one']);
  const report = await fleet.json('migrate --all --except t17');
  expect([report.exitCode, report.totals.done]).toEqual([0, 49]);
  expect(await fleet.history('tenant_t17')).toEqual(['0001_one']);
});
