import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tellUnswept } from '../../../src/commands/runs/unswept.ts';
import { readRun } from '../../../src/fleet/run-records.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { makeContext } from '../../support/in-fleet.ts';
import { threeTables } from '../../support/migrations.ts';

/** What is said at the end of a resumed run: notes with their hints. */
async function told(fleet: TestFleet, run: string, config: string | null = null) {
  const at = makeContext(fleet.folder);
  const state = join(fleet.folder, '.tenantctl');
  await tellUnswept(at.context, state, await readRun(state, run), config);
  return at.events.map((event) => (event.type === 'notice' ? `${event.message}: ${event.hint}` : event.type));
}

async function failedRun(argv: string) {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  await fleet.db.query('create table tenant_t02.two ()');
  const { run } = await fleet.json(argv);
  return { fleet, run: run! };
}

const unseen = 'nobody looked for tenants that were born since run';

test('the command for those born since is the selection of the first run, however often it was resumed', async () => {
  const { fleet, run } = await failedRun('migrate --all --except t0?x other');
  const expected = `${unseen} ${run} began: migrate those too: tenantctl migrate --all --except 't0?x' other`;
  expect(await told(fleet, run)).toEqual([expected]);
  const again = await fleet.json(`runs resume ${run}`);
  expect(await told(fleet, again.run!)).toEqual([expected]);
  expect(await told(fleet, run, 'x y.yaml')).toEqual([
    expect.stringContaining("tenantctl migrate --config 'x y.yaml' --all"),
  ]);
});

test('nothing where nobody was to be looked for', async () => {
  const { fleet, run } = await failedRun('migrate --all --no-sweep');
  expect(await told(fleet, run)).toEqual([]);
  const down = await fleet.json('migrate down --tenant t01 --yes');
  expect(await told(fleet, down.run!)).toEqual([]);
});
