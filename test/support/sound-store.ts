import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import { checkArchive } from '../../src/backups/archive/check-archive.ts';
import type { Backup } from '../../src/backups/repository/backup.ts';
import { storedFiles } from './dumps.ts';
import type { TestFleet } from './fleet.ts';
import { jsonOf, runCli } from './run-cli.ts';

/** A fleet whose backups go to the folder `backups` beside its inventory. */
type InFolder = Pick<TestFleet, 'folder'>;

/** A backup as `backups list --json` tells it. */
export type ListedBackup = Pick<
  Backup,
  'time' | 'state' | 'problem' | 'keys' | 'manifest' | 'verification' | 'receipt'
> & {
  readonly kind: string;
  readonly tenant?: string;
};

/** All that is in the fleet's store, backups or not. */
export async function listBackups(fleet: InFolder): Promise<readonly ListedBackup[]> {
  // The first dump makes it.
  if (!existsSync(join(fleet.folder, 'backups'))) return [];
  const kinds = '--kind tenant shared large-objects roles';
  const result = await runCli(`backups list --all --allow-empty ${kinds} --json`, { cwd: fleet.folder });
  expect([result.exitCode, result.stderr]).toEqual([0, '']);
  return jsonOf<{ backups: readonly ListedBackup[] }>(result).backups;
}

/**
 * SHA-256 of the archives that are listed as backups, by their keys. Fails when one of them is not what its manifest
 * says, or cannot be read to its end, or names something beside it that is not there.
 */
export async function soundBackups(fleet: InFolder): Promise<Readonly<Record<string, string>>> {
  const sums: Record<string, string> = {};
  for (const { keys, manifest } of (await listBackups(fleet)).filter(({ state }) => state === 'complete')) {
    const [file, { needs, file: expected }] = [keys.file!, manifest!];
    const bytes = await readFile(join(fleet.folder, 'backups', file));
    sums[file] = createHash('sha256').update(bytes).digest('hex');
    expect([bytes.length, sums[file]], file).toEqual([expected.sizeBytes, expected.sha256]);
    if (file.endsWith('.dump')) expect((await checkArchive(Readable.from([bytes]))).problems, file).toEqual([]);
    const companions = [needs.shared, needs.rolesFile, needs.largeObjects].filter((key) => key !== null);
    for (const key of companions) await readFile(join(fleet.folder, 'backups', key));
  }
  return sums;
}

/** Tenants that have a sound backup which this run made. */
export async function tenantsOf(fleet: InFolder, run: string | null): Promise<readonly string[]> {
  const listed = await listBackups(fleet);
  return listed.flatMap(({ state, manifest, tenant }) => {
    return state === 'complete' && manifest?.run === run && tenant !== undefined ? [tenant] : [];
  });
}

/** Files in the store that were begun and have no name of their own yet. */
export async function partialFiles(fleet: InFolder): Promise<readonly string[]> {
  return (await storedFiles(fleet)).filter((file) => file.endsWith('.partial'));
}

/** Files of dumps that came to nothing: half written, or without what makes a backup of them. */
export async function unfinishedFiles(fleet: InFolder): Promise<readonly string[]> {
  const listed = (await listBackups(fleet)).filter(({ state }) => state !== 'complete');
  return [...(await partialFiles(fleet)), ...listed.map(({ keys }) => keys.file ?? keys.manifest ?? '')];
}

/** The pg_dump processes of this machine that were told to dump that database; none where processes cannot be seen. */
export async function runningDumps(database: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const read = (pid: string, name: string) => readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '');
  const found: string[] = [];
  for (const pid of pids) {
    const command = (await read(pid, 'cmdline')).replaceAll('\0', ' ');
    if (/pg_dump/.test(command) && (await read(pid, 'environ')).includes(database)) found.push(command);
  }
  return found;
}
