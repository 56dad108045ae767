import { expect, test } from 'vitest';
import { createFleet, numbered, type TestFleet } from '../../support/fleet.ts';
import { tableMigration } from '../../support/migrations.ts';

const noTransaction = '-- tenantctl:no-transaction\n';
const tenants = numbered('tenant_t', 2);

/** Up: an index that must not be built beside the fill after it, so that each tenant has two turns. */
const upInTurns = {
  '0001_one.sql': "CREATE TABLE one (id int, name text);\nINSERT INTO one VALUES (1, 'A');",
  '0002_index.sql': `${noTransaction}CREATE INDEX CONCURRENTLY one_name ON one (lower(name));`,
  '0003_fill.sql': 'UPDATE one SET name = lower(name);',
  '0004_four.sql': tableMigration('four'),
};

/** The same two turns on the way back. */
const downInTurns = {
  '0001_one.sql': upDown('CREATE TABLE one (id int, name text);', 'DROP TABLE one;'),
  '0002_two.sql': tableMigration('two'),
  '0003_fill.sql': upDown('SELECT 1;', 'UPDATE one SET name = lower(name);'),
  '0004_index.sql': `${noTransaction}${upDown('SELECT 1;', 'CREATE INDEX CONCURRENTLY one_name ON one (lower(name));')}`,
};

function upDown(up: string, down: string): string {
  return `-- Up Migration\n${up}\n-- Down Migration\n${down}`;
}

/** How many migrations each tenant has. */
async function heights(fleet: TestFleet): Promise<readonly (number | undefined)[]> {
  return (await Promise.all(tenants.map(fleet.history))).map((names) => names?.length);
}

async function atFirst(): Promise<TestFleet> {
  const fleet = await createFleet({ schemas: 2, migrations: upInTurns });
  await fleet.run('migrate --all --to 0001');
  return fleet;
}

test('--count counts once, also where a tenant has several turns', async () => {
  const fleet = await atFirst();
  const report = await fleet.json('migrate --all --count 2');
  const value = { from: '0001_one', to: '0003_fill', applied: ['0002_index', '0003_fill'] };
  expect(report.outcomes.map((outcome) => outcome.error ?? outcome.value)).toEqual([value, value]);
  expect(await heights(fleet)).toEqual([3, 3]);
});

test('so does a reviewed plan that was counted', async () => {
  const fleet = await atFirst();
  expect((await fleet.run('migrate plan --all --count 2 --allow all --out plan.json')).exitCode).toBe(0);
  const report = await fleet.json('migrate --plan plan.json');
  expect(report.summary).toBe('t01 done, t02 done');
  expect(await heights(fleet)).toEqual([3, 3]);
});

test('and migrate down', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: downInTurns });
  await fleet.run('migrate --all');
  const report = await fleet.json('migrate down --all --count 2 --yes');
  const value = { from: '0004_index', to: '0002_two', reverted: ['0004_index', '0003_fill'] };
  expect(report.outcomes.map((outcome) => outcome.error ?? outcome.value)).toEqual([value, value]);
  expect(await heights(fleet)).toEqual([2, 2]);
});

test('what failed between two turns is carried on with the printed command, and goes no further', async () => {
  const fleet = await atFirst();
  await fleet.db.query("alter table tenant_t02.one add check (name <> 'a')");
  const failed = await fleet.run('migrate --all --count 2');
  expect(failed.exitCode).toBe(3);
  const retry = /retry: tenantctl (runs resume \S+)/.exec(failed.stdout)?.[1];
  await fleet.db.query('alter table tenant_t02.one drop constraint one_name_check');
  const report = await fleet.json(retry!);
  expect(report.of('t02').value).toEqual({ from: '0002_index', to: '0003_fill', applied: ['0003_fill'] });
  expect(await heights(fleet)).toEqual([3, 3]);
});

test('so is a step back, which said again would be another one', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: downInTurns });
  await fleet.run('migrate --all');
  await fleet.db.query('create index one_name on tenant_t02.one (id)');
  for (const count of ['', ' --count 1']) {
    const { stdout } = await fleet.run(`migrate down -t t02${count} --yes`);
    expect(stdout).toMatch(/retry: tenantctl runs resume \S+\n/);
  }
  const { stdout } = await fleet.run('migrate down -t t02 --to 0002 --yes');
  expect(stdout).toMatch(/retry: tenantctl migrate down --to 0002 --from-run \S+ --outcome failed/);
});

test('a retry repeats the checks that came from the command line', async () => {
  const fleet = await atFirst();
  await fleet.db.query('create table tenant_t02.four ()');
  const { stdout } = await fleet.run(['migrate', '--all', '--preflight-sql', 'select 1 where false']);
  expect(stdout).toMatch(
    /retry: tenantctl migrate --preflight-sql 'select 1 where false' --from-run \S+ --outcome fail/,
  );
});
