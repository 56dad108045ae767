import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { threeTables } from '../../support/migrations.ts';

test('the plan tells group by group what would run', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  await fleet.run('migrate -t t02 --to 0002');
  await fleet.run('migrate -t t03');
  const { exitCode, stdout } = await fleet.run('migrate plan --all');
  expect(exitCode).toBe(0);
  expect(stdout).toContain(`environment test: plan, nothing was changed
1 tenant from no history to 0003_three:
  + migrations/0001_one.sql
  + migrations/0002_two.sql
  + migrations/0003_three.sql
1 tenant from 0002_two to 0003_three:
  + migrations/0003_three.sql
1 tenant with nothing to do
`);
  const report = await fleet.json('migrate plan --all --to 0001');
  expect(report.run).toBeNull();
  expect(report.of('t01').value).toEqual({ from: null, to: '0001_one', pending: ['0001_one'] });
});

test('plan and dry runs write nothing at all, whatever the migrations hold', async () => {
  const fleet = await createFleet({
    schemas: 2,
    databases: 1,
    migrations: {
      ...threeTables,
      '0004_x.js': 'exports.up = async (pgm) => { await pgm.db.query("CREATE TABLE x (id int)"); };',
      '0005_y.sql': '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY y ON one (id);',
      'shared/0001_s.sql': 'CREATE TABLE public.s (id int);',
    },
  });
  await fleet.writeInventory({
    shared: [{ server: 'main', database: fleet.db.name, schema: 'public', migrations: './migrations/shared' }],
  });
  await fleet.run('migrate -t t01 --to 0002');
  const before = await everything(fleet);
  for (const argv of [
    'migrate plan --all --allow all',
    'migrate --all --dry-run',
    'migrate up --all --dry-run --fake',
    'migrate down --all --dry-run',
    'migrate status --all',
    'tenants list --all',
  ]) {
    const { exitCode } = await fleet.run(argv);
    expect([argv, exitCode]).toEqual([argv, 0]);
    expect(await everything(fleet), argv).toEqual(before);
  }
});

test('a dry run in a folder of its own makes not even the state folder', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  for (const argv of ['migrate plan --all', 'migrate --all --dry-run', 'migrate down --all --dry-run']) {
    await fleet.run(argv);
    expect(await readdir(fleet.folder)).toEqual(['migrations', 'tenants.yaml']);
  }
});

test('a dry run ends as the run would: tenants that must fail are told', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  await fleet.run('migrate -t t01');
  await fleet.db.query(`delete from tenant_t01.pgmigrations where name = '0002_two'`);
  const report = await fleet.json('migrate --all --dry-run');
  expect([report.exitCode, report.summary]).toEqual([3, 't01 failed, t02 done']);
});

/** All that a run could have written: rows of the catalogue and of the histories by version, files by content. */
async function everything({ db, databases, folder }: TestFleet): Promise<unknown> {
  const query = `select md5(string_agg(v, ',' order by v)) as hash from (
    select concat_ws(' ', 'class', oid, xmin, relname) as v from pg_class union all
    select concat_ws(' ', 'namespace', oid, xmin) from pg_namespace union all
    select concat_ws(' ', 'proc', oid, xmin) from pg_proc union all
    select concat_ws(' ', 'attribute', attrelid, attnum, xmin) from pg_attribute union all
    select concat_ws(' ', 'shared', oid, xmin) from pg_database where datname = current_database()) all_rows`;
  const [catalogue] = await db.query(query);
  const history = await db.query('select xmin, * from tenant_t01.pgmigrations order by id');
  const other = await db.connect({ database: databases[0]! });
  const { rows } = await other.query(query).finally(() => other.end());
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const texts = files
    .filter((file) => file.isFile())
    .map(async (file) => [join(file.parentPath, file.name), await readFile(join(file.parentPath, file.name), 'utf8')]);
  return { catalogue, history, other: rows, files: await Promise.all(texts) };
}
