import { expect, test } from 'vitest';
import { eventually, makeBarrier, passBarrier, patientTimeouts } from '../support/barrier.ts';
import { createFleet, numbered, readReport } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';
import { spawnCli } from '../support/spawn-cli.ts';

const schemas = numbered('tenant_t', 5);
const migrations = {
  '0001_one.sql': tableMigration('one'),
  '0002_long.sql': `${passBarrier};\nCREATE TABLE long (id int);`,
  '0003_three.sql': tableMigration('three'),
};

/** Two tenants stand in the middle of the second migration, three were not begun. */
async function runningFleet() {
  const fleet = await createFleet({ schemas: 5, migrations, inventory: { timeouts: patientTimeouts } });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close(...schemas);
  return { fleet, barrier };
}

const argv = 'migrate --all --concurrency 2 --json';

test.each([
  ['SIGINT', 130, undefined],
  ['SIGTERM', 143, undefined],
  ['SIGINT', 130, { terminal: { columns: 80 } }],
] as const)(
  'the first %s lets running tenants end and starts no other (exit %i)',
  async (signal, exitCode, options) => {
    const { fleet, barrier } = await runningFleet();
    const running = fleet.start(argv, options);
    await barrier.waiting(2);
    running.signal(signal);
    await running.stderrHas('stopping: no further tenant is started');
    await barrier.open(...schemas);
    const report = readReport(await running.ended);
    expect(report.exitCode).toBe(exitCode);
    expect(report.summary).toBe('t01 done, t02 done, t03 skipped, t04 skipped, t05 skipped');
    expect(report.of('t05')).toMatchObject({ reason: 'not-started' });
    expect(report.totals).toMatchObject({ selected: 5, done: 2, skipped: 3, interrupted: 0, failed: 0 });
    expect(await fleet.history('tenant_t02')).toHaveLength(3);
    expect(await fleet.history('tenant_t03')).toBeNull();
    // The same command carries on.
    const again = await fleet.json('migrate --all');
    expect([again.exitCode, again.of('t01').value?.applied, again.of('t03').value?.applied]).toEqual([
      0,
      [],
      ['0001_one', '0002_long', '0003_three'],
    ]);
  },
);

test('the second one cancels what runs: those tenants were interrupted, and are rolled back', async () => {
  const { fleet, barrier } = await runningFleet();
  const running = fleet.start(argv, { terminal: { columns: 80 } });
  await barrier.waiting(2);
  running.signal('SIGINT');
  running.signal('SIGINT');
  const report = readReport(await running.ended);
  expect(report.exitCode).toBe(130);
  expect(report.summary).toBe('t01 interrupted, t02 interrupted, t03 skipped, t04 skipped, t05 skipped');
  expect(report.of('t01')).toMatchObject({
    step: '0002_long',
    error: { sqlState: '57014', file: 'migrations/0002_long.sql', line: 1 },
  });
  expect(report.totals).toMatchObject({ interrupted: 2, skipped: 3, done: 0 });
  expect(await fleet.tables()).toEqual([]);
  await barrier.open(...schemas);
  const retried = await fleet.json(`migrate --from-run ${report.run} --outcome interrupted`);
  expect([retried.exitCode, retried.summary]).toEqual([0, 't01 done, t02 done']);
});

test('ndjson tells the same, line by line', async () => {
  const { fleet, barrier } = await runningFleet();
  const running = fleet.start('migrate --all --concurrency 2 -o ndjson');
  await barrier.waiting(2);
  running.signal('SIGINT');
  running.signal('SIGINT');
  const { exitCode, stdout } = await running.ended;
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(exitCode).toBe(130);
  expect(lines[0]).toEqual({ type: 'version', schema: 'tenantctl/1' });
  expect(lines.at(-1)).toMatchObject({ type: 'summary', exitCode: 130 });
  expect(
    lines
      .filter(({ type }) => type === 'outcome')
      .map(({ status }) => status)
      .toSorted(),
  ).toEqual(['interrupted', 'interrupted', 'skipped', 'skipped', 'skipped']);
});

test('without a transaction nothing more is begun once it is cancelled, and what stays is told', async () => {
  const { fleet, barrier } = await runningFleet();
  await fleet.write(
    '0002_long.sql',
    `-- tenantctl:no-transaction\nCREATE TABLE a (id int);\n${passBarrier};\nCREATE TABLE b (id int);`,
  );
  const running = fleet.start(argv);
  await barrier.waiting(2);
  running.signal('SIGINT');
  running.signal('SIGINT');
  const report = readReport(await running.ended);
  expect(report.of('t01')).toMatchObject({
    status: 'interrupted',
    error: { line: 3, detail: 'already committed on this tenant: 0001_one, 1 of 3 statements of 0002_long' },
  });
  expect(await fleet.tables()).toEqual(['tenant_t01.a', 'tenant_t01.one', 'tenant_t02.a', 'tenant_t02.one']);
});

test('a tenant that was only waited for was not started', async () => {
  const { fleet, barrier } = await runningFleet();
  const first = fleet.start('migrate -t t01');
  await barrier.waiting(1);
  const second = fleet.start('migrate -t t01 --json');
  await eventually('two runs stand at t01', async () => {
    const rows = await fleet.db.query(`select from pg_stat_activity
      where datname = current_database() and application_name like 'tenantctl/%/t01'`);
    return rows.length === 2 ? rows : null;
  });
  second.signal('SIGINT');
  const report = readReport(await second.ended);
  expect([report.exitCode, report.summary]).toEqual([130, 't01 skipped']);
  await barrier.open(...schemas);
  expect((await first.ended).exitCode).toBe(0);
});

test('a process of its own on pipes: one signal, and two', async () => {
  const { fleet, barrier } = await runningFleet();
  const one = spawnCli(argv, fleet.folder);
  await barrier.waiting(2);
  one.kill('SIGINT');
  await one.stderrHas('stopping');
  await barrier.open('tenant_t01', 'tenant_t02');
  const first = readReport({ ...(await one.ended), questions: [] });
  expect([first.exitCode, first.totals.done, first.totals.skipped]).toEqual([130, 2, 3]);

  const two = spawnCli(argv, fleet.folder);
  await barrier.waiting(2);
  two.kill('SIGINT');
  await two.stderrHas('stopping');
  two.kill('SIGTERM');
  const second = readReport({ ...(await two.ended), questions: [] });
  expect(second.exitCode).toBe(130);
  expect(second.summary).toBe('t01 done, t02 done, t03 interrupted, t04 interrupted, t05 skipped');
  expect(await fleet.history('tenant_t03')).toBeNull();
});

test('a tenant whose time is up is cancelled and failed, the others go on', async () => {
  const { fleet, barrier } = await runningFleet();
  await barrier.open('tenant_t01', 'tenant_t02', 'tenant_t04', 'tenant_t05');
  const report = await fleet.json('migrate --all --timeout 500ms');
  expect([report.exitCode, report.totals.done, report.of('t03').status]).toEqual([3, 4, 'failed']);
  expect(report.of('t03')).toMatchObject({ step: '0002_long', error: { code: 'timeout', hint: expect.any(String) } });
  expect(await fleet.history('tenant_t03')).toBeNull();
});

test('the time of a tenant is also up while it waits for its lock', async () => {
  const { fleet, barrier } = await runningFleet();
  const first = fleet.start('migrate -t t01');
  await barrier.waiting(1);
  const report = await fleet.json('migrate -t t01 --timeout 300ms');
  expect(report.of('t01')).toMatchObject({
    status: 'failed',
    step: expect.stringContaining('waiting for the lock'),
    error: { code: 'timeout' },
  });
  await barrier.open(...schemas);
  await first.ended;
});
