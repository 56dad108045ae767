import { expect, test } from 'vitest';
import { eventually, makeBarrier, passBarrier, patientTimeouts } from '../support/barrier.ts';
import { createFleet, numbered, readReport } from '../support/fleet.ts';
import { tableMigration, threeTables } from '../support/migrations.ts';
import { spawnCli } from '../support/spawn-cli.ts';

/** The dearest cases are left to `npm run test:soak`. */
const soak = process.env.TENANTCTL_SOAK === '1';

test('two runs at once on one fleet: every tenant is migrated exactly once, and both end well', async () => {
  const fleet = await createFleet({ schemas: 24, databases: 2, migrations: threeTables });
  const runs = [1, 2].map(() => spawnCli('migrate --all --concurrency 4 --json', fleet.folder).ended);
  const [one, two] = (await Promise.all(runs)).map((result) => readReport({ ...result, questions: [] }));
  expect([one?.exitCode, two?.exitCode]).toEqual([0, 0]);
  expect(one?.run).not.toBe(two?.run);
  for (const { tenant, value } of one?.outcomes ?? []) {
    const applied = [value?.applied, two?.of(tenant).value?.applied];
    expect(applied.toSorted(byLength), tenant).toEqual([[], ['0001_one', '0002_two', '0003_three']]);
  }
  for (const schema of numbered('tenant_t', 24)) expect(await fleet.history(schema)).toHaveLength(3);
});

test('the one that comes second plans anew under the lock', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0001_one.sql': tableMigration('one'), '0002_long.sql': `${passBarrier};` },
    inventory: { timeouts: patientTimeouts },
  });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01');
  const first = fleet.start('migrate --all --json');
  await barrier.waiting(1);
  const second = fleet.start('migrate --all --json');
  await eventually('both stand at the tenant', async () => {
    const rows = await fleet.db.query(`select from pg_stat_activity
      where datname = current_database() and application_name like 'tenantctl/%/t01'`);
    return rows.length === 2 ? rows : null;
  });
  await fleet.write('0003_three.sql', tableMigration('three'));
  await barrier.open('tenant_t01');
  expect(readReport(await first.ended).of('t01').value?.applied).toEqual(['0001_one', '0002_long']);
  const report = readReport(await second.ended);
  expect(report.exitCode).toBe(0);
  // It had read the folder before the third file came.
  expect(report.of('t01').value).toEqual({ from: '0002_long', to: '0002_long', applied: [] });
});

test('two operators who take back one migration take back one, and two who run the next one run one', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      ...threeTables,
      '0004_held.sql': `-- Up Migration\n${passBarrier};\n-- Down Migration\n${passBarrier};`,
    },
    inventory: { timeouts: patientTimeouts },
  });
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
  const barrier = await makeBarrier(fleet.db);
  const twice = async (argv: string) => {
    await barrier.close('tenant_t01');
    const runs = [fleet.start(argv), fleet.start(argv)];
    await eventually('both stand at the tenant', async () => {
      const rows = await fleet.db.query(`select from pg_stat_activity
        where datname = current_database() and application_name like 'tenantctl/%/t01'`);
      return rows.length === 2 ? rows : null;
    });
    await barrier.open('tenant_t01');
    return (await Promise.all(runs.map(({ ended }) => ended))).map(({ exitCode }) => exitCode);
  };
  expect(await twice('migrate down --all --yes')).toEqual([0, 0]);
  expect(await fleet.history('tenant_t01')).toEqual(['0001_one', '0002_two', '0003_three']);
  await fleet.write('0005_next.sql', tableMigration('next'));
  expect(await twice('migrate --all --count 1')).toEqual([0, 0]);
  expect(await fleet.history('tenant_t01')).toEqual(['0001_one', '0002_two', '0003_three', '0004_held']);
});

test('tenants of one database never wait for each other, and a done one is let go of at once', async () => {
  const fleet = await createFleet({
    schemas: 3,
    migrations: { '0001_long.sql': `${passBarrier};`, '0002_one.sql': tableMigration('one') },
    inventory: { timeouts: patientTimeouts },
  });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01');
  const first = fleet.start('migrate -t t01 t02 --json');
  await barrier.waiting(1);
  // Not even for an instant: with no patience at all, a lock that is held fails the tenant.
  const other = await fleet.json('migrate -t t03 --lock-wait 0s');
  expect(other.of('t03')).toMatchObject({ status: 'done' });
  // The first run has done t02 and goes on with t01: nobody must wait for t02.
  await eventually('t02 is done', async () => ((await fleet.history('tenant_t02')) === null ? null : true));
  await fleet.write('0003_two.sql', tableMigration('two'));
  const again = await fleet.json('migrate -t t02 --lock-wait 100ms');
  expect(again.of('t02')).toMatchObject({ status: 'done', value: { applied: ['0003_two'] } });
  const held = await fleet.json('migrate -t t01 --lock-wait 0s');
  expect(held.of('t01')).toMatchObject({ status: 'failed', error: { code: 'locked' } });
  await barrier.open('tenant_t01');
  expect((await first.ended).exitCode).toBe(0);
});

test.runIf(soak)('two runs that lock what all tenants share: both end well, and each counts once', async () => {
  const fleet = await createFleet({
    schemas: 8,
    migrations: {
      // Of one run one at a time is at it; the other run waits for its lock and comes again.
      '0001_count.sql': 'UPDATE public.counter SET n = n + 1; LOCK TABLE public.counter; SELECT pg_sleep(0.15);',
      '0002_one.sql': 'CREATE TABLE one (id int); INSERT INTO one VALUES (1);',
      // In a lane of its own, which cuts the tenants' work into stages.
      '0003_index.sql': '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY ON one ((id + 1));',
      '0004_fill.sql': 'UPDATE one SET id = id + 1;',
    },
  });
  await fleet.db.query('create table public.counter (n int); insert into public.counter values (0)');
  const runs = [1, 2].map(
    () => spawnCli('migrate --all --concurrency 4 --lock-timeout 100ms --json', fleet.folder).ended,
  );
  const [one, two] = (await Promise.all(runs)).map((result) => readReport({ ...result, questions: [] }));
  expect([...(one?.outcomes ?? []), ...(two?.outcomes ?? [])].filter(({ status }) => status !== 'done')).toEqual([]);
  expect([one?.exitCode, two?.exitCode]).toEqual([0, 0]);
  expect(await fleet.db.query('select n from public.counter')).toEqual([{ n: 8 }]);
  for (const schema of numbered('tenant_t', 8)) {
    expect(await fleet.history(schema)).toEqual(['0001_count', '0002_one', '0003_index', '0004_fill']);
    expect(await fleet.db.query(`select id from ${schema}.one`)).toEqual([{ id: 2 }]);
    const tenant = schema.slice('tenant_'.length);
    const applied = [one, two].flatMap((report) => (report?.of(tenant).value?.applied ?? []) as readonly string[]);
    expect(applied.toSorted(), tenant).toEqual(['0001_count', '0002_one', '0003_index', '0004_fill']);
  }
});

test('a tenant that waits for a tenant of the other run says so', async () => {
  const fleet = await createFleet({
    schemas: 2,
    migrations: { '0001_shared.sql': `LOCK TABLE public.settings; ${passBarrier};` },
  });
  await fleet.db.query('create table public.settings (id int)');
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01');
  const first = fleet.start('migrate -t t01 --lock-timeout 10min --json');
  await barrier.waiting(1);
  const second = fleet.start('migrate --all --concurrency 2 --lock-wait 1h --lock-timeout 10min --json');
  await second.stderrHas('t01 waits for pid');
  await second.stderrHas('t02 waits for pid');
  await barrier.open('tenant_t01');
  const [one, two] = [readReport(await first.ended), readReport(await second.ended)];
  expect([one.exitCode, two.exitCode]).toEqual([0, 0]);
  const application = `tenantctl/${one.run?.slice(-4)}/t01`;
  // By the table's lock, and by the tenant's own.
  expect(two.of('t02').blockedBy).toMatchObject([{ application, tenant: 't01' }]);
  expect(two.of('t01').blockedBy).toMatchObject([{ application, tenant: 't01' }]);
  expect([two.of('t01').value?.applied, two.of('t02').value?.applied]).toEqual([[], ['0001_shared']]);
});

function byLength(a: unknown, b: unknown): number {
  return ((a as unknown[]) ?? []).length - ((b as unknown[]) ?? []).length;
}
