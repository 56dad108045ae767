import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import { checkArchive } from '../../src/backups/archive/check-archive.ts';
import type { Backup } from '../../src/backups/repository/backup.ts';
import { storedFiles } from './dumps.ts';
import type { TestFleet } from './fleet.ts';
import { jsonOf } from './run-cli.ts';

/** A backup as `backups list --json` tells it. */
export type ListedBackup = Pick<Backup, 'time' | 'state' | 'problem' | 'keys' | 'manifest'> & {
  readonly kind: string;
  readonly tenant?: string;
};

/** All that is in the fleet's store, backups or not. */
export async function listBackups(fleet: TestFleet): Promise<readonly ListedBackup[]> {
  const kinds = '--kind tenant shared large-objects roles';
  const result = await fleet.run(`backups list --all --allow-empty ${kinds} --json`);
  expect([result.exitCode, result.stderr]).toEqual([0, '']);
  return jsonOf<{ backups: readonly ListedBackup[] }>(result).backups;
}

/**
 * SHA-256 of the archives that are listed as backups, by their keys. Fails when one of them is not what its manifest
 * says, or cannot be read to its end, or names something beside it that is not there.
 */
export async function soundBackups(fleet: TestFleet): Promise<Readonly<Record<string, string>>> {
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
export async function tenantsOf(fleet: TestFleet, run: string | null): Promise<readonly string[]> {
  const listed = await listBackups(fleet);
  return listed.flatMap(({ state, manifest, tenant }) => {
    return state === 'complete' && manifest?.run === run && tenant !== undefined ? [tenant] : [];
  });
}

/** Files in the store that were begun and have no name of their own yet. */
export async function partialFiles(fleet: TestFleet): Promise<readonly string[]> {
  return (await storedFiles(fleet)).filter((file) => file.endsWith('.partial'));
}

/** Programs of PostgreSQL that are running now and were told of a run by their environment. */
export async function runningPrograms(run: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found: string[] = [];
  for (const pid of pids) {
    const command = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).replaceAll('\0', ' ');
    if (!/pg_dump/.test(command)) continue;
    const env = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    if (env.includes(run)) found.push(command);
  }
  return found;
}
