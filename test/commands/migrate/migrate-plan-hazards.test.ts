import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { createFleet, type FleetReport, type TestFleet } from '../../support/fleet.ts';

interface ReportedHazard {
  readonly hazard: string;
  readonly subject: string;
  readonly message: string;
  readonly hint: string;
  readonly line: number;
  readonly column: number;
  readonly allowed: boolean;
  readonly table: string | null;
  readonly rows?: number;
  readonly worstTenant?: string;
  readonly unknownRows?: number;
}

interface ReportedGroup {
  readonly from: string | null;
  readonly to: string | null;
  readonly tenants: number;
  readonly shared?: { readonly schema: string };
  readonly migrations: readonly {
    readonly name: string;
    readonly file: string;
    readonly checksum: string;
    readonly lanes: readonly string[];
    readonly notes: readonly string[];
    readonly hazards: readonly ReportedHazard[];
  }[];
}

async function groups(
  fleet: TestFleet,
  argv: string,
): Promise<FleetReport & { readonly groups: readonly ReportedGroup[] }> {
  return (await fleet.json(argv)) as FleetReport & { groups: ReportedGroup[] };
}

const users = 'CREATE TABLE users (id int, tmp text);';
const drop = '-- words\n\nALTER TABLE users DROP COLUMN tmp;\n';

async function fillUsers({ db }: TestFleet, schema: string, rows: number): Promise<void> {
  await db.query(`insert into ${schema}.users select generate_series(1, ${rows})`);
  await db.query(`analyze ${schema}.users`);
}

test('hazards are told per group and file, with the tenant that has the most rows, and end with 1', async () => {
  const fleet = await createFleet({ schemas: 4, migrations: { '0001_users.sql': users } });
  await fleet.run('migrate --all');
  await fillUsers(fleet, 'tenant_t01', 10);
  await fillUsers(fleet, 'tenant_t03', 1234);
  await fleet.write('0002_drop.sql', drop);
  await fleet.run('migrate -t t04 --to 0002');

  const { exitCode, stdout } = await fleet.run('migrate plan --all');
  expect(exitCode).toBe(1);
  expect(stdout).toContain(`environment test: plan, nothing was changed
3 tenants from 0001_users to 0002_drop:
  + migrations/0002_drop.sql
    ! drop-column users.tmp (0002_drop.sql:3:1): its data are gone, and what still reads it fails; worst tenant t03, 1.2 k rows
1 tenant with nothing to do
1 hazard (!):
  drop-column: release an application`);
  expect(stdout).toContain('tenantctl migrate plan --allow drop-column');

  const report = await groups(fleet, 'migrate plan --all');
  expect([report.exitCode, report.totals.done, report.totals.failed]).toEqual([1, 4, 0]);
  expect(report.groups).toEqual([
    {
      from: '0001_users',
      to: '0002_drop',
      tenants: 3,
      migrations: [
        {
          name: '0002_drop',
          file: 'migrations/0002_drop.sql',
          checksum: expect.stringMatching(/^[0-9a-f]{64}$/),
          lanes: ['transaction'],
          notes: [],
          hazards: [
            {
              hazard: 'drop-column',
              subject: 'users.tmp',
              message: 'its data are gone, and what still reads it fails',
              hint: expect.stringContaining('release an application'),
              line: 3,
              column: 1,
              allowed: false,
              table: 'users',
              rows: 1234,
              worstTenant: 't03',
              unknownRows: 1,
            },
          ],
        },
      ],
    },
  ]);
});

describe('the size of a table', () => {
  it('makes a hazard of ACCESS EXCLUSIVE, by the largest tenant', async () => {
    const fleet = await createFleet({ schemas: 2, migrations: { '0001_users.sql': users } });
    await fleet.run('migrate --all');
    await fillUsers(fleet, 'tenant_t02', 500);
    await fleet.write('0002_add.sql', 'ALTER TABLE users ADD COLUMN a int;');
    const find = async (flags: string) => {
      const report = await groups(fleet, `migrate plan --all ${flags}`);
      return [
        report.exitCode,
        ...report.groups[0]!.migrations[0]!.hazards.map(({ hazard, rows, worstTenant }) => [hazard, rows, worstTenant]),
      ];
    };
    expect(await find('')).toEqual([0]);
    expect(await find('--large-table 500')).toEqual([0]);
    expect(await find('--large-table 499')).toEqual([1, ['access-exclusive', 500, 't02']]);
    expect(await find('--large-table 499 --allow access-exclusive')).toEqual([0, ['access-exclusive', 500, 't02']]);
  });

  it('is that of its partitions together; an index stands for its table', async () => {
    const fleet = await createFleet({ schemas: 1 });
    await fleet.db.query(`create table tenant_t01.users (id int) partition by range (id);
      create table tenant_t01.users_1 partition of tenant_t01.users for values from (0) to (100);
      create table tenant_t01.users_2 partition of tenant_t01.users for values from (100) to (1000);
      create index by_id on tenant_t01.users (id);
      insert into tenant_t01.users select generate_series(1, 300);
      analyze tenant_t01.users`);
    await fleet.write('0001_drop.sql', 'ALTER TABLE users ADD COLUMN a int;\nDROP INDEX by_id;');
    const report = await groups(fleet, 'migrate plan --all --large-table 299');
    expect(report.groups[0]!.migrations[0]!.hazards.map(({ subject, rows }) => [subject, rows])).toEqual([
      ['users', 300],
      ['by_id', 300],
    ]);
  });

  it('is read in one statement a database, and locks nothing', async () => {
    const fleet = await createFleet({ schemas: 3, databases: 2, migrations: { '0001_users.sql': users } });
    await fleet.run('migrate --all');
    await fillUsers(fleet, 'tenant_t02', 40);
    await fleet.write('0002_drop.sql', drop);
    const blocker = await fleet.db.connect();
    await blocker.query('begin; lock table tenant_t01.users, tenant_t02.users in access exclusive mode');
    try {
      const report = await groups(fleet, 'migrate plan --all');
      const [hazard] = report.groups[0]!.migrations[0]!.hazards;
      expect([report.groups[0]!.tenants, hazard?.worstTenant, hazard?.rows, hazard?.unknownRows]).toEqual([
        5,
        't02',
        40,
        4,
      ]);
    } finally {
      await blocker.end();
    }
  });
});

describe('what is allowed', () => {
  async function planWith(argv: string, migration = drop) {
    const fleet = await createFleet({ schemas: 1, migrations: { '0001_users.sql': users } });
    await fleet.run('migrate --all');
    await fleet.write('0002_drop.sql', migration);
    return fleet.run(`migrate plan --all ${argv}`);
  }

  it.each([
    ['--allow drop-column'],
    ['--allow rename,drop-column'],
    ['--allow rename --allow drop-column'],
    ['--allow rename drop-column'],
    ['--allow all'],
  ])('by %s', async (argv) => {
    const { exitCode, stdout } = await planWith(argv);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('    allowed: drop-column users.tmp (0002_drop.sql:3:1)');
    expect(stdout).not.toContain('!');
  });

  it('by the file, for itself', async () => {
    const { exitCode, stdout } = await planWith(
      '',
      `-- tenantctl:allow drop-column since 1.2 nobody reads it\n${drop}`,
    );
    expect([exitCode, stdout.includes('allowed: drop-column')]).toEqual([0, true]);
    const other = await planWith('', `-- tenantctl:allow rename\n${drop}`);
    expect(other.exitCode).toBe(1);
  });

  it('is told when it is no hazard', async () => {
    const { exitCode, stderr } = await planWith('--allow drop-colum');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--allow does not know the hazard "drop-colum": did you mean drop-column?');
    const file = await planWith('', `\n-- tenantctl:allow rename, drop-colums x\n${drop}`);
    expect(file.exitCode).toBe(2);
    expect(file.stderr).toContain('migrations/0002_drop.sql:2: tenantctl:allow does not know the hazard "drop-colums"');
    const none = await planWith('', `-- tenantctl:allow\n${drop}`);
    expect([none.exitCode, none.stderr.includes('tenantctl:allow names no hazard')]).toEqual([2, true]);
  });

  it('never comes from the environment', async () => {
    const fleet = await createFleet({ schemas: 1, migrations: { '0001_x.sql': 'DROP TABLE x;' } });
    const { exitCode } = await fleet.run('migrate plan --all', { env: { TENANTCTL_ALLOW: 'all' } });
    expect(exitCode).toBe(1);
  });
});

test('what lives in a shared schema of the search path is found there', async () => {
  const fleet = await createFleet({ schemas: 2 });
  await fleet.db.query('create table countries (id int primary key); create table tenant_t01.mine (a int)');
  await fleet.db.query('create table tenant_t02.mine (a int)');
  await fleet.write(
    '0001_x.sql',
    'CREATE TABLE n (a int REFERENCES countries);\nINSERT INTO mine SELECT id FROM countries LIMIT 1;',
  );
  const report = await groups(fleet, 'migrate plan --all');
  const [migration] = report.groups[0]!.migrations;
  expect(migration?.lanes).toEqual(['transaction', 'shared']);
  expect(migration?.hazards.map(({ hazard, subject, line }) => [hazard, subject, line])).toEqual([
    ['leaves-schema', 'countries', 1],
  ]);
});

test('shared schemas have groups of their own, in which their schema is no other', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_x.sql': 'CREATE TABLE x (id int);',
      'shared/0001_s.sql': 'CREATE TABLE public.s (id int);\nDROP TABLE old;',
    },
  });
  await fleet.writeInventory({
    shared: [{ server: 'main', database: fleet.db.name, schema: 'public', migrations: './migrations/shared' }],
  });
  const report = await groups(fleet, 'migrate plan --all');
  expect(report.groups.map(({ shared, tenants }) => [shared?.schema, tenants])).toEqual([
    ['public', 0],
    [undefined, 1],
  ]);
  expect(report.groups[0]!.migrations[0]!.hazards.map(({ hazard }) => hazard)).toEqual(['drop-table']);
});

test('a plan of many files hides none that is dangerous', async () => {
  const names = Array.from({ length: 20 }, (_, index) => String(index + 1).padStart(4, '0'));
  const fleet = await createFleet({
    schemas: 1,
    migrations: Object.fromEntries(
      names.map((name) => [`${name}_x.sql`, name === '0018' ? 'DROP TABLE x;' : 'SELECT 1;']),
    ),
  });
  const { stdout } = await fleet.run('migrate plan --all');
  expect(stdout).toContain('  + migrations/0012_x.sql\n  + migrations/0018_x.sql\n    ! drop-table x');
  expect(stdout).toContain('  + … 7 more\n');
});

test('what hinders other tenants, and what nobody looked into, is said of the file', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_x.sql': 'CREATE TABLE x (id int);',
      '0002_y.js': 'exports.up = () => {};',
      '0003_z.sql': 'DO $$ BEGIN END $$; UPDATE y SET a = 1 WHERE b;',
      '0004_i.sql': '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY i ON x (id) WHERE id > 0;',
    },
  });
  const { stdout } = await fleet.run('migrate plan --all');
  expect(stdout).toContain('  + migrations/0001_x.sql\n');
  expect(stdout).toContain('  + migrations/0002_y.js  (not looked into: JavaScript)\n');
  expect(stdout).toContain('  + migrations/0003_z.sql  (lane backfill; not looked into: DO or CALL)\n');
  expect(stdout).toContain(
    '  + migrations/0004_i.sql  (no transaction; lane expression-index)\n    ! no-transaction 0004_i (0004_i.sql:1:1)',
  );
});

test('--quiet is silent when all is well and prints the plan when it is not; --fake judges nothing', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_x.sql': 'DROP TABLE x;' } });
  expect((await fleet.run('migrate plan --all --quiet')).stdout).toContain('! drop-table x');
  expect((await fleet.run('migrate plan --all --quiet --allow all')).stdout).toBe('');
  const fake = await fleet.run('migrate plan --all --fake');
  expect([fake.exitCode, fake.stdout.includes('!')]).toEqual([0, false]);
});

test('a tenant that cannot be read is worse than a hazard', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_x.sql': 'DROP TABLE x;' } });
  await fleet.writeInventory({
    tenants: [{ id: 'gone', server: 'main', database: fleet.db.name, schema: 'no_such' }],
  });
  expect((await fleet.run('migrate plan --all')).exitCode).toBe(3);
});

test('hostile schema and table names reach the report as they are', async () => {
  const schema = 'a"b; -- ü';
  const fleet = await createFleet({ schemas: { odd: schema }, migrations: { '0001_x.sql': 'DROP TABLE "x""; \'y";' } });
  await fleet.db.query(`create table "a""b; -- ü"."x""; 'y" as select generate_series(1, 20) as a`);
  await fleet.db.query(`analyze "a""b; -- ü"."x""; 'y"`);
  const report = await groups(fleet, 'migrate plan --all --large-table 19');
  expect(report.groups[0]!.migrations[0]!.hazards.map(({ hazard, subject, rows }) => [hazard, subject, rows])).toEqual([
    ['drop-table', `"x""; 'y"`, 20],
    ['access-exclusive', `"x""; 'y"`, 20],
  ]);
});

test('flags that make no sense are mistakes', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_x.sql': 'SELECT 1;' } });
  for (const argv of [
    '--large-table many',
    '--large-table -1',
    '--allow',
    '--out plan.json --fake',
    '--out no/such/plan.json',
  ]) {
    expect([argv, (await fleet.run(`migrate plan --all ${argv}`)).exitCode]).toEqual([argv, 2]);
  }
  await writeFile(join(fleet.folder, 'file'), '');
  expect((await fleet.run('migrate plan --all --out file/plan.json')).exitCode).toBe(2);
});
