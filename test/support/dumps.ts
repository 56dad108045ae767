import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { inject } from 'vitest';
import type { BackupManifest } from '../../src/backups/repository/manifest.ts';
import { databaseUrl } from './database.ts';
import type { FleetReport, TestFleet } from './fleet.ts';

const run = promisify(execFile);

/** Backups go to a folder beside the inventory. */
export const toFolder = { backups: { to: './backups' } };

/** Runs one of PostgreSQL's programs of the test run's version; gives its standard output. */
export async function runTool(name: 'pg_dump' | 'pg_restore' | 'psql', args: readonly string[]): Promise<string> {
  const { client } = inject('cluster').postgres;
  if (client === null) throw new Error('this machine has no pg_dump');
  const { stdout } = await run(join(client.binDir, name), [...args], {
    env: { ...process.env, ...client.env },
    maxBuffer: 1 << 28,
  });
  return stdout;
}

/** The rows of a table of an archive, as COPY text, by plain pg_restore. */
export async function archivedRows(archive: string, table: string): Promise<readonly string[]> {
  const text = await runTool('pg_restore', ['--data-only', '--table', table, '-f', '-', archive]);
  const [, rows = ''] = /^COPY [^\n]*\n([\s\S]*?)^\\\.$/m.exec(text) ?? [];
  return rows.split('\n').filter((row) => row !== '');
}

/** What `pg_dump -n` of a schema of the fleet's database writes, without the lines that differ each time. */
export async function plainDump(fleet: TestFleet, schema: string): Promise<string> {
  return comparable(await runTool('pg_dump', ['-n', `"${schema}"`, '-d', fleet.db.url]));
}

/** The SQL of an archive, by plain pg_restore. */
export async function archiveSql(archive: string): Promise<string> {
  return comparable(await runTool('pg_restore', ['-f', '-', archive]));
}

function comparable(text: string): string {
  return text.replace(/^(?:-- Dumped (?:from|by) .*|\\(?:un)?restrict .*)\n/gm, '');
}

/** Path of the archive that a report says a tenant has. */
export function archiveOf(fleet: TestFleet, report: FleetReport, tenant: string): string {
  return join(fleet.folder, 'backups', dumpedOf(report, tenant).archive);
}

/** `value` of a done outcome of `dump`. */
export function dumpedOf(report: FleetReport, tenant: string): DumpedValue {
  const outcome = report.of(tenant);
  if (outcome.status !== 'done') throw new Error(`${tenant} is ${outcome.status}: ${JSON.stringify(outcome.error)}`);
  return outcome.value as unknown as DumpedValue;
}

export interface DumpedValue {
  readonly archive: string;
  readonly time: string;
  readonly rows: number;
  readonly isCommon: boolean;
  readonly batch: number;
  readonly remarks: readonly string[];
}

/** The manifest beside an archive of the store. */
export async function manifestOf(archive: string): Promise<BackupManifest> {
  const text = await readFile(archive.replace(/\.(?:dump|sql)$/, '.json'), 'utf8');
  return JSON.parse(text) as BackupManifest;
}

/** All files of the store, as paths in it. */
export async function storedFiles(fleet: Pick<TestFleet, 'folder'>): Promise<readonly string[]> {
  const folder = join(fleet.folder, 'backups');
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted();
}

/** Runs SQL in another database of the run's server. */
export async function asDatabase(database: string, text: string): Promise<void> {
  const client = new pg.Client(databaseUrl(database));
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
