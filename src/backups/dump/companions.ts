import { TenantError } from '../../errors.ts';
import { runProgram } from '../../postgres/programs.ts';
import type { TocEntry } from '../archive/types.ts';
import { textContent } from '../repository/content.ts';
import type { BackupSubject, ExtensionNeed } from '../repository/manifest.ts';
import { archiveKey, fileTime } from '../repository/names.ts';
import { type StoredArchive, takeBack } from './archive-writer.ts';
import type { DumpedPlace } from './dumped-place.ts';
import { type ManifestFacts, makeManifest } from './manifests.ts';
import { type DumpTools, dumpAlone, exactPattern } from './run-dump.ts';
import { countLargeObjects, readFilenodes } from './snapshot.sql.ts';
import type { Snapshot, SnapshotHolder } from './snapshot-holder.ts';

/** A database whose tenants are dumped. */
export interface DumpedDatabase {
  readonly server: string;
  readonly database: string;
  /** Schemas that its tenants use beside their own, those that are there. */
  readonly sharedSchemas: readonly string[];
  readonly extensions: readonly ExtensionNeed[];
}

interface CompanionDump {
  readonly dump: DumpTools;
  readonly facts: ManifestFacts;
  readonly database: DumpedDatabase;
  readonly rolesFile: string | null;
  readonly signal: AbortSignal;
  readonly ask: DumpedPlace['ask'];
  /** Told when it is in the first place, but not in the second one. */
  readonly onUncopied: (message: string) => void;
}

/**
 * What the tenants of a database share, under the snapshot they were dumped with: extensions, and shared schemas with
 * their rows. Gives the key of the archive; null when there is nothing of that kind.
 */
export async function dumpShared(
  options: CompanionDump,
  snapshot: Snapshot,
  holder: SnapshotHolder,
): Promise<string | null> {
  const { dump, database } = options;
  const { sharedSchemas, extensions } = database;
  if (sharedSchemas.length === 0 && extensions.length === 0) return null;
  const subject: BackupSubject = { kind: 'shared', server: database.server, database: database.database };
  const args = [
    ...sharedSchemas.flatMap((schema) => ['-n', exactPattern(schema)]),
    // With -n, pg_dump leaves extensions out unless it is asked for them.
    ...extensions.flatMap(({ name }) => ['-e', exactPattern(name)]),
  ];
  const beganAt = performance.now();
  const stored = await dumpAlone(dump, snapshot, subject, { args }, options.signal);
  const changed = await holder.changedSince(snapshot, sharedSchemas);
  if (changed.size === 0) return putCompanion(options, snapshot, stored, performance.now() - beganAt);
  await dump.repository.removeArchive(subject, snapshot.time);
  const [[schema, what] = ['', '']] = changed;
  return dumpSharedAnew(options, snapshot, { subject, args, reason: `${schema}: ${what}` });
}

/** How often a dump of shared schemas is begun again while tables in them are rewritten or emptied. */
const mostTries = 5;

/**
 * Shared tables that a job empties every night must not cost all tenants their backup: pg_dump takes a snapshot of its
 * own, and what it wrote counts when no table got another file meanwhile.
 */
async function dumpSharedAnew(
  options: CompanionDump,
  snapshot: Snapshot,
  {
    subject,
    args,
    reason,
  }: { readonly subject: BackupSubject; readonly args: readonly string[]; readonly reason: string },
): Promise<string> {
  const { dump, database, signal, ask } = options;
  for (let tries = 0; tries < mostTries; tries += 1) {
    const takenAt = new Date();
    const own: Snapshot = {
      ...snapshot,
      number: 0,
      reason,
      takenAt,
      takenHereAt: performance.now(),
      time: fileTime(takenAt),
    };
    const before = await ask((session) => readFilenodes(session, database.sharedSchemas));
    const stored = await dumpAlone(dump, { id: null, time: own.time }, subject, { args }, signal);
    const after = await ask((session) => readFilenodes(session, database.sharedSchemas));
    if (before === after) return putCompanion(options, own, stored, Date.now() - takenAt.getTime());
    await dump.repository.removeArchive(subject, own.time);
  }
  throw new TenantError({
    message: `shared schemas changed each time they were dumped: ${reason}`,
    code: 'shared-changed',
    hint: 'run the same command again when nothing rewrites or empties tables that tenants share',
  });
}

/** Large objects have no schema: all of a database's in one archive. Null when it has none. */
export async function dumpLargeObjects(options: CompanionDump, snapshot: Snapshot): Promise<string | null> {
  const { dump, database } = options;
  if ((await countLargeObjects(snapshot.session)) === 0) return null;
  const subject: BackupSubject = { kind: 'large-objects', server: database.server, database: database.database };
  const beganAt = performance.now();
  const stored = await dumpAlone(
    dump,
    snapshot,
    subject,
    // Without any schema, what is left is what belongs to the database: large objects among it.
    { args: ['--exclude-schema=*', '--blobs'], keep: isLargeObject },
    options.signal,
  );
  return putCompanion(options, snapshot, stored, performance.now() - beganAt);
}

function isLargeObject({ kind, tag }: TocEntry): boolean {
  return kind.startsWith('BLOB') || tag.startsWith('LARGE OBJECT ') || preamble.has(kind);
}

/** Entries that say how all others are to be read. */
const preamble = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH']);

async function putCompanion(
  { dump, facts, database, rolesFile, signal, onUncopied }: CompanionDump,
  snapshot: Snapshot,
  stored: StoredArchive,
  durationMs: number,
): Promise<string> {
  const place = { server: database.server, database: database.database, schema: null };
  const companions = { shared: null, largeObjects: null, rolesFile };
  const made = { batch: 1, durationMs: Math.round(durationMs) };
  const { extensions } = database;
  const manifest = makeManifest(facts, snapshot, stored, { place, made, extensions, companions });
  try {
    await dump.repository.putManifest(manifest, signal);
  } catch (error) {
    if (!(error instanceof TenantError) || error.failure.code !== 'copy-failed') {
      await takeBack(dump.repository, [stored.subject], stored.time, signal);
      throw error;
    }
    onUncopied(error.failure.message);
  }
  return archiveKey(stored.subject, stored.time, stored.put.encryption !== null);
}

/**
 * Roles and memberships of a server, as SQL and without passwords; they belong to no database and no snapshot. Gives
 * the key of the file.
 */
export async function dumpRoles(
  dump: Pick<DumpTools, 'tools' | 'env' | 'repository'>,
  facts: ManifestFacts,
  server: { readonly id: string; readonly version: string },
  signal: AbortSignal,
): Promise<string> {
  const takenAt = new Date();
  const subject: BackupSubject = { kind: 'roles', server: server.id };
  const time = fileTime(takenAt);
  const args = ['--roles-only', '--no-role-passwords', '--no-password'];
  const text = await runProgram(dump.tools, 'pg_dumpall', { args, env: dump.env, signal });
  const put = await dump.repository.putArchive(subject, time, textContent(text), signal);
  await dump.repository.putManifest({
    schema: 'tenantctl-backup/1',
    subject,
    time,
    versions: { tenantctl: facts.tenantctl, server: server.version, dump: dump.tools.version },
    run: facts.run,
    environment: facts.environment,
    place: { server: server.id, database: '', schema: null },
    labels: {},
    snapshot: { takenAt: takenAt.toISOString(), lsn: '', isCommon: false, fromReplica: facts.fromReplica },
    archive: put.archive,
    file: put.file,
    encryption: put.encryption,
    tables: [],
    migration: null,
    needs: { extensions: [], roles: [], shared: null, rolesFile: null, largeObjects: null },
    made: { batch: 1, durationMs: Date.now() - takenAt.getTime(), endedAt: new Date().toISOString() },
    remarks: [],
  });
  return archiveKey(subject, time, put.encryption !== null);
}
