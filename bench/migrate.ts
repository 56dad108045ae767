// `npm run bench migrate`: start-up, a run with nothing to do, 1,000 schemas x 5 migrations against psql and against a
// loop over node-pg-migrate's own command line, and what an application feels of it.
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { quoteIdentifier } from '../src/postgres/identifiers.ts';
import { makeSchemas, migrationText, writeFleet, writeInventory } from './fleets.ts';
import { measureLiveFleet } from './live.ts';
import {
  type Bench,
  clientProgram,
  median,
  middle,
  note,
  report,
  seconds,
  type Timing,
  tenantctl,
  time,
  withBench,
} from './support.ts';

const schemaCount = 1000;
const parallelism = 4;
const rounds = 3;
/** The loop is measured on this many schemas and not on all: it would take minutes. */
const loopSample = 40;

export async function measure(): Promise<void> {
  await withBench(async (bench) => {
    await measureStartUp();
    await measureNothingToDo(bench);
    await measureMigrations(bench);
    await measureLiveFleet(bench, schemaCount);
    await measureMemory(bench);
  });
}

async function measureStartUp(): Promise<void> {
  const floor = await median(15, () => time([process.execPath, '-e', '0']));
  const version = await median(15, () => time([...tenantctl, '--version']));
  const ratio = version.ms / floor.ms;
  report(
    'tenantctl --version',
    `${ratio.toFixed(2)} x node -e 0 (${seconds(version.ms)} to ${seconds(floor.ms)})`,
    '2.5',
    ratio <= 2.5,
  );
}

async function measureNothingToDo(bench: Bench): Promise<void> {
  const applied = 300;
  const folder = await writeFleet(bench, 'current', 'current', applied);
  await makeSchemas(bench, 'current', schemaCount);
  const session = await bench.connect('current');
  await session.raw(`DO $$ BEGIN FOR i IN 1..${schemaCount} LOOP
    EXECUTE format('CREATE TABLE t_%s.pgmigrations (id serial PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL, checksum text)', i);
    EXECUTE format('INSERT INTO t_%s.pgmigrations (name, run_on, checksum) SELECT name, now(), checksum FROM public.applied ORDER BY name', i);
    IF i % 100 = 0 THEN COMMIT; END IF;
  END LOOP; END $$`);
  await session.raw('VACUUM ANALYZE');
  await session.end();
  const version = await median(15, () => time([...tenantctl, '--version']));
  const run = await median(15, () => time([...tenantctl, 'migrate', '--all'], { cwd: folder }));
  const ratio = run.ms / version.ms;
  report(
    `migrate --all, ${schemaCount} current schemas with ${applied} applied migrations each`,
    `${ratio.toFixed(2)} x tenantctl --version (${seconds(run.ms)} to ${seconds(version.ms)})`,
    '5',
    ratio <= 5,
  );
}

async function measureMigrations(bench: Bench): Promise<void> {
  const count = 5;
  const folder = await writeFleet(bench, 'work', 'work', count);
  const floors: Timing[] = [];
  const runs: Timing[] = [];
  // In turns, each in a database of its own: what else the machine does hits both alike.
  for (let round = 1; round <= rounds; round += 1) {
    await makeSchemas(bench, `by_psql_${round}`, schemaCount);
    floors.push({ ms: await runPsql(bench, folder, `by_psql_${round}`, count), peakBytes: 0 });
    await makeSchemas(bench, `by_us_${round}`, schemaCount);
    const inventory = await writeInventory(bench, folder, `by_us_${round}`);
    const words = ['migrate', '--all', '-c', inventory, '--per-database', String(parallelism)];
    runs.push(await time([...tenantctl, ...words], { cwd: folder }));
  }
  const [floor, ours] = [middle(floors).ms, middle(runs)];
  const toPsql = ours.ms / floor;
  report(
    `migrate --all, ${schemaCount} schemas x ${count} migrations`,
    `${toPsql.toFixed(2)} x psql with ${parallelism} workers (${seconds(ours.ms)} to ${seconds(floor)})`,
    '1.25',
    toPsql <= 1.25,
  );
  await makeSchemas(bench, 'by_loop', schemaCount);
  const loop = ((await runLoop(bench, folder)) * schemaCount) / loopSample;
  const faster = loop / ours.ms;
  report(
    'the same as a loop over the command line of node-pg-migrate',
    `${faster.toFixed(1)} x as fast (${seconds(loop)}, from ${loopSample} schemas)`,
    'at least 8',
    faster >= 8,
  );
}

async function measureMemory(bench: Bench): Promise<void> {
  const tenants = 5000;
  const folder = await writeFleet(bench, 'many', 'many', 1);
  await makeSchemas(bench, 'many', tenants);
  const run = await time([...tenantctl, 'migrate', '--all'], { cwd: folder, peak: true });
  const again = await time([...tenantctl, 'migrate', '--all'], { cwd: folder, peak: true });
  const peak = Math.max(run.peakBytes, again.peakBytes);
  const megabytes = Math.round(peak / 1e6);
  report(`peak memory with ${tenants} tenants`, `${megabytes} MB`, '200 MB', peak < 200e6);
  note(`${tenants} schemas x 1 migration took ${seconds(run.ms)}, the run after it ${seconds(again.ms)}`);
}

/** The floor: one psql a worker, which runs the same statements in the same transactions, and records them. */
async function runPsql(bench: Bench, folder: string, database: string, count: number): Promise<number> {
  const { socketDir, port } = bench.cluster;
  const files = Array.from({ length: count }, (_, index) => index + 1);
  const scripts = Array.from({ length: parallelism }, () => [] as string[]);
  for (let tenant = 1; tenant <= schemaCount; tenant += 1) {
    const schema = quoteIdentifier(`t_${tenant}`);
    const rows = files.map((number) => `('${String(number).padStart(4, '0')}_create_table_${number}', now(), 'x')`);
    scripts[tenant % parallelism]?.push(
      'BEGIN;',
      `SET LOCAL search_path TO ${schema};`,
      `CREATE TABLE ${schema}.pgmigrations (id SERIAL PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL, checksum text);`,
      ...files.map(migrationText),
      `INSERT INTO ${schema}.pgmigrations (name, run_on, checksum) VALUES ${rows.join(', ')};`,
      'COMMIT;',
    );
  }
  const started = performance.now();
  await Promise.all(
    scripts.map(async (lines, worker) => {
      const file = path.join(folder, `worker-${worker}.sql`);
      await writeFile(file, lines.join('\n'));
      await time([
        clientProgram(bench, 'psql'),
        '-X',
        '-q',
        '-v',
        'ON_ERROR_STOP=1',
        '-h',
        socketDir,
        '-p',
        String(port),
        '-U',
        'postgres',
        '-f',
        file,
        database,
      ]);
    }),
  );
  return performance.now() - started;
}

/** What people have today: a shell loop that starts node-pg-migrate once a schema. */
async function runLoop(bench: Bench, folder: string): Promise<number> {
  const cli = createRequire(import.meta.url).resolve('node-pg-migrate/bin/node-pg-migrate');
  const started = performance.now();
  for (let tenant = 1; tenant <= loopSample; tenant += 1) {
    const words = ['up', '--schema', `t_${tenant}`, '--migrations-dir', path.join(folder, 'migrations')];
    await time([process.execPath, cli, ...words], {
      cwd: folder,
      env: { ...process.env, DATABASE_URL: bench.cluster.url('by_loop') },
    });
  }
  return performance.now() - started;
}
