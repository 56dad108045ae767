import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually, makeBarrier, passBarrier, patientTimeouts } from '../../support/barrier.ts';
import { createFleet, type FleetReport, numbered, readReport, type TestFleet } from '../../support/fleet.ts';
import { tableMigration, threeTables } from '../../support/migrations.ts';
import { forgetOutcomes, recordedRuns } from '../../support/records.ts';

/** Runs it and gives the run's id. */
async function runOf(fleet: TestFleet, argv: string): Promise<string> {
  const { run } = await fleet.json(argv);
  if (run === null) throw new Error(`${argv} recorded no run`);
  return run;
}

/** `t01 0002_two 0001_one, t02 -`: what was taken back. */
function reverted({ outcomes }: FleetReport): string {
  return outcomes
    .map(({ tenant, status, value, error }) => {
      return [tenant, ...(status === 'done' ? (value?.reverted ?? []) : [error?.code ?? error?.sqlState])].join(' ');
    })
    .join(', ');
}

const tailOf = (run: string) => run.slice(-4);

test('exactly what the run did, on exactly the tenants it moved: two runs interleave, and one tenant had failed', async () => {
  const fleet = await createFleet({ schemas: 5, migrations: threeTables });
  await fleet.db.query('create table tenant_t03.two ()');
  // t04 has the first from elsewhere.
  const early = await runOf(fleet, 'migrate -t t04 --to 0001');
  const first = await runOf(fleet, 'migrate --all --to 0002');
  const second = await runOf(fleet, 'migrate -t t01 t02');
  expect(await fleet.history('tenant_t03')).toBeNull();

  const blocked = await fleet.json(`migrate down --run ${first} --yes`);
  expect(blocked.exitCode).toBe(3);
  expect(reverted(blocked)).toBe('t01 not-newest, t02 not-newest, t03, t04 0002_two, t05 0002_two 0001_one');
  expect(blocked.of('t01').error).toMatchObject({
    message: '0003_three ran after what is to be taken back',
    hint: expect.stringContaining('migrate down --to 0002_two'),
  });
  expect(await fleet.history('tenant_t04')).toEqual(['0001_one']);

  // Only the two that it moved are its tenants, and it may be named by its last part.
  expect(reverted(await fleet.json(`migrate down --run ${tailOf(second)} --yes`))).toBe(
    't01 0003_three, t02 0003_three',
  );
  expect(reverted(await fleet.json(`migrate down --run ${tailOf(first)} -t t02 t05 --yes`))).toBe(
    't02 0002_two 0001_one, t05',
  );
  expect(reverted(await fleet.json(`migrate down --run ${first} --yes`))).toBe(
    't01 0002_two 0001_one, t02, t03, t04, t05',
  );
  expect(await fleet.tables()).toEqual(['tenant_t03.two', 'tenant_t04.one']);
  // Taken back once more: nothing, and nobody is asked.
  const again = await fleet.json(`migrate down --run ${first}`);
  expect([again.exitCode, again.run]).toEqual([0, null]);
  expect(reverted(await fleet.json(`migrate down --run ${early} --yes`))).toBe('t04 0001_one');
});

test('tenants with the same migrations from different runs are told apart', async () => {
  const fleet = await createFleet({ schemas: 4, migrations: threeTables });
  const [first, second] = [await runOf(fleet, 'migrate -t t01 t03'), await runOf(fleet, 'migrate --all')];
  expect(reverted(await fleet.json(`migrate down --run ${first} --all --yes`))).toBe(
    't01 0003_three 0002_two 0001_one, t02, t03 0003_three 0002_two 0001_one, t04',
  );
  expect(await fleet.history('tenant_t02')).toHaveLength(3);
  const rows = await fleet.db.query('select distinct run from tenant_t02.pgmigrations');
  expect(rows).toEqual([{ run: second }]);
});

test('what was done and not written down any more is found too', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  const run = await runOf(fleet, 'migrate -t t01 t02');
  await forgetOutcomes(fleet, run);
  expect(reverted(await fleet.json(`migrate down --run ${run} --yes`))).toBe(
    't01 0003_three 0002_two 0001_one, t02 0003_three 0002_two 0001_one',
  );
});

test('without the record, tenants are selected by flags, and the data tells', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  await runOf(fleet, 'migrate --all --to 0001');
  const run = await runOf(fleet, 'migrate -t t02');
  await rm(join(fleet.folder, '.tenantctl'), { recursive: true });
  const unselected = await fleet.run(`migrate down --run ${run} --yes`);
  expect(unselected.exitCode).toBe(2);
  expect(unselected.stderr).toMatch(/no run .* is recorded here.*\nhint: .*tenantctl runs list.*--all/);
  const short = await fleet.run(`migrate down --run ${tailOf(run)} --all --yes`);
  expect([short.exitCode, short.stderr]).toEqual([2, expect.stringContaining('give its whole id')]);
  expect(reverted(await fleet.json(`migrate down --run ${run} --all --yes`))).toBe('t01, t02 0003_three 0002_two, t03');
});

test('a tenant that the record does not know is found with --all', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  const run = await runOf(fleet, 'migrate -t t01');
  await fleet.run('migrate -t t02');
  await fleet.db.query('update tenant_t02.pgmigrations set run = $1', [run]);
  expect((await fleet.json(`migrate down --run ${run} --dry-run`)).summary).toBe('t01 done');
  expect(reverted(await fleet.json(`migrate down --run ${run} --all --yes`))).toMatch(/t01 0003.*t02 0003/);
});

test('the plan is shown in groups, and a person consents', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  await fleet.run('migrate -t t01 --to 0001');
  const run = await runOf(fleet, 'migrate --all --to 0002');
  const dry = await fleet.run(`migrate down --run ${run} --dry-run`);
  expect(dry.exitCode).toBe(0);
  expect(dry.stdout).toContain(
    '2 tenants from 0002_two to no history:\n  - migrations/0002_two.sql\n  - migrations/0001_one.sql\n',
  );
  expect(dry.stdout).toContain('1 tenant from 0002_two to 0001_one:\n  - migrations/0002_two.sql\n');
  expect(await recordedRuns(fleet)).toHaveLength(2);
  expect((await fleet.run(`migrate down --run ${run}`)).exitCode).toBe(5);
  const { exitCode, questions } = await fleet.run(`migrate down --run ${run}`, { answers: ['test'] });
  expect([exitCode, questions.length]).toEqual([0, 1]);
  expect(await fleet.tables()).toEqual(['tenant_t01.one']);
});

/** Takes back a run of 0001 that has to wait for the lock of a migration that holds it; meanwhile, `change` happens. */
async function takeBackBehind(
  second: string,
  change: (fleet: TestFleet) => Promise<unknown>,
): Promise<{
  readonly fleet: TestFleet;
  readonly report: FleetReport;
}> {
  const migrations = { '0001_one.sql': tableMigration('one') };
  const fleet = await createFleet({ schemas: 1, migrations, inventory: { timeouts: patientTimeouts } });
  const run = await runOf(fleet, 'migrate --all');
  await fleet.write('0002_long.sql', second);
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01');
  const other = fleet.start('migrate --all');
  await barrier.waiting(1);
  const back = fleet.start(`migrate down --run ${run} --yes --json`);
  await eventually('it waits for the lock', async () => {
    const rows = await fleet.db.query(
      `select from pg_stat_activity where datname = current_database() and application_name like 'tenantctl/%/t01'`,
    );
    return rows.length === 2 ? rows : null;
  });
  await change(fleet);
  await barrier.open('tenant_t01');
  await other.ended;
  return { fleet, report: readReport(await back.ended) };
}

test('what somebody applies on top while it waits for the lock is left alone', async () => {
  const { fleet, report } = await takeBackBehind(`CREATE TABLE long (id int);\n${passBarrier};`, async () => {});
  expect([report.exitCode, report.of('t01').error?.code]).toEqual([4, 'not-newest']);
  expect(await fleet.history('tenant_t01')).toEqual(['0001_one', '0002_long']);
});

test('what another run applied in its place while it waits for the lock is left alone', async () => {
  const { fleet, report } = await takeBackBehind(`${passBarrier}; SELECT 1 / 0;`, ({ db }) => {
    return db.query(`update tenant_t01.pgmigrations set run = '2026-11-22T101500Z-zzzz'`);
  });
  expect(report.of('t01').value).toEqual({ from: '0001_one', to: '0001_one', reverted: [] });
  expect(await fleet.tables()).toEqual(['tenant_t01.one']);
});

test('a run that only wrote the history down is not taken back by down sections', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  await fleet.db.query('create table tenant_t01.one (precious int)');
  const run = await runOf(fleet, 'migrate --all --to 0001 --fake');
  const report = await fleet.json(`migrate down --run ${run} --yes`);
  expect([report.exitCode, report.of('t01').error?.code]).toEqual([4, 'faked']);
  expect(reverted(await fleet.json(`migrate down --run ${run} --fake --yes`))).toBe('t01 0001_one');
  expect(await fleet.tables()).toEqual(['tenant_t01.one']);
});

test('a file that is gone, and rows that another tool mixed in, stop the tenant', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  const run = await runOf(fleet, 'migrate --all');
  await fleet.db.query(`update tenant_t02.pgmigrations set run = null where name = '0002_two'`);
  await fleet.db.query(`insert into tenant_t03.pgmigrations (name, run_on) values ('9999_other', now())`);
  const planned = await fleet.json(`migrate down --run ${run} --dry-run`);
  expect(planned.outcomes.map(({ error }) => error?.message)).toEqual([
    undefined,
    '0002_two ran after what is to be taken back',
    '9999_other ran after what is to be taken back',
  ]);
  expect(planned.of('t02').error?.hint).toContain('one by one');
  await fleet.write('0003_three.sql', null);
  const report = await fleet.json(`migrate down --run ${run} --yes`);
  expect(reverted(report)).toBe('t01 missing-migration, t02 not-newest, t03 not-newest');
});

test('a history older than the column is left as it is', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  await fleet.run('migrate --all --to 0002');
  await fleet.db.query('alter table tenant_t01.pgmigrations drop column run');
  await fleet.db.query('alter table tenant_t02.pgmigrations drop column run, drop column checksum');
  const run = await runOf(fleet, 'migrate --all');
  const rows = await fleet.db.query('select name, run from tenant_t02.pgmigrations order by id');
  expect(rows.map((row) => row.run)).toEqual([null, null, run]);
  expect(reverted(await fleet.json(`migrate down --run ${run} --yes`))).toBe('t01 0003_three, t02 0003_three');
});

test('one of 50 cannot be taken back: the others are, and the report names it', async () => {
  const fleet = await createFleet({ schemas: 50, migrations: threeTables });
  const run = await runOf(fleet, 'migrate --all');
  await fleet.db.query('drop table tenant_t37.two');
  const report = await fleet.json(`migrate down --run ${run} --yes`);
  expect([report.exitCode, report.totals.done, report.totals.failed]).toEqual([3, 49, 1]);
  expect(report.of('t37')).toMatchObject({ step: '0002_two', error: { sqlState: '42P01' } });
  expect(await fleet.tables()).toEqual(['tenant_t37.one', 'tenant_t37.three']);
  for (const schema of numbered('tenant_t', 3)) expect(await fleet.history(schema)).toEqual([]);
});

test.each([
  ['migrate down --run k3f9 --to 0001', '--run goes without --to and --count'],
  ['migrate down --run k3f9 --count 1', '--run goes without --to and --count'],
  ['migrate down --run k3f9', 'no run k3f9 is recorded here'],
])('%s is a usage error', async (argv, message) => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  const { exitCode, stderr } = await fleet.run(`${argv} --yes`);
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
});

test('a run that applied nothing cannot be taken back', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  await fleet.run('migrate --all');
  const run = await runOf(fleet, 'migrate down --all --yes');
  const { exitCode, stderr } = await fleet.run(`migrate down --run ${run} --yes`);
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining('was a migrate down, which applies no migrations')]);
});
