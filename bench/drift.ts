// `npm run bench drift [schemas]`: a scan of 1,000 schemas x 20 tables against one bare query a schema, cost a tenant
// from 100 to 2,000, 100 databases, memory on both sides, a watch that finds nothing changed, and peers on 20 schemas.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { integer, sql } from '../src/postgres/sql.ts';
import { makeDatabases, makeFolder, makeTenants, writeOwnDatabases, writeSaas } from './drift-fleet.ts';
import { timeBareScan } from './drift-floor.ts';
import { measurePeers } from './drift-peers.ts';
import { type Bench, middle, note, report, seconds, type Timing, tenantctl, time, withBench } from './support.ts';

/** The size that the promises are made for; a smaller one shows that the bench runs. */
const promised = Number(process.argv[3] ?? 1000);
const sizes = [promised / 10, promised / 2, promised, promised * 2].map(Math.ceil);
const databases = Math.ceil(promised / 10);
const rounds = 3;

export async function measure(): Promise<void> {
  await withBench(async (bench) => {
    await measureSchemas(bench);
    await measureDatabases(bench);
    await measurePeers(bench, Math.min(20, promised));
  });
}

async function measureSchemas(bench: Bench): Promise<void> {
  const folder = await makeFolder(bench, 'saas');
  await writeSaas(bench, folder);
  const costs: { readonly count: number; readonly ms: number }[] = [];
  for (const [index, count] of sizes.entries()) {
    await makeTenants(bench, (sizes[index - 1] ?? 0) + 1, count);
    const ours: Timing[] = [];
    const bare: Timing[] = [];
    // In turns: what else the machine does hits both alike.
    for (let round = 0; round < (count === promised ? rounds : 2); round += 1) {
      ours.push(await scan(folder));
      if (count === promised) bare.push(await timeBareScan(bench, 'saas', count));
    }
    const scanned = middle(ours);
    costs.push({ count, ms: scanned.ms / count });
    note(`${count} schemas: ${seconds(scanned.ms)}`);
    if (count === promised) await reportPromised(bench, folder, scanned, middle(bare));
  }
  const growth = Math.max(...costs.map(({ ms }) => ms)) / (costs[0]?.ms ?? 1);
  const list = costs.map(({ count, ms }) => `${ms.toFixed(1)} ms at ${count}`).join(', ');
  report('drift, cost a tenant', `${growth.toFixed(2)} x that of ${sizes[0]} (${list})`, '1.25', growth <= 1.25);
}

async function reportPromised(bench: Bench, folder: string, ours: Timing, bare: Timing): Promise<void> {
  const what = `drift --all, ${promised} schemas x 20 tables`;
  report(what, seconds(ours.ms), '12 s', ours.ms <= 12_000);
  const ratio = ours.ms / bare.ms;
  const measured = `${ratio.toFixed(2)} x one bare query a schema (${seconds(bare.ms)})`;
  report('the same', measured, '1.5', ratio <= 1.5);
  report(`peak memory of ${what}`, megabytes(ours.peakBytes), '250 MB', ours.peakBytes < 250e6);
  const backend = await watchBackends(bench, () => scan(folder));
  report('largest backend of the server meanwhile', megabytes(backend), '300 MB', backend > 0 && backend < 300e6);
  await time([...tenantctl, 'drift', 'watch', '--all'], { cwd: folder });
  const quiet = await time([...tenantctl, 'drift', 'watch', '--all'], { cwd: folder });
  note(`drift watch when nothing changed: ${seconds(quiet.ms)}`);
}

async function measureDatabases(bench: Bench): Promise<void> {
  const folder = await makeFolder(bench, 'own');
  await writeOwnDatabases(bench, folder);
  await makeDatabases(bench, databases);
  const ours: Timing[] = [];
  const floors: Timing[] = [];
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await scan(folder));
    floors.push(await timeOneAfterTheOther(bench));
  }
  const start = await time([...tenantctl, '--version']);
  const floor = middle(floors).ms + start.ms;
  const ratio = middle(ours).ms / floor;
  report(
    `drift --all, ${databases} databases x 20 tables`,
    `${ratio.toFixed(2)} x one connection each plus the scan (${seconds(middle(ours).ms)} to ${seconds(floor)})`,
    '1.3',
    ratio <= 1.3,
  );
}

/** A connection to each database and the bare query on it. */
async function timeOneAfterTheOther(bench: Bench): Promise<Timing> {
  let ms = 0;
  for (let number = 1; number <= databases; number += 1) ms += (await timeBareScan(bench, `own_${number}`, 0)).ms;
  return { ms, peakBytes: 0 };
}

function scan(folder: string): Promise<Timing> {
  return time([...tenantctl, 'drift', '--all'], { cwd: folder, peak: true });
}

/** Memory that the largest backend had of its own, looked at often while `work` runs; 0 where that cannot be seen. */
async function watchBackends(bench: Bench, work: () => Promise<unknown>): Promise<number> {
  const session = await bench.connect('postgres');
  let isDone = false;
  const working = work().finally(() => {
    isDone = true;
  });
  let largest = 0;
  while (!isDone) {
    const rows = await session.query<{ pid: number }>(sql`SELECT pid FROM pg_catalog.pg_stat_activity
      WHERE application_name LIKE 'tenantctl/%' AND backend_type = 'client backend' LIMIT ${integer(20)}`);
    for (const { pid } of rows) largest = Math.max(largest, await ownMemory(pid));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await session.end();
  await working;
  return largest;
}

/** Without what it shares with the other backends: that counts once for the server. */
async function ownMemory(pid: number): Promise<number> {
  const status = await readFile(path.join('/proc', String(pid), 'status'), 'utf8').catch(() => '');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
