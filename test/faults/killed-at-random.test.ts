import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type RunRecord, readRun } from '../../src/fleet/run-records.ts';
import { createFleet, numbered, type TestFleet } from '../support/fleet.ts';
import { makeRandom, type Random, testSeeds } from '../support/random.ts';
import { inAMinute, recordedRuns } from '../support/records.ts';
import { type SpawnedCli, spawnCli } from '../support/spawn-cli.ts';

const schemas = numbered('tenant_t', 200);
const names = ['0001_seen', '0002_more', '0003_last'];
const soak = process.env.TENANTCTL_SOAK === '1';

// No key and no unique column: what is run twice is there twice.
const fleet = await createFleet({
  until: 'file',
  schemas: schemas.length,
  migrations: {
    '0001_seen.sql': "CREATE TABLE IF NOT EXISTS seen (name text); INSERT INTO seen VALUES ('0001_seen');",
    '0002_more.sql': "INSERT INTO seen VALUES ('0002_more');",
    '0003_last.js': 'exports.up = (pgm) => pgm.sql("INSERT INTO seen VALUES (\'0003_last\')");',
  },
});

test.each(testSeeds(soak ? 50 : 1))(
  'killed at any moment of a run over 200 tenants, seed %i: the same command brings each to the end once',
  async (seed) => {
    const random = makeRandom(seed);
    await startAnew(fleet);
    const argv = `migrate --all --concurrency ${random.pick([2, 4, 8])}`;
    const killed = spawnCli(`${argv} -o ndjson`, fleet.folder);
    await killAtAMoment(killed, random);
    const record = await readKilled(fleet);
    const whoSaysDone = [...(record?.entries.values() ?? [])].filter(({ status }) => status === 'done');
    // What the record says is done was committed before it was said.
    for (const { tenant } of whoSaysDone) expect(await fleet.history(`tenant_${tenant}`), tenant).toEqual(names);

    const report = await fleet.json(argv);
    expect([report.exitCode, report.totals.done]).toEqual([0, schemas.length]);
    expect(await whatWasSeen(fleet)).toEqual(Object.fromEntries(schemas.map((schema) => [schema, names.join(' ')])));
    const again = await fleet.json(argv);
    expect([again.exitCode, again.run]).toEqual([0, null]);
  },
);

/** At once, while it reads, or when it has said so many lines: one for each tenant that is done. */
async function killAtAMoment(running: SpawnedCli, random: Random): Promise<void> {
  const lines = random.chance(0.15) ? 0 : random.between(1, schemas.length + 3);
  const ended = running.ended.then(() => 'ended' as const);
  const said = running.stdoutLines(lines).then(() => 'said' as const);
  if ((await Promise.race([ended, said])) === 'said') running.kill('SIGKILL');
  const { killedBy, exitCode } = await running.ended;
  // The last lines are said when all is done, so that it may have been quicker.
  expect(killedBy === 'SIGKILL' || exitCode === 0).toBe(true);
}

/** The record of the killed run, by all that read it; null when it was killed before it had one. */
async function readKilled({ folder, run }: TestFleet): Promise<RunRecord | null> {
  const list = await run('runs list --json', inAMinute);
  expect([list.exitCode, list.stderr]).toEqual([0, '']);
  const [listed] = (JSON.parse(list.stdout) as { runs: { run: string; state: string }[] }).runs;
  if (listed === undefined || listed.state === 'unreadable') return null;
  const shown = await run(`runs show ${listed.run}`, inAMinute);
  expect([shown.stderr, shown.stdout]).toEqual(['', expect.stringContaining(`run ${listed.run}: migrate`)]);
  const record = await readRun(join(folder, '.tenantctl'), listed.run);
  expect(record.tenants).toHaveLength(schemas.length);
  return record;
}

async function whatWasSeen({ db }: TestFleet): Promise<Record<string, string>> {
  const rows = await db.query<{ schema: string; seen: string }>(
    schemas
      .map(
        (schema) => `select '${schema}' as schema, concat_ws(' | ',
          (select string_agg(name, ' ' order by name) from ${schema}.seen),
          nullif((select string_agg(name, ' ' order by id) from ${schema}.pgmigrations), '${names.join(' ')}')) as seen`,
      )
      .join(' union all '),
  );
  return Object.fromEntries(rows.map(({ schema, seen }) => [schema, seen]));
}

async function startAnew({ folder, db }: TestFleet): Promise<void> {
  await rm(join(folder, '.tenantctl'), { recursive: true, force: true });
  const drops = schemas.map((schema) => `drop table if exists ${schema}.seen, ${schema}.pgmigrations`);
  // In parts: a transaction over all of them would need more locks than the server has room for.
  for (let start = 0; start < drops.length; start += 50) await db.query(drops.slice(start, start + 50).join(';'));
  expect(await recordedRuns({ folder }).catch(() => [])).toEqual([]);
}
