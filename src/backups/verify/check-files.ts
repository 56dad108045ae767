import path from 'node:path';
import { TenantError } from '../../errors.ts';
import { checkArchive } from '../archive/check-archive.ts';
import type { ArchivedTable, Toc } from '../archive/types.ts';
import type { Backup } from '../repository/backup.ts';
import type { BackupManifest, BackupSubject } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import { digestOf, HashedSource } from './hashed-source.ts';

/** What a look at the files of a backup found. */
export interface FileCheck {
  readonly problems: readonly string[];
  /** Why it could not be looked at; null: it could. */
  readonly obstacle: string | null;
  /** Of the archive; null where it was not read. */
  readonly toc: Toc | null;
}

/** Level `manifest`: the files are there and are what was written. */
export async function checkFiles(repository: Repository, backup: Backup, signal: AbortSignal): Promise<FileCheck> {
  const problems = checkManifest(backup);
  const { manifest } = backup;
  if (manifest === null || backup.keys.file === null) return { problems, obstacle: null, toc: null };
  return reading(async () => {
    const found = await digestOf(await repository.readFile(backup, signal));
    return { problems: [...problems, ...compareDigest('the file', found, manifest.file)], obstacle: null, toc: null };
  });
}

/** Level `content`: the archive is read to its last byte, and holds what the manifest says, no more and no less. */
export async function checkContent(repository: Repository, backup: Backup, signal: AbortSignal): Promise<FileCheck> {
  const { manifest } = backup;
  const isReadAsStored = manifest === null || manifest.encryption === null;
  const files = isReadAsStored
    ? { problems: checkManifest(backup), obstacle: null, toc: null }
    : await checkFiles(repository, backup, signal);
  if (manifest === null || backup.keys.file === null || files.obstacle !== null) return files;
  // What age made of it says all that can be said: the rest would only say it in other words.
  if (!isReadAsStored && files.problems.length > 0) return files;
  return reading(async () => {
    const source = new HashedSource(await repository.openArchive(backup, signal));
    if (backup.subject.kind === 'roles') {
      for await (const _ of source);
      return { problems: [...files.problems, ...comparePlain(source, manifest)], obstacle: null, toc: null };
    }
    const { toc, tables, problems, unsupported } = await checkArchive(source);
    // One that ended early has said why, or cannot be read here: then its bytes are all that can be compared.
    const plain = source.digest ?? (await digestOf(await repository.openArchive(backup, signal)));
    const found = [
      ...files.problems,
      ...compareDigest('the archive', plain, manifest.archive),
      ...problems,
      ...(unsupported === null && problems.length === 0 ? compareContent(toc, tables, manifest) : []),
    ];
    return { problems: found, obstacle: unsupported, toc };
  });
}

/** What the listing of the store and the manifest itself tell. */
function checkManifest(backup: Backup): readonly string[] {
  const { manifest, state, problem, subject, time, keys } = backup;
  const problems = state === 'complete' ? [] : [problem ?? state];
  if (manifest === null) return problems;
  if (JSON.stringify(identity(manifest.subject)) !== JSON.stringify(identity(subject))) {
    problems.push(`the manifest is of ${describeSubject(manifest.subject)}, not of ${describeSubject(subject)}`);
  }
  if (manifest.time !== time) problems.push(`the manifest is of the backup of ${manifest.time}`);
  if (keys.file !== null && path.posix.basename(keys.file) !== manifest.file.name) {
    problems.push(`the manifest is of a file ${manifest.file.name}`);
  }
  return problems;
}

function identity(subject: BackupSubject): readonly string[] {
  const { kind, ...names } = subject;
  return [kind, ...Object.values(names).toSorted()];
}

function describeSubject(subject: BackupSubject): string {
  if (subject.kind === 'tenant') return `tenant ${subject.tenant}`;
  return subject.kind === 'roles'
    ? `roles of ${subject.server}`
    : `${subject.kind} of ${subject.server}/${subject.database}`;
}

function comparePlain(source: HashedSource, manifest: BackupManifest): readonly string[] {
  return source.digest === null ? [] : compareDigest('the archive', source.digest, manifest.archive);
}

interface Digest {
  readonly sizeBytes: number;
  readonly sha256: string;
}

function compareDigest(what: string, found: Digest, expected: Digest): readonly string[] {
  if (found.sizeBytes !== expected.sizeBytes) {
    return [`${what} has ${found.sizeBytes} bytes, and ${expected.sizeBytes} were written`];
  }
  return found.sha256 === expected.sha256 ? [] : [`${what} is not what was written: its sha256 is another`];
}

function compareContent(
  toc: Toc | null,
  tables: readonly ArchivedTable[],
  manifest: BackupManifest,
): readonly string[] {
  const found = new Map(tables.map((table) => [tableName(table), table.rows]));
  const expected = new Map(manifest.tables.map((table) => [tableName(table), table.rows]));
  const problems: string[] = [];
  for (const [name, rows] of expected) {
    const has = found.get(name);
    if (has === undefined) problems.push(`table ${name} is missing in the archive`);
    else if (has !== rows && has !== null && rows !== null)
      problems.push(`table ${name} has ${has} rows in the archive, and ${rows} in the manifest`);
  }
  for (const name of found.keys()) {
    if (!expected.has(name)) problems.push(`table ${name} is in the archive and not in the manifest`);
  }
  const versions = [toc?.header.serverVersion ?? '', manifest.versions.server].map(majorOf);
  if (versions[0] !== versions[1]) {
    problems.push(`the archive is of PostgreSQL ${versions[0]}, the manifest says ${versions[1]}`);
  }
  return problems;
}

/** 15 of `15.18 (Debian 15.18-1)`; NaN when it says none. */
export function majorOf(version: string): number {
  return Number.parseInt(version, 10);
}

export function tableName({ schema, name }: Pick<ArchivedTable, 'schema' | 'name'>): string {
  return `${schema}.${name}`;
}

/** Damage that the reader met is a problem of the backup; that it could not be read is none, and no pass either. */
async function reading(work: () => Promise<FileCheck>): Promise<FileCheck> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof TenantError)) throw error;
    const { code, message } = error.failure;
    if (code === 'archive-damaged' || code === 'archive-missing')
      return { problems: [message], obstacle: null, toc: null };
    if (code === 'no-key' || code === 'archive-unsupported') return { problems: [], obstacle: message, toc: null };
    throw error;
  }
}
