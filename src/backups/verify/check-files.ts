import { TenantError } from '../../errors.ts';
import { majorOfText } from '../../postgres/server-version.ts';
import { checkArchive } from '../archive/check-archive.ts';
import type { ArchivedTable, Toc } from '../archive/types.ts';
import type { Backup } from '../repository/backup.ts';
import { type Digest, digestOf, Hashing } from '../repository/content.ts';
import type { BackupManifest } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';

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
  const problems = checkListing(backup);
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
    ? { problems: checkListing(backup), obstacle: null, toc: null }
    : await checkFiles(repository, backup, signal);
  if (manifest === null || backup.keys.file === null || files.obstacle !== null) return files;
  // What age made of it says all that can be said: the rest would only say it in other words.
  if (!isReadAsStored && files.problems.length > 0) return files;
  return reading(async () => {
    const archive = await repository.openArchive(backup, signal);
    if (backup.subject.kind === 'roles') {
      const found = compareDigest('the archive', await digestOf(archive), manifest.archive);
      return { problems: [...files.problems, ...found], obstacle: null, toc: null };
    }
    const hashing = new Hashing();
    const { toc, tables, problems, unsupported } = await checkArchive(hashing.through(archive));
    // One that ended early has said why, or cannot be read here: then its bytes are all that can be compared.
    const plain = hashing.isWhole ? hashing.digest() : await digestOf(await repository.openArchive(backup, signal));
    const found = [
      ...files.problems,
      ...compareDigest('the archive', plain, manifest.archive),
      ...problems,
      ...(unsupported === null && problems.length === 0 ? compareContent(toc, tables, manifest) : []),
    ];
    return { problems: found, obstacle: unsupported, toc };
  });
}

/** What the listing of the store tells: it has read the manifest, and found its archive or not. */
function checkListing({ state, problem }: Backup): readonly string[] {
  return state === 'complete' ? [] : [problem ?? state];
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
  const versions = [toc?.header.serverVersion ?? '', manifest.versions.server].map(majorOfText);
  if (versions[0] !== versions[1]) {
    problems.push(`the archive is of PostgreSQL ${versions[0]}, the manifest says ${versions[1]}`);
  }
  return problems;
}

function tableName({ schema, name }: Pick<ArchivedTable, 'schema' | 'name'>): string {
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
