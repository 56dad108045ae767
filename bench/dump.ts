// `npm run bench dump`: an archive for each schema of one database, against one pg_dump of the whole database and against
// a loop of `pg_dump -n`; at 200, 500, 1,000 and 2,000 schemas of 20 tables.
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { writeInventory } from './fleets.ts';
import {
  type Bench,
  clientProgram,
  middle,
  note,
  report,
  seconds,
  type Timing,
  tenantctl,
  time,
  withBench,
} from './support.ts';

const database = 'saas';
/** `npm run bench dump 1000`: that size alone. */
const [, , , onlySize] = process.argv;
const sizes = onlySize === undefined ? [200, 500, 1000, 2000] : [Number(onlySize)];
/** The size that the promises are made for. */
const promised = 1000;
const rounds = 3;
/** The loop is measured on this many schemas and not on all: it would take an hour. */
const loopSample = 4;
/** Room for a lock on each table and each sequence of 2,000 schemas. */
const raisedLocks = 1024;

export async function measure(): Promise<void> {
  // Nothing is set: as many connections and locks as PostgreSQL has by default.
  await withBench(measureGrowth, {});
}

interface Measured {
  readonly count: number;
  readonly ours: Timing;
  readonly raised: Timing;
  readonly whole: Timing;
}

async function measureGrowth(bench: Bench): Promise<void> {
  const folder = path.join(bench.folder, 'dump');
  await mkdir(folder);
  await writeInventory(bench, folder, database);
  await runSql(bench, 'postgres', `CREATE DATABASE ${database}`);
  const measured: Measured[] = [];
  for (const [index, count] of sizes.entries()) {
    await addSchemas(bench, (sizes[index - 1] ?? 0) + 1, count);
    measured.push(await measureSize(bench, folder, count));
    if (count === promised) await reportPromised(bench, measured.at(-1)!);
  }
  reportGrowth(measured);
}

/** In turns: what else the machine does hits all alike. */
async function measureSize(bench: Bench, folder: string, count: number): Promise<Measured> {
  const ours: Timing[] = [];
  const raised: Timing[] = [];
  const whole: Timing[] = [];
  for (let round = 0; round < (count === promised ? rounds : 2); round += 1) {
    await setLocks(bench, null);
    ours.push(await dumpFleet(folder));
    await setLocks(bench, raisedLocks);
    raised.push(await dumpFleet(folder));
    whole.push(await dumpWhole(bench, folder));
  }
  const result = { count, ours: middle(ours), raised: middle(raised), whole: middle(whole) };
  note(
    `${count} schemas: ${seconds(result.ours.ms)} with default locks, ${seconds(result.raised.ms)} with ${raisedLocks} a transaction, one pg_dump of all ${seconds(result.whole.ms)}`,
  );
  return result;
}

async function reportPromised(bench: Bench, { count, ours, whole }: Measured): Promise<void> {
  const ratio = ours.ms / whole.ms;
  report(
    `dump --all, ${count} schemas x 20 tables, default locks`,
    `${ratio.toFixed(2)} x one pg_dump of the whole database (${seconds(ours.ms)} to ${seconds(whole.ms)})`,
    '1.3',
    ratio <= 1.3,
  );
  const loop = ((await loopDumps(bench)) * count) / loopSample;
  const faster = loop / ours.ms;
  report(
    'the same as a loop of pg_dump -n',
    `${faster.toFixed(0)} x as fast (${seconds(loop)}, from ${loopSample} schemas)`,
    'at least 40',
    faster >= 40,
  );
  const megabytes = Math.round(ours.peakBytes / 1e6);
  report(`peak memory with ${count} tenants`, `${megabytes} MB`, '300 MB', ours.peakBytes < 300e6);
}

function reportGrowth(measured: readonly Measured[]): void {
  for (const [what, of] of [
    ['default locks', ({ ours }: Measured) => ours],
    [`${raisedLocks} locks a transaction`, ({ raised }: Measured) => raised],
  ] as const) {
    const costs = measured.map((each) => of(each).ms / each.count);
    const growth = Math.max(...costs) / (costs[0] ?? 1);
    const list = measured.map(({ count }, index) => `${(costs[index] ?? 0).toFixed(1)} ms at ${count}`).join(', ');
    report(`cost a tenant, ${what}`, `${growth.toFixed(2)} x that of ${sizes[0]} (${list})`, '1.25', growth <= 1.25);
  }
}

async function dumpFleet(folder: string): Promise<Timing> {
  const to = path.join(folder, 'backups');
  const timing = await time([...tenantctl, 'dump', '--all', '--store', to], { cwd: folder, peak: true });
  await rm(to, { recursive: true });
  return timing;
}

async function dumpWhole(bench: Bench, folder: string): Promise<Timing> {
  return time([
    clientProgram(bench, 'pg_dump'),
    '-Fc',
    '-f',
    path.join(folder, 'whole.dump'),
    bench.cluster.url(database),
  ]);
}

async function loopDumps(bench: Bench): Promise<number> {
  const to = path.join(bench.folder, 'one.dump');
  let ms = 0;
  for (let schema = 1; schema <= loopSample; schema += 1) {
    const words = ['-Fc', '-n', `t_${schema}`, '-f', to, bench.cluster.url(database)];
    ms += (await time([clientProgram(bench, 'pg_dump'), ...words])).ms;
  }
  return ms;
}

async function setLocks(bench: Bench, locks: number | null): Promise<void> {
  await runSql(
    bench,
    'postgres',
    `ALTER SYSTEM ${locks === null ? 'RESET' : 'SET'} max_locks_per_transaction${locks === null ? '' : ` = ${locks}`}`,
  );
  await bench.cluster.restart('fast');
}

/** Each with 20 tables of an identity, two columns, an index and 20 rows. */
async function addSchemas(bench: Bench, from: number, to: number): Promise<void> {
  for (let first = from; first <= to; first += 50) {
    await runSql(
      bench,
      database,
      `DO $$ BEGIN
        FOR i IN ${first}..${Math.min(to, first + 49)} LOOP
          EXECUTE format('CREATE SCHEMA t_%s', i);
          FOR j IN 1..20 LOOP
            EXECUTE format('CREATE TABLE t_%1$s.table_%2$s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner_id bigint NOT NULL, name text NOT NULL);
              CREATE INDEX ON t_%1$s.table_%2$s (owner_id);
              INSERT INTO t_%1$s.table_%2$s (owner_id, name) SELECT g, md5(g::text) FROM generate_series(1, 20) g', i, j);
          END LOOP;
        END LOOP;
      END $$`,
    );
  }
  await runSql(bench, database, 'VACUUM ANALYZE');
}

async function runSql(bench: Bench, name: string, text: string): Promise<void> {
  const session = await bench.connect(name);
  await session.raw(text);
  await session.end();
}
