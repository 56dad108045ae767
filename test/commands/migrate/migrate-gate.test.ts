import { describe, expect, test } from 'vitest';
import { neededFor } from '../../../src/migrations/gate.ts';
import { createFleet, type FleetReport } from '../../support/fleet.ts';
import { threeTables } from '../../support/migrations.ts';

type GateReport = FleetReport & { readonly gate: unknown };

/** t01 to t08 have everything, t09 stops at the second, t10 has nothing. */
async function lateFleet() {
  const fleet = await createFleet({ schemas: 10, migrations: threeTables });
  await fleet.run('migrate -t t01 t02 t03 t04 t05 t06 t07 t08');
  await fleet.run('migrate -t t09 --to 0002');
  return fleet;
}

test('closed: says who is behind, how many there are of each, and ends with 1', async () => {
  const fleet = await lateFleet();
  const { exitCode, stdout } = await fleet.run('migrate gate --all --at-least 0002');
  expect(exitCode).toBe(1);
  expect(stdout).toContain(`environment test: gate closed: 9 of 10 tenants at least at 0002_two
8 at 0003_three, 1 at 0002_two, 1 without history
behind: t10
`);
  const report = (await fleet.json('migrate gate --all --at-least 0003_three.sql')) as GateReport;
  expect(report.gate).toEqual({ atLeast: '0003_three', quorum: '100%', there: 8, total: 10, passed: false });
  expect(report.of('t09')).toMatchObject({
    finding: true,
    value: { there: false, version: '0002_two', missing: ['0003_three'] },
  });
  expect([report.exitCode, report.totals.findings]).toEqual([1, 2]);
});

test('open: the selection counts, and what came after the migration does not matter', async () => {
  const fleet = await lateFleet();
  expect((await fleet.run('migrate gate --all --except t10 --at-least 0002')).exitCode).toBe(0);
  await fleet.write('0002_zwei.sql', 'select 1;');
  // A file that came in between is one of those before 0003.
  expect((await fleet.run('migrate gate -t t01 --at-least 0003')).exitCode).toBe(1);
  expect((await fleet.run('migrate gate -t t01 --at-least 0002_two')).exitCode).toBe(0);
});

test.each([
  ['80%', 0],
  ['8', 0],
  ['81%', 1],
  ['9', 1],
])('a quorum of %s ends with %i', async (quorum, exitCode) => {
  const fleet = await lateFleet();
  const report = (await fleet.json(`migrate gate --all --at-least 0003 --quorum ${quorum}`)) as GateReport;
  expect([report.exitCode, report.gate]).toEqual([
    exitCode,
    { atLeast: '0003_three', quorum, there: 8, total: 10, passed: exitCode === 0 },
  ]);
  // An open gate has no findings, whoever is late.
  expect(report.totals.findings).toBe(exitCode === 0 ? 0 : 2);
  expect(report.of('t10')).toMatchObject({ finding: exitCode === 1, value: { there: false } });
});

test('who cannot be read is not there, and keeps the gate closed whatever the quorum', async () => {
  const fleet = await createFleet({ schemas: { a: 'a', b: 'b', c: 'c' }, migrations: threeTables });
  await fleet.run('migrate --all');
  await fleet.db.query('drop schema c cascade');
  const report = (await fleet.json('migrate gate --all --at-least 0003 --quorum 50%')) as GateReport;
  expect([report.exitCode, report.gate]).toEqual([
    3,
    { atLeast: '0003_three', quorum: '50%', there: 2, total: 3, passed: false },
  ]);
});

test('a quorum of more tenants than are selected is not met', async () => {
  const fleet = await lateFleet();
  const report = (await fleet.json('migrate gate -t t01 --at-least 0001 --quorum 2')) as GateReport;
  expect([report.exitCode, report.gate]).toMatchObject([1, { there: 1, total: 1, passed: false }]);
});

test('a shared schema that is behind is told, and does not close the gate', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0001_a.sql': 'create table a ();', 'shared/0001_s.sql': 'create table s ();' },
  });
  await fleet.writeInventory({
    shared: [{ server: 'main', database: fleet.db.name, schema: 'public', migrations: './migrations/shared' }],
  });
  await fleet.run('migrate --all');
  await fleet.write('shared/0002_t.sql', 'create table t ();');
  const { exitCode, stdout } = await fleet.run('migrate gate --all --at-least 0001');
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('has 1 migration pending; it does not count')]);
});

describe('what is not understood', () => {
  test.each([
    ['migrate gate --all', '--at-least 0142'],
    ['migrate gate --all --at-least 0009', 'no migration is named 0009'],
    ['migrate gate --all --at-least 0001 --quorum 0', '--quorum 0 would let everything pass'],
    ['migrate gate --all --at-least 0001 --quorum 0%', '--quorum 0 would let everything pass'],
    ['migrate gate --all --at-least 0001 --quorum most', '--quorum takes a number or a percentage'],
    ['migrate gate --at-least 0001', 'no tenant is selected'],
  ])('%s', async (argv, words) => {
    const fleet = await createFleet({ schemas: 1, migrations: threeTables });
    const { exitCode, stderr } = await fleet.run(argv);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(words)]);
  });
});

test.each([
  [{ percent: 99.7 }, 1000, 997],
  [{ percent: 99 }, 3, 3],
  [{ percent: 50 }, 3, 2],
  [{ percent: 100 }, 0, 0],
  [{ count: 4 }, 3, 4],
])('%j of %i is %i', (quorum, total, needed) => expect(neededFor(quorum, total)).toBe(needed));
