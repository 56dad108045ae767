// What an application feels of a fleet migration: pgbench reads and writes one tenant's table, alone and then while
// `migrate --all` changes that table in every schema of its database.
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeSchemas, writeFleet } from './fleets.ts';
import { type Bench, clientProgram, note, report, seconds, tenantctl, time } from './support.ts';

/** The default of the inventory's `timeouts.lock`. */
const lockTimeoutMs = 2000;
const rows = 10_000;
const load = { clients: 4, perSecond: 200 };
/** pgbench goes on for some time after the migration, so that all of it is seen. */
const spareMs = 3000;

const script = (table: string) => `\\set id random(1, ${rows})
SELECT name FROM ${table} WHERE id = :id;
UPDATE ${table} SET name = 'at ' || :id WHERE id = :id;
`;

const release = {
  '0002_note.sql': 'ALTER TABLE table_1 ADD COLUMN note text;\n',
  '0003_more.sql': 'CREATE TABLE table_2 (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);\n',
};

export async function measureLiveFleet(bench: Bench, schemaCount: number): Promise<void> {
  if (!(await isThere(clientProgram(bench, 'pgbench')))) {
    note('live fleet: not measured, there is no pgbench among the client programs');
    return;
  }
  const folder = await writeFleet(bench, 'live', 'live', 1);
  await makeSchemas(bench, 'live', schemaCount);
  const first = await time([...tenantctl, 'migrate', '--all'], { cwd: folder });
  const table = `t_${Math.ceil(schemaCount / 2)}.table_1`;
  await fill(bench, table);
  for (const [name, text] of Object.entries(release)) await writeFile(path.join(folder, 'migrations', name), text);

  // As long as the migration that made the tables, and once more: the release is shorter.
  const durationMs = 2 * first.ms + spareMs;
  const alone = await runPgbench(bench, path.join(folder, 'alone'), table, durationMs);
  const meanwhile = runPgbench(bench, path.join(folder, 'meanwhile'), table, durationMs);
  meanwhile.catch(() => {
    // Told when it is waited for.
  });
  const startedAt = Date.now();
  const run = await time([...tenantctl, 'migrate', '--all'], { cwd: folder });
  const endedAt = Date.now();
  const beside = (await meanwhile).filter(({ endedAt: end }) => end >= startedAt && end <= endedAt + spareMs);
  if (beside.every(({ endedAt: end }) => end < endedAt)) throw new Error('pgbench ended before the fleet migration');
  tell(schemaCount, run.ms, alone, beside);
}

function tell(schemaCount: number, runMs: number, alone: readonly Request[], beside: readonly Request[]): void {
  const [before, during] = [alone, beside].map((requests) => requests.map(({ ms }) => ms).toSorted((a, b) => a - b));
  if (before === undefined || during === undefined) throw new Error('no request');
  const [p99Alone, p99Beside] = [percentile(before, 0.99), percentile(during, 0.99)];
  const longest = percentile(during, 1);
  report(
    `no request to a tenant's table held beyond the lock timeout while ${schemaCount} schemas are migrated`,
    `the longest took ${milliseconds(longest)}`,
    `${seconds(lockTimeoutMs)} + ${milliseconds(p99Alone)}`,
    longest < lockTimeoutMs + p99Alone,
  );
  note(`p99 of the application: ${milliseconds(p99Beside)} meanwhile, ${milliseconds(p99Alone)} alone`);
  note(
    `longest alone ${milliseconds(percentile(before, 1))}; ${load.perSecond} requests/s, the run took ${seconds(runMs)}`,
  );
}

interface Request {
  /** One SELECT and one UPDATE, without the time that it waited for a free client. */
  readonly ms: number;
  /** Unix time in milliseconds. */
  readonly endedAt: number;
}

async function fill(bench: Bench, table: string): Promise<void> {
  const session = await bench.connect('live');
  await session.raw(`INSERT INTO ${table} (owner_id, name) SELECT i, 'row ' || i FROM generate_series(1, ${rows}) i`);
  await session.raw(`VACUUM ANALYZE ${table}`);
  await session.end();
}

/** Runs the load and reads pgbench's log of every transaction. */
async function runPgbench(bench: Bench, folder: string, table: string, durationMs: number): Promise<Request[]> {
  const { socketDir, port, user } = bench.cluster;
  await mkdir(folder);
  const file = path.join(folder, 'script.sql');
  await writeFile(file, script(table));
  await time([
    clientProgram(bench, 'pgbench'),
    ...['-n', '-l', `--log-prefix=${path.join(folder, 'log')}`, '-f', file],
    ...['-c', String(load.clients), '-R', String(load.perSecond), '-T', String(Math.ceil(durationMs / 1000))],
    ...['-h', socketDir, '-p', String(port), '-U', user, 'live'],
  ]);
  const logs = (await readdir(folder)).filter((name) => name.startsWith('log.'));
  const texts = await Promise.all(logs.map((name) => readFile(path.join(folder, name), 'utf8')));
  return texts.flatMap((text) =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map(readRequest),
  );
}

/** `client transaction µs script second µs lag`. */
function readRequest(line: string): Request {
  const [, , took = 0, , second = 0, fraction = 0, lag = 0] = line.split(' ').map(Number);
  return { ms: (took - lag) / 1000, endedAt: second * 1000 + fraction / 1000 };
}

/** Of numbers in rising order. */
function percentile(sorted: readonly number[], share: number): number {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  if (value === undefined) throw new Error('pgbench sent nothing');
  return value;
}

function milliseconds(ms: number): string {
  return ms < 100 ? `${ms.toFixed(1)} ms` : seconds(ms);
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
