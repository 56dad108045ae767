import { expect, test } from 'vitest';
import { createFleet } from '../../support/fleet.ts';
import { threeTables } from '../../support/migrations.ts';

/** t01 and t02 ran the first file as it was, t03 ran nothing. */
async function editedFleet() {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  await fleet.run('migrate -t t01 t02 --to 0002');
  await fleet.write('0001_one.sql', `-- reworded\n${threeTables['0001_one.sql']}`);
  expect((await fleet.run('migrate --all')).exitCode).toBe(5);
  return fleet;
}

test('an edit is shown, accepted by a person, and then the run goes on', async () => {
  const fleet = await editedFleet();
  const dry = await fleet.run('migrate repair --all --dry-run');
  expect(dry.exitCode).toBe(0);
  expect(dry.stdout).toContain('migrations/0001_one.sql was edited since 2 tenants ran it');
  expect((await fleet.run('migrate --all')).exitCode).toBe(5);
  const { exitCode, questions } = await fleet.run('migrate repair --all', { answers: ['test'] });
  expect([exitCode, questions.length]).toEqual([0, 1]);
  const report = await fleet.json('migrate --all');
  expect(report.outcomes.map(({ value }) => value?.applied)).toEqual([
    ['0003_three'],
    ['0003_three'],
    ['0001_one', '0002_two', '0003_three'],
  ]);
});

test('only the edited ones of the selected tenants are written', async () => {
  const fleet = await editedFleet();
  const report = await fleet.json('migrate repair -t t01 t03 --yes');
  expect(report.outcomes.map(({ tenant, value }) => [tenant, (value as { repaired?: unknown }).repaired])).toEqual([
    ['t01', ['0001_one']],
    ['t03', []],
  ]);
  expect((await fleet.run('migrate -t t01')).exitCode).toBe(0);
  expect((await fleet.run('migrate -t t02')).exitCode).toBe(5);
  expect(await fleet.history('tenant_t03')).toBeNull();
});

test.each([[{ answers: ['no'] }], [{}]])('not without consent: %j', async (options) => {
  const fleet = await editedFleet();
  expect((await fleet.run('migrate repair --all', options)).exitCode).toBe(5);
  expect((await fleet.run('migrate --all')).exitCode).toBe(5);
});
