import { expect, test } from 'vitest';
import { eventually, makeBarrier, passBarrier, patientTimeouts } from '../support/barrier.ts';
import { createFleet, numbered, readReport, type TestFleet } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';
import { makeRandom, testSeeds } from '../support/random.ts';
import { spawnCli } from '../support/spawn-cli.ts';

/** The dearest cases are left to `npm run test:soak`. */
const soak = process.env.TENANTCTL_SOAK === '1';

const schemas = numbered('tenant_t', 8);
const migrations = {
  '0001_one.sql': tableMigration('one'),
  '0002_long.sql': `CREATE TABLE long (id int);\n${passBarrier};\nINSERT INTO long VALUES (1);`,
  '0003_three.sql': tableMigration('three'),
};
const names = ['0001_one', '0002_long', '0003_three'];

test.each(testSeeds(soak ? 20 : 1))(
  'killed in the middle of long statements, seed %i: nobody works beside what still runs',
  async (seed) => {
    const random = makeRandom(seed);
    const stuck = random.shuffle(schemas).slice(0, random.between(1, 4)).toSorted();
    const fleet = await createFleet({ schemas: schemas.length, migrations, inventory: { timeouts: patientTimeouts } });
    const barrier = await makeBarrier(fleet.db);
    await barrier.close(...stuck);

    const killed = spawnCli(`migrate --all --concurrency ${random.between(stuck.length, 8)} --json`, fleet.folder);
    const backends = await barrier.waiting(stuck.length);
    killed.kill('SIGKILL');
    expect((await killed.ended).killedBy).toBe('SIGKILL');

    // At once, the same command: it brings all to the end but those where the first one's statement still runs.
    const second = readReport({
      ...(await spawnCli('migrate --all --lock-wait 300ms --max-same-cause 0 --json', fleet.folder).ended),
      questions: [],
    });
    expect(second.outcomes.filter(({ status }) => status !== 'done').map(({ schema }) => schema)).toEqual(stuck);
    for (const { tenant, error, step } of second.outcomes.filter(({ status }) => status === 'failed')) {
      expect(error?.code).toBe('locked');
      expect(step).toContain('waiting for the lock');
      const holder = /locked by tenantctl\/(\w{4})\/(t\d\d) \(pid (\d+), /.exec(error?.message ?? '');
      expect([holder?.[2], backends.includes(Number(holder?.[3]))]).toEqual([tenant, true]);
    }
    expect((await barrier.waiting(stuck.length)).toSorted()).toEqual(backends.toSorted());

    // And with more patience: it waits, and takes over when the statement has ended and its transaction is gone.
    const third = fleet.start('migrate --all --lock-wait 60s --json');
    await waitersFor(fleet, stuck);
    await barrier.open(...stuck);
    const report = readReport(await third.ended);
    expect(report.exitCode).toBe(0);
    for (const schema of schemas) {
      expect(await fleet.history(schema)).toEqual(names);
      expect(await fleet.db.query(`select id from ${schema}.long`)).toEqual([{ id: 1 }]);
    }
    for (const schema of stuck) expect(report.of(schema.slice(-3)).value?.applied).toEqual(names);
  },
);

test('the record of a killed run can be read: --from-run does what it left', async () => {
  const fleet = await createFleet({ schemas: schemas.length, migrations, inventory: { timeouts: patientTimeouts } });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t03', 'tenant_t05');
  const killed = spawnCli('migrate --all --concurrency 2 --json', fleet.folder);
  await barrier.waiting(2);
  killed.kill('SIGKILL');
  await killed.ended;
  await barrier.open('tenant_t03', 'tenant_t05');
  const { readdir } = await import('node:fs/promises');
  const [run] = await readdir(`${fleet.folder}/.tenantctl/runs`);
  const report = await fleet.json(`migrate --from-run ${run}`);
  expect(report.exitCode).toBe(0);
  // Of those that were done, at most the last ones were not written down yet.
  expect(report.outcomes.map(({ tenant }) => tenant)).toEqual(
    expect.arrayContaining(['t03', 't05', 't06', 't07', 't08']),
  );
  for (const schema of schemas) expect(await fleet.history(schema)).toEqual(names);
});

test('killed between two statements without a transaction: done once more, from where the history stands', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_one.sql': tableMigration('one'),
      '0002_long.sql': `-- tenantctl:no-transaction\nCREATE TABLE IF NOT EXISTS long (id int);\n${passBarrier};\nINSERT INTO long VALUES (1);`,
    },
    inventory: { timeouts: patientTimeouts },
  });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01');
  const killed = spawnCli('migrate --all --json', fleet.folder);
  const [backend] = await barrier.waiting(1);
  killed.kill('SIGKILL');
  await killed.ended;
  await barrier.open('tenant_t01');
  await eventually('the backend has gone', async () => {
    const rows = await fleet.db.query('select from pg_stat_activity where pid = $1', [backend]);
    return rows.length === 0 ? rows : null;
  });
  expect(await fleet.history('tenant_t01')).toEqual(['0001_one']);
  expect((await fleet.json('migrate --all')).of('t01').value?.applied).toEqual(['0002_long']);
  expect(await fleet.db.query('select id from tenant_t01.long')).toEqual([{ id: 1 }]);
});

/** Until a second session of each of these tenants is there, and its statement has ended: it waits by polling. */
async function waitersFor(fleet: TestFleet, stuck: readonly string[]): Promise<void> {
  await eventually('a second session stands at each tenant', async () => {
    const rows = await fleet.db.query<{ tenant: string }>(
      `select right(application_name, 3) as tenant from pg_stat_activity
        where datname = current_database() and application_name like 'tenantctl/%/t__'
        group by 1 having count(*) >= 2`,
    );
    return rows.length === stuck.length ? rows : null;
  });
}
