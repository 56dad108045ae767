import { expect, test } from 'vitest';
import { createFleet } from '../../support/fleet.ts';
import { tableMigration, threeTables } from '../../support/migrations.ts';

async function mixedFleet() {
  const fleet = await createFleet({ schemas: 6, migrations: threeTables });
  await fleet.run('migrate -t t01 t02 t03 t04');
  await fleet.run('migrate -t t05 --to 0001');
  await fleet.db.query(`insert into tenant_t04.pgmigrations (name, run_on) values ('0009_other', now())`);
  await fleet.db.query(`update tenant_t03.pgmigrations set checksum = 'x' where name = '0002_two'`);
  await fleet.db.query(`delete from tenant_t02.pgmigrations where name = '0002_two'`);
  return fleet;
}

test('says how many tenants stand where, and what is odd about them', async () => {
  const fleet = await mixedFleet();
  const { exitCode, stdout } = await fleet.run('migrate status --all');
  expect(exitCode).toBe(0);
  expect(stdout).toContain('environment test: 3 at 0003_three, 1 at 0001_one, 1 ahead, 1 without history\n');
  expect(stdout).toContain('1 ran migrations that were edited since');
  expect(stdout).toContain('1 without a migration that is older than one applied');
});

test('lists each tenant with -v and in json', async () => {
  const fleet = await mixedFleet();
  const { stdout } = await fleet.run('migrate status --all -v');
  const line = (tenant: string) => stdout.split('\n').find((each) => each.includes(tenant)) ?? '';
  expect(line('t02')).toMatch(/0003_three .* 2 .* 1 .*out of order: 0002_two/);
  expect(line('t04')).toContain('ahead: 0009_other');
  const report = await fleet.json('migrate status --all');
  expect(report.of('t03').value).toEqual({
    version: '0003_three',
    applied: 3,
    pending: [],
    ahead: [],
    edited: ['0002_two'],
    outOfOrder: [],
  });
  expect(report.of('t06').value).toMatchObject({
    version: null,
    applied: 0,
    pending: Object.keys(threeTables).map((n) => n.slice(0, -4)),
  });
  expect(report.histogram).toMatchObject({ ahead: 1, withoutHistory: 1, edited: 1, outOfOrder: 1 });
});

test('--check is 1 when anything is pending, edited or out of order, and 0 when all is well', async () => {
  const fleet = await mixedFleet();
  const check = async (tenant: string) => {
    const report = await fleet.json(`migrate status --check -t ${tenant}`);
    return [report.exitCode, report.of(tenant).finding];
  };
  expect(await check('t01')).toEqual([0, false]);
  expect(await check('t02')).toEqual([1, true]);
  expect(await check('t03')).toEqual([1, true]);
  expect(await check('t04')).toEqual([0, false]);
  expect(await check('t05')).toEqual([1, true]);
  expect(await check('t06')).toEqual([1, true]);
});

test('writes nothing, not even a history table', async () => {
  const fleet = await createFleet({ schemas: 1, databases: 1, migrations: threeTables });
  expect((await fleet.run('migrate status --all')).exitCode).toBe(0);
  expect(await fleet.history('tenant_t01')).toBeNull();
});

test('a tenant that is not there fails alone', async () => {
  const fleet = await createFleet({ schemas: { a: 'tenant_a', b: 'tenant_b' }, migrations: threeTables });
  await fleet.db.query('drop schema tenant_a');
  const report = await fleet.json('migrate status --all');
  expect([report.exitCode, report.summary]).toEqual([3, 'a failed, b done']);
  expect(report.of('a').error).toMatchObject({ code: 'schema-missing', hint: expect.any(String) });
});

test('a history table that another version of node-pg-migrate made, without a checksum', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_one.sql': tableMigration('one') } });
  await fleet.db.query(
    'create table tenant_t01.pgmigrations (id serial primary key, name text not null, run_on timestamp not null)',
  );
  await fleet.db.query(`insert into tenant_t01.pgmigrations (name, run_on) values ('0001_one', now())`);
  const report = await fleet.json('migrate status --all --check');
  expect(report.exitCode).toBe(0);
  expect(report.of('t01').value).toMatchObject({ version: '0001_one', edited: [] });
});
