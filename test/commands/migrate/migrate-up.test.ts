import { expect, test } from 'vitest';
import { createFleet } from '../../support/fleet.ts';
import { tableMigration, threeTables } from '../../support/migrations.ts';

const names = ['0001_one', '0002_two', '0003_three'];

test('schemas and databases come to the newest migration, and a second run has nothing to do and no run', async () => {
  const fleet = await createFleet({ schemas: 2, databases: 2, migrations: threeTables });
  const report = await fleet.json('migrate --all');
  expect(report.exitCode).toBe(0);
  expect(report.summary).toBe('d01 done, d02 done, t01 done, t02 done');
  expect(report.of('t02').value).toEqual({ from: null, to: '0003_three', applied: names });
  expect(report.of('d01')).toMatchObject({ schema: null, database: fleet.databases[0], value: { applied: names } });
  const columns = await fleet.db.query<{ name: string; type: string; nullable: string }>(
    `select column_name as name, data_type as type, is_nullable as nullable from information_schema.columns
      where table_schema = 'tenant_t01' and table_name = 'pgmigrations' order by ordinal_position`,
  );
  expect(columns).toEqual([
    { name: 'id', type: 'integer', nullable: 'NO' },
    { name: 'name', type: 'character varying', nullable: 'NO' },
    { name: 'run_on', type: 'timestamp without time zone', nullable: 'NO' },
    { name: 'checksum', type: 'text', nullable: 'YES' },
    { name: 'run', type: 'text', nullable: 'YES' },
  ]);
  const again = await fleet.json('migrate --all');
  expect([again.exitCode, again.run, again.totals.done]).toEqual([0, null, 4]);
});

test('--to goes so far and no further, by name, file or beginning; --count takes the next few', async () => {
  const fleet = await createFleet({ schemas: 4, migrations: threeTables });
  for (const [tenant, to] of Object.entries({ t01: '0002_two', t02: '0002_two.sql', t03: '0002' })) {
    const report = await fleet.json(`migrate -t ${tenant} --to ${to}`);
    expect(report.of(tenant).value).toEqual({ from: null, to: '0002_two', applied: names.slice(0, 2) });
  }
  expect((await fleet.json('migrate -t t04 --count 1')).of('t04').value).toMatchObject({ applied: ['0001_one'] });
  expect((await fleet.json('migrate --all --count 1')).outcomes.map(({ value }) => value?.to)).toEqual([
    '0003_three',
    '0003_three',
    '0003_three',
    '0002_two',
  ]);
  // Beyond it already: nothing is taken back.
  expect((await fleet.json('migrate -t t01 --to 0001')).of('t01').value).toEqual({
    from: '0003_three',
    to: '0003_three',
    applied: [],
  });
});

test.each([
  ['migrate --all --to 0009', 'no migration is named 0009'],
  ['migrate --all --to 000', '000 fits 3 migrations'],
  ['migrate --all --to 0001 --count 1', '--to and --count exclude each other'],
  ['migrate --all --count 0', '--count takes a whole number from 1 on'],
  ['migrate', 'no tenant is selected'],
  ['migrate -t nobody', 'nobody'],
])('%s is a mistake of the caller', async (argv, message) => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  const { exitCode, stdout, stderr } = await fleet.run(argv);
  expect([exitCode, stdout]).toEqual([2, '']);
  expect(stderr).toContain(message);
  expect(await fleet.history('tenant_t01')).toBeNull();
});

test('--fake writes the history and runs nothing, also of files that could not run', async () => {
  const migrations = {
    ...threeTables,
    '0004_x.sql': '-- tenantctl:no-transaction\nVACUUM nothing;',
    '0005_y.js': 'throw 1',
    '0006_z.sql': 'COMMIT;',
  };
  const fleet = await createFleet({ schemas: 1, migrations });
  const report = await fleet.json('migrate --all --fake');
  expect(report.of('t01').value?.applied).toEqual([...names, '0004_x', '0005_y', '0006_z']);
  expect(await fleet.history('tenant_t01')).toHaveLength(6);
  expect(await fleet.tables()).toEqual([]);
});

test('a migration older than one that ran is refused tenant by tenant, and runs with --no-check-order', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: { '0001_one.sql': tableMigration('one') } });
  await fleet.write('0003_three.sql', tableMigration('three'));
  expect((await fleet.json('migrate -t t01')).exitCode).toBe(0);
  await fleet.write('0002_two.sql', tableMigration('two'));
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([3, 't01 failed, t02 done']);
  expect(report.of('t01')).toMatchObject({
    step: 'plan',
    error: {
      code: 'out-of-order',
      file: 'migrations/0002_two.sql',
      hint: expect.stringContaining('--no-check-order'),
    },
  });
  const forced = await fleet.json('migrate --all --no-check-order');
  expect(forced.exitCode).toBe(0);
  // It does not look as if the tenant had gone back.
  expect(forced.of('t01').value).toEqual({ from: '0003_three', to: '0003_three', applied: ['0002_two'] });
  expect(await fleet.history('tenant_t01')).toEqual(['0001_one', '0003_three', '0002_two']);
});

test('a tenant that is ahead of the folder is left alone, one that is ahead and behind has diverged', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  await fleet.run('migrate -t t01');
  await fleet.run('migrate -t t02 --to 0001');
  await fleet.write('0002_two.sql', null);
  await fleet.write('0003_three.sql', null);
  expect((await fleet.json('migrate --all')).of('t01')).toMatchObject({ status: 'done', value: { applied: [] } });
  await fleet.write('0004_four.sql', tableMigration('four'));
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([3, 't01 failed, t02 done']);
  expect(report.of('t01').error).toMatchObject({ code: 'diverged', hint: expect.stringContaining('--no-check-order') });
  expect((await fleet.json('migrate --all --no-check-order')).of('t01').value).toMatchObject({
    applied: ['0004_four'],
  });
});

test('a file that was edited after it ran refuses the whole run; line ends are no edit', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  await fleet.run('migrate -t t01 t02 --to 0002');
  await fleet.write('0001_one.sql', threeTables['0001_one.sql']!.replaceAll('\n', '\r\n'));
  expect((await fleet.run('migrate -t t01 --dry-run')).exitCode).toBe(0);
  await fleet.write('0001_one.sql', `${threeTables['0001_one.sql']}-- more\n`);
  for (const argv of ['migrate --all', 'migrate --all --dry-run', 'migrate plan --all', 'migrate down --all --yes']) {
    const { exitCode, stdout, stderr } = await fleet.run(argv);
    expect([argv, exitCode, stdout]).toEqual([argv, 5, '']);
    expect(stderr).toContain('migrations/0001_one.sql: applied to 2 tenants as it was');
    expect(stderr).toContain('tenantctl migrate repair');
  }
  expect(await fleet.history('tenant_t03')).toBeNull();
});

test('a checksum that is not known is no edit', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  await fleet.run('migrate --all --to 0002');
  await fleet.db.query('update tenant_t01.pgmigrations set checksum = null');
  await fleet.write('0001_one.sql', 'SELECT 1;');
  expect((await fleet.json('migrate --all')).of('t01').value).toMatchObject({ applied: ['0003_three'] });
});

test('what a migration does to path and role misleads neither the next file nor the history', async () => {
  const fleet = await createFleet({
    schemas: 2,
    migrations: {
      '0001_one.sql':
        'CREATE TABLE one (id int); SET search_path TO public; CREATE TEMP TABLE pgmigrations (name text);',
      '0002_two.sql': "CREATE TABLE two (id int); SELECT set_config('search_path', '', false);",
      '0003_three.js':
        'exports.up = (pgm) => { pgm.createTable("three", { id: "int" }); pgm.sql("SET ROLE pg_monitor"); };',
      '0004_four.sql': 'CREATE TABLE four (id int); SET ROLE pg_monitor;',
      '0005_five.sql':
        '-- tenantctl:no-transaction\nCREATE TABLE five (id int);\nSET ROLE pg_monitor;\nSET search_path TO public;',
      '0006_six.sql': 'CREATE TABLE six (id int); SET SESSION AUTHORIZATION pg_monitor;',
    },
  });
  const report = await fleet.json('migrate --all --concurrency 1');
  expect(report.of('t01').error).toBeUndefined();
  expect(report.exitCode).toBe(0);
  const tables = ['five', 'four', 'one', 'six', 'three', 'two'];
  expect(await fleet.tables()).toEqual([
    ...tables.map((t) => `tenant_t01.${t}`),
    ...tables.map((t) => `tenant_t02.${t}`),
  ]);
  expect(await fleet.history('tenant_t02')).toHaveLength(6);
});
