import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeBarrier, passBarrier, patientTimeouts } from '../../support/barrier.ts';
import { createFleet, numbered, type TestFleet } from '../../support/fleet.ts';
import { tableMigration, threeTables } from '../../support/migrations.ts';
import { forgetOutcomes, inAMinute, recordedRuns, recordOf, rewriteManifest } from '../../support/records.ts';
import { spawnCli } from '../../support/spawn-cli.ts';

/** A fleet in which one tenant failed in its second migration; gives the run. */
async function failedFleet(schemas: number, broken: string, argv = 'migrate --all') {
  const fleet = await createFleet({ schemas, migrations: threeTables });
  await fleet.db.query(`create table ${broken}.two ()`);
  const { run, exitCode } = await fleet.json(argv);
  expect(exitCode).toBe(3);
  return { fleet, run: run!, repair: () => fleet.db.query(`drop table ${broken}.two`) };
}

test('one of 50 had failed: once it is repaired, only that one is done, and no further than the run wanted', async () => {
  const { fleet, run, repair } = await failedFleet(50, 'tenant_t13');
  await repair();
  await fleet.write('0004_four.sql', tableMigration('four'));
  await fleet.write('0002_between.sql', tableMigration('between'));
  const report = await fleet.json(`runs resume ${run.slice(-4)}`);
  expect([report.exitCode, report.summary]).toEqual([0, 't13 done']);
  expect(report.of('t13').value).toEqual({
    from: null,
    to: '0003_three',
    applied: ['0001_one', '0002_two', '0003_three'],
  });
  for (const schema of numbered('tenant_t', 50)) expect(await fleet.history(schema)).toHaveLength(3);
  // It is a run like any other.
  expect(await recordedRuns(fleet)).toContain(report.run);
});

test('what was added to a shared schema meanwhile is not run either', async () => {
  const { fleet, repair } = await failedFleet(2, 'tenant_t02');
  await fleet.writeInventory({
    shared: [{ server: 'main', database: fleet.db.name, schema: 'public', migrations: './migrations/shared' }],
  });
  await fleet.write('shared/0001_first.sql', tableMigration('first'));
  const { run } = await fleet.json('migrate --all');
  await repair();
  await fleet.write('shared/0002_second.sql', tableMigration('second'));
  expect((await fleet.json(`runs resume ${run}`)).summary).toBe('t02 done');
  expect(await fleet.history('public')).toEqual(['0001_first']);
});

test('what fails again can be resumed again', async () => {
  const { fleet, run, repair } = await failedFleet(3, 'tenant_t02');
  const again = await fleet.run(`runs resume ${run}`);
  expect(again.exitCode).toBe(4);
  const second = /what is left of it: tenantctl runs resume (\S+)/.exec(again.stdout)?.[1];
  expect(second).not.toBe(run);
  await repair();
  expect((await fleet.json(`runs resume ${second}`)).summary).toBe('t02 done');
});

test('--dry-run shows what is left, and writes nothing', async () => {
  const { fleet, run, repair } = await failedFleet(3, 'tenant_t02');
  await repair();
  const { exitCode, stdout } = await fleet.run(`runs resume ${run} --dry-run`);
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('1 tenant from no history to 0003_three')]);
  expect(await fleet.history('tenant_t02')).toBeNull();
  expect(await recordedRuns(fleet)).toEqual([run]);
});

test('refuses when a file is not as it was when the run began, and goes on when it is again', async () => {
  const { fleet, run, repair } = await failedFleet(3, 'tenant_t02');
  await repair();
  await fleet.write('0003_three.sql', tableMigration('drei'));
  await fleet.write('0002_two.sql', null);
  const refused = await fleet.json(`runs resume ${run}`);
  expect(refused.exitCode).toBe(5);
  expect(refused.error?.details).toEqual(['0002_two is missing', 'migrations/0003_three.sql was changed']);
  expect(refused.error?.hint).toContain(`tenantctl migrate --from-run ${run}`);
  expect(await fleet.history('tenant_t02')).toBeNull();
  for (const [name, text] of Object.entries(threeTables)) await fleet.write(name, text);
  expect((await fleet.run(`runs resume ${run}`)).exitCode).toBe(0);
});

test('refuses in another environment, and says when there is nothing left', async () => {
  const { fleet, run, repair } = await failedFleet(3, 'tenant_t02');
  await repair();
  await fleet.writeInventory({ environment: 'production' });
  const { exitCode, stderr } = await fleet.run(`runs resume ${run}`);
  expect([exitCode, stderr]).toEqual([
    5,
    expect.stringMatching(/was in environment test, and .* is environment production/),
  ]);
  await fleet.writeInventory({});
  const { run: second } = await fleet.json(`runs resume ${run}`);
  const done = await fleet.run(`runs resume ${second}`);
  expect([done.exitCode, done.stdout]).toEqual([0, `run ${second} left nothing to do: its tenant is done\n`]);
});

test('flags of the run count again, those that are given anew go before them', async () => {
  const { fleet, run } = await failedFleet(3, 'tenant_t02', 'migrate --all --to 0002 --max-failures 2 --lock-wait 1s');
  const { run: second } = await fleet.json(`runs resume ${run} --max-failures 1 --concurrency 1`);
  const { flags } = JSON.parse(await readFile(join(recordOf(fleet, second!), 'manifest.json'), 'utf8'));
  expect(flags).toMatchObject({
    checkOrder: true,
    to: '0002_two',
    maxFailures: '1',
    lockWait: '1s',
    concurrency: '1',
    fromRun: run,
    outcome: 'failed,interrupted,skipped',
  });
  expect(flags).not.toHaveProperty('all');
});

const killable = {
  '0001_one.sql': tableMigration('one'),
  '0002_long.sql': `CREATE TABLE long (id int);\n${passBarrier};`,
};

test('a killed run is told as such, shown, and carried on', async () => {
  const fleet = await createFleet({ schemas: 8, migrations: killable, inventory: { timeouts: patientTimeouts } });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t03', 'tenant_t05');
  const killed = spawnCli('migrate --all --concurrency 2 --json', fleet.folder);
  await barrier.waiting(2);
  killed.kill('SIGKILL');
  await killed.ended;
  await barrier.open('tenant_t03', 'tenant_t05');
  const [run] = await recordedRuns(fleet);

  expect((await fleet.run('runs list')).stdout).toMatch(new RegExp(`${run} .* running `));
  expect((await fleet.run('runs list', inAMinute)).stdout).toMatch(new RegExp(`${run} .* killed .*unsettled`));
  const shown = await fleet.run(`runs show ${run}`, inAMinute);
  expect(shown.exitCode).toBe(0);
  expect(shown.stdout).toMatch(/^killed: it recorded no end/m);
  expect(shown.stdout).toMatch(/\d tenants without a line: in the middle, or not begun, when the run ended/);
  expect(shown.stdout).toContain(`carry on: tenantctl runs resume ${run}`);

  const resumed = await fleet.run(`runs resume ${run} --json`);
  expect(resumed.exitCode).toBe(0);
  expect(resumed.stderr).toContain('may still be going on');
  for (const schema of numbered('tenant_t', 8)) expect(await fleet.history(schema)).toEqual(['0001_one', '0002_long']);
});

test('a resumed migrate down takes back what was planned, once, although nobody wrote down that it was done', async () => {
  const fleet = await createFleet({ schemas: 4, migrations: threeTables });
  await fleet.run('migrate --all');
  await fleet.run('migrate down -t t04 --yes');
  await fleet.db.query('drop table tenant_t02.three');
  const { run, summary } = await fleet.json('migrate down --all --yes');
  expect(summary).toBe('t01 done, t02 failed, t03 done, t04 done');
  await fleet.db.query('create table tenant_t02.three ()');
  await forgetOutcomes(fleet, run!);
  expect((await fleet.run(`runs resume ${run}`)).exitCode).toBe(5);

  const report = await fleet.json(`runs resume ${run} --yes`);
  expect(report.outcomes.map(({ tenant, value }) => [tenant, value?.reverted])).toEqual([
    ['t01', []],
    ['t02', ['0003_three']],
    ['t03', []],
    ['t04', []],
  ]);
  const histories = await Promise.all(numbered('tenant_t', 4).map(fleet.history));
  expect(histories.map((names) => names?.length)).toEqual([2, 2, 2, 1]);
});

test('a resumed migrate down stops where somebody has migrated again meanwhile', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  await fleet.run('migrate --all --to 0002');
  await fleet.db.query('drop table tenant_t01.two');
  const { run } = await fleet.json('migrate down --all --yes');
  await fleet.db.query('create table tenant_t01.two ()');
  await fleet.run('migrate -t t01');
  const report = await fleet.json(`runs resume ${run} --yes`);
  expect(report.of('t01').error).toMatchObject({ code: 'not-newest', message: expect.stringContaining('0003_three') });
});

test('a resumed migrate down --run goes on by what the data tells', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  const { run: up } = await fleet.json('migrate --all');
  await fleet.db.query('drop table tenant_t02.three');
  const { run: down } = await fleet.json(`migrate down --run ${up} --yes`);
  await fleet.db.query('create table tenant_t02.three ()');
  await forgetOutcomes(fleet, down!);
  const report = await fleet.json(`runs resume ${down} --yes`);
  expect([report.exitCode, report.outcomes.map(({ value }) => value?.reverted?.length)]).toEqual([0, [0, 3, 0]]);
  expect(await fleet.tables()).toEqual([]);
});

test('counted migrations end where they were to end', async () => {
  const { fleet, run, repair } = await failedFleet(3, 'tenant_t02', 'migrate --all --count 2');
  await repair();
  await forgetOutcomes(fleet, run);
  const report = await fleet.json(`runs resume ${run}`);
  expect(report.outcomes.map(({ value }) => value?.applied)).toEqual([[], ['0001_one', '0002_two'], []]);
  expect(await fleet.history('tenant_t01')).toHaveLength(2);
});

test('counted migrations that were to end in several places are not guessed', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  await fleet.run('migrate -t t01 --to 0001');
  const { run } = await fleet.json('migrate --all --count 1');
  await forgetOutcomes(fleet, run!);
  const report = await fleet.json(`runs resume ${run}`);
  expect([report.exitCode, report.error?.details]).toEqual([5, ['0002_two: t01', '0001_one: t02']]);
});

test('a resumed repair repairs what is left', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  await fleet.run('migrate --all');
  await fleet.write('0001_one.sql', `-- reworded\n${threeTables['0001_one.sql']}`);
  const { run } = await fleet.json('migrate repair --all --yes');
  await forgetOutcomes(fleet, run!);
  const { exitCode, stdout } = await fleet.run(`runs resume ${run} --yes -v`);
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('no applied file was edited')]);
});

test.each<[string, (manifest: Record<string, unknown>) => Record<string, unknown>, string]>([
  ['of another command', (manifest) => ({ ...manifest, command: 'dump' }), 'was a dump, which cannot be resumed'],
  ['of a version that wrote no flags', ({ flags: _, ...manifest }) => manifest, 'does not tell its flags'],
  [
    'with a plan of another kind',
    (manifest) => ({ ...manifest, options: { plans: 3 } }),
    'does not tell what was planned',
  ],
])('a run %s cannot be resumed', async (_, change, message) => {
  const { fleet, run } = await failedFleet(2, 'tenant_t01');
  await rewriteManifest(fleet, run, change);
  const { exitCode, stderr } = await fleet.run(`runs resume ${run}`);
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
  expect(stderr).toContain('hint: ');
});

test('an unknown run, or none, is a usage error', async () => {
  const fleet: TestFleet = await createFleet({ migrations: threeTables });
  const unknown = await fleet.run('runs resume k3f9');
  expect([unknown.exitCode, unknown.stderr]).toEqual([
    2,
    'error: no run k3f9 is recorded\nhint: see which runs are recorded with: tenantctl runs list\n',
  ]);
  expect((await fleet.run('runs resume')).exitCode).toBe(2);
});

test('at the end the command is named that migrates those born since', async () => {
  const { fleet, run, repair } = await failedFleet(2, 'tenant_t02');
  await repair();
  await fleet.db.query('create schema tenant_born');
  const { exitCode, stderr } = await fleet.run(`runs resume ${run}`);
  expect([exitCode, await fleet.history('tenant_born')]).toEqual([0, null]);
  expect(stderr).toContain(`nobody looked for tenants that were born since run ${run} began`);
  expect(stderr).toContain('tenantctl migrate --all');
});

test('flags that came from variables are read anew', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  await fleet.db.query('create table tenant_t02.two ()');
  const { run } = await fleet.json('migrate --all', { env: { TENANTCTL_HEALTH_COMMAND: 'true' } });
  await fleet.db.query('drop table tenant_t02.two');
  const resumed = await fleet.run(`runs resume ${run}`, { env: { TENANTCTL_HEALTH_COMMAND: 'exit 7' } });
  expect([resumed.exitCode, resumed.stdout]).toEqual([1, expect.stringContaining('exit code 7')]);
});
