// `npm run bench hibernate [schemas]`: of 1,000 schemas of one database the 200 idle ones are put to sleep by archive and
// woken; the other 800, and those that were woken, must read as before. Beside it a loop of pg_dump, drop and pg_restore.
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { identifier, sql } from '../src/postgres/sql.ts';
import { runSql } from './drift-fleet.ts';
import { writeInventory } from './fleets.ts';
import {
  type Bench,
  clientProgram,
  note,
  report,
  seconds,
  type Timing,
  tenantctl,
  time,
  withBench,
} from './support.ts';

const database = 'saas';
const count = Number(process.argv[3] ?? 1000);
/** Every fifth is idle. */
const idleCount = Math.ceil(count / 5);
/** The loop is measured on so few: each costs the whole catalogue. */
const loopSample = Math.min(4, count - idleCount);
/** Schemas that one transaction makes. */
const schemasAtOnce = 50;

export async function measure(): Promise<void> {
  // Room for the locks of a plain pg_dump of all of it, which reads the fingerprints here.
  await withBench(measureSleep, { max_connections: 60, max_locks_per_transaction: 512 });
}

async function measureSleep(bench: Bench): Promise<void> {
  const folder = path.join(bench.folder, 'hibernate');
  await mkdir(path.join(folder, 'migrations'), { recursive: true });
  await writeInventory(bench, folder, database);
  await makeSchemas(bench);
  const [busy, idle] = [
    ['-N', 't_idle_*'],
    ['-n', 't_idle_*'],
  ];
  const before = { busy: await fingerprint(bench, busy), idle: await fingerprint(bench, idle) };

  const slept = await runFleet(folder, ['hibernate', '--yes', '--scratch', 'main']);
  const sizes = slept.outcomes.map(({ value }) => value);
  const [onDisk, left, archived] = [
    sum(sizes.map(({ sizeBeforeBytes }) => sizeBeforeBytes ?? 0)),
    sum(sizes.map(({ sizeAfterBytes }) => sizeAfterBytes ?? 0)),
    sum(sizes.map(({ backup }) => backup?.sizeBytes ?? 0)),
  ];
  const tenants = `${idleCount} of ${count} schemas`;
  note(`hibernate, ${tenants}: ${perTenant(slept.timing, idleCount)}`);
  report(
    `sizes that the report tells`,
    `${kilobytes(onDisk)} on disk before, ${kilobytes(left)} after, ${kilobytes(archived)} of archives`,
    'nothing on disk',
    onDisk > 0 && left === 0,
  );
  reportEqual(`the other ${count - idleCount} schemas, by pg_dump`, before.busy, await fingerprint(bench, busy));

  const woken = await runFleet(folder, ['wake']);
  note(`wake, ${tenants}: ${perTenant(woken.timing, idleCount)}`);
  reportEqual(`the ${idleCount} that were woken, by pg_dump`, before.idle, await fingerprint(bench, idle));
  reportEqual(`the other ${count - idleCount} schemas, by pg_dump`, before.busy, await fingerprint(bench, busy));
  await measureLoop(bench, slept.timing, woken.timing);
}

interface Slept {
  readonly value: {
    readonly sizeBeforeBytes?: number;
    readonly sizeAfterBytes?: number;
    readonly backup?: { readonly sizeBytes: number } | null;
  };
}

/** One command over the idle ones; fails when one of them is not done. */
async function runFleet(
  folder: string,
  command: readonly string[],
): Promise<{ readonly timing: Timing; readonly outcomes: readonly Slept[] }> {
  const [name = ''] = command;
  const file = path.join(folder, `${name}.json`);
  const words = [...command, '-t', 'idle_*', '--store', path.join(folder, 'backups'), '-o', `json=${file}`];
  const timing = await time([...tenantctl, ...words], { cwd: folder, peak: true });
  const { outcomes } = JSON.parse(await readFile(file, 'utf8')) as { readonly outcomes: readonly Slept[] };
  note(`peak memory of ${name}: ${Math.round(timing.peakBytes / 1e6)} MB`);
  return { timing, outcomes };
}

/** What a person would do by hand: nobody is shut out, and no archive is tried out before its schema is dropped. */
async function measureLoop(bench: Bench, slept: Timing, woken: Timing): Promise<void> {
  let [sleepMs, wakeMs] = [0, 0];
  const url = bench.cluster.url(database);
  const file = path.join(bench.folder, 'loop.dump');
  for (let number = 1; number <= loopSample; number += 1) {
    const schema = `t_${number}`;
    sleepMs += (await time([clientProgram(bench, 'pg_dump'), '-Fc', '-n', schema, '-f', file, url])).ms;
    sleepMs += (await time([clientProgram(bench, 'psql'), '-qc', `DROP SCHEMA ${schema} CASCADE`, url])).ms;
    wakeMs += (await time([clientProgram(bench, 'pg_restore'), '-d', url, file])).ms;
  }
  const sleepLoop = { ms: (sleepMs * idleCount) / loopSample, peakBytes: 0 };
  const wakeLoop = { ms: (wakeMs * idleCount) / loopSample, peakBytes: 0 };
  note(
    `a loop of pg_dump -n and DROP SCHEMA, without fence and proof, from ${loopSample} schemas: ${compare(sleepLoop, slept)}`,
  );
  note(`a loop of pg_restore, without comparing, from ${loopSample} schemas: ${compare(wakeLoop, woken)}`);
}

function compare(loop: Timing, ours: Timing): string {
  return `${perTenant(loop, idleCount)}, ${(loop.ms / ours.ms).toFixed(1)} x as long`;
}

function perTenant({ ms }: Timing, tenants: number): string {
  return `${seconds(ms)}, ${(ms / tenants).toFixed(0)} ms a tenant`;
}

/** Each with 5 tables of 50 rows and an application that is no superuser: `t_1` and so on, and the idle ones, `t_idle_1`. */
async function makeSchemas(bench: Bench): Promise<void> {
  const admin = await bench.connect('postgres');
  await admin.query(sql`CREATE DATABASE ${identifier(database)}`);
  await admin.query(sql`CREATE ROLE app LOGIN`);
  await admin.end();
  for (let first = 1; first <= count; first += schemasAtOnce) {
    await runSql(
      bench,
      database,
      `DO $$ DECLARE s text; BEGIN
        FOR i IN ${first}..${Math.min(count, first + schemasAtOnce - 1)} LOOP
          s := CASE WHEN i > ${count - idleCount} THEN 't_idle_' || i ELSE 't_' || i END;
          EXECUTE format('CREATE SCHEMA %I', s);
          FOR j IN 1..5 LOOP
            EXECUTE format('CREATE TABLE %1$I.table_%2$s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner_id bigint NOT NULL, name text NOT NULL);
              CREATE INDEX ON %1$I.table_%2$s (owner_id);
              INSERT INTO %1$I.table_%2$s (owner_id, name) SELECT g, md5(g::text) FROM generate_series(1, 50) g', s, j);
          END LOOP;
          EXECUTE format('GRANT USAGE ON SCHEMA %1$I TO app; GRANT ALL ON ALL TABLES IN SCHEMA %1$I TO app', s);
        END LOOP;
      END $$`,
    );
  }
  await runSql(bench, database, 'VACUUM ANALYZE');
}

/** A hash of what pg_dump writes of some of the schemas: rows, rights and all. */
async function fingerprint(bench: Bench, which: readonly string[]): Promise<string> {
  const file = path.join(bench.folder, 'fingerprint.sql');
  const words = [...which, '-N', 'tenantctl', '-f', file, bench.cluster.url(database)];
  await time([clientProgram(bench, 'pg_dump'), ...words]);
  const text = (await readFile(file, 'utf8')).replace(/^\\(?:un)?restrict .*\n/gm, '');
  return createHash('sha256').update(text).digest('hex');
}

function reportEqual(what: string, before: string, after: string): void {
  report(what, before === after ? 'the same' : 'not the same', 'the same', before === after);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1e3)} kB`;
}
