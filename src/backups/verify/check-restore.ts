import { keepCancelling } from '../../postgres/cancelling.ts';
import { toFailure } from '../../postgres/failure.ts';
import type { ClientTools } from '../../postgres/local/client-tools.ts';
import { startProgram } from '../../postgres/programs.ts';
import { majorOfText } from '../../postgres/server-version.ts';
import type { Session } from '../../postgres/session.ts';
import { sql } from '../../postgres/sql.ts';
import { plural } from '../../words.ts';
import { readToc } from '../archive/read-archive.ts';
import type { Toc } from '../archive/types.ts';
import type { Backup } from '../repository/backup.ts';
import type { BackupManifest } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import { restoreArchive } from '../restore-archive.ts';
import { assertEmpty, emptySchema, makeRoomForPublic } from '../scratch/empty-place.ts';
import type { ScratchPlace, ScratchPool } from '../scratch/scratch-pool.ts';
import { compareSchemas } from './compare-schema.ts';
import { findReferences, namesAny } from './other-schemas.ts';
import { compareRowCounts, countUnproven, findSequencesBehind, runChecks } from './restored-rows.ts';

/** How archives are tried out. */
export interface RestoreMeans {
  readonly pool: ScratchPool;
  readonly tools: ClientTools;
  /** The user's own SQL; a row that comes back makes the backup a bad one. */
  readonly checks: readonly string[];
  /** Looks at what was restored while it stands, before anything else does; when it throws, the check could not run. */
  readonly onRestored?: OnRestored;
}

/** The session is in the scratch database, where the tenant's schema has its own name. */
export type OnRestored = (session: Session, manifest: BackupManifest) => Promise<void>;

export interface RestoreSubject {
  readonly backup: Backup;
  readonly manifest: BackupManifest;
  /** Of its archive, from the check of its content. */
  readonly toc: Toc;
  /** Of the tenant's sessions. */
  readonly searchPath: readonly string[];
  /** Schemas of other tenants that may stand beside it. */
  readonly others: ReadonlySet<string>;
}

export interface RestoreCheck {
  readonly problems: readonly string[];
  readonly obstacle: string | null;
  readonly remarks: readonly string[];
  /** Of restoring and looking, without what was prepared before. */
  readonly durationMs: number;
}

/** Level `restore`: into a scratch database, and looks whether what stands there is what was backed up. */
export function checkRestore(
  repository: Repository,
  subject: RestoreSubject,
  means: RestoreMeans,
  signal: AbortSignal,
): Promise<RestoreCheck> {
  const { manifest, toc, others } = subject;
  const { schema } = manifest.place;
  const holdsExtension = manifest.needs.extensions.some((extension) => extension.schema === schema);
  // Another tenant's schema that happens to stand beside it must not make an archive look better than it is.
  const alone = holdsExtension || namesAny(toc, others);
  return means.pool.use(manifest, { alone }, async (place) => {
    const session = await place.database.connect();
    const beganAt = performance.now();
    let stopCancelling = () => {};
    const cancel = () => {
      stopCancelling = keepCancelling(session);
    };
    signal.addEventListener('abort', cancel, { once: true });
    try {
      signal.throwIfAborted();
      await makeRoomForPublic(session, toc);
      await assertEmpty(session, schema);
      const found =
        (await restore(repository, subject, { place, session, tools: means.tools, signal })) ??
        (await inspect(subject, means, { place, session, signal }));
      return { ...found, durationMs: performance.now() - beganAt };
    } finally {
      signal.removeEventListener('abort', cancel);
      stopCancelling();
      // What is left in it would stand in the way of another, and take room.
      const isShared = schema !== null && !alone;
      if (isShared && (signal.aborted || !(await emptySchema(session, schema)))) place.spoil();
      await session.end();
    }
  });
}

type Found = Omit<RestoreCheck, 'durationMs'>;

interface Scratch {
  readonly place: ScratchPlace;
  readonly session: Session;
  readonly signal: AbortSignal;
}

/** Null: it went well. */
async function restore(
  repository: Repository,
  { backup, toc }: RestoreSubject,
  { place, session, tools, signal }: Scratch & { readonly tools: ClientTools },
): Promise<Found | null> {
  const { database, lacking, restoreArgs } = place;
  const archive = await repository.openArchive(backup, signal);
  try {
    const { stderr } = await restoreArchive({ archive, env: database.env, tools, args: restoreArgs, signal });
    // Its exit code alone has been seen to be 0 after errors.
    if (stderr.trim() === '') return null;
    return { problems: [`pg_restore complained: ${stderr.trim()}`], obstacle: null, remarks: remarksOf(place) };
  } catch (error) {
    signal.throwIfAborted();
    const failure = toFailure(error);
    // Something else than what pg_restore had to say about the archive.
    if (failure.code !== 'program') throw error;
    const noRoom = await findNoRoom(session);
    const obstacle = noRoom ?? (lacking.length === 0 ? null : `lacking in the scratch database: ${lacking.join('; ')}`);
    if (obstacle !== null) return { problems: [], obstacle: `${failure.message}; ${obstacle}`, remarks: [] };
    return {
      problems: [`it does not restore: ${failure.message}`, ...(await describeNeeds(session, toc))],
      obstacle: null,
      remarks: [],
    };
  }
}

/** A tenant whose foreign keys lead to another one's schema cannot be restored without it. */
async function describeNeeds(session: Session, toc: Toc): Promise<readonly string[]> {
  const references = findReferences(toc);
  if (references.size === 0) return [];
  const rows = await session.query<{ name: string }>(sql`
    SELECT nspname AS name FROM pg_catalog.pg_namespace WHERE nspname = ANY (${[...references.keys()]}::name[])`);
  const there = new Set(rows.map(({ name }) => name));
  return [...references]
    .filter(([schema]) => !there.has(schema))
    .map(([schema, key]) => `it does not restore alone: foreign key ${key} needs schema ${schema}`);
}

/** Is it the scratch server that cannot go on? Asked of the server, for a program's messages have no SQLSTATE. */
async function findNoRoom(session: Session): Promise<string | null> {
  const results = await Promise.allSettled([
    session.raw('BEGIN'),
    // 16 MB that nothing makes smaller.
    session.raw(`CREATE TABLE pg_temp.tenantctl_room AS
      SELECT pg_catalog.md5(pg_catalog.random()::text) AS filler FROM pg_catalog.generate_series(1, 250000)`),
    session.raw('ROLLBACK'),
  ]);
  const failed = results.find((result) => result.status === 'rejected');
  return failed === undefined ? null : `the scratch server: ${toFailure(failed.reason).message}`;
}

async function inspect(
  subject: RestoreSubject,
  { tools, checks, onRestored }: RestoreMeans,
  { place, session, signal }: Scratch,
): Promise<Found> {
  const { manifest, toc, searchPath } = subject;
  const { schema } = manifest.place;
  await onRestored?.(session, manifest);
  const restored = await dumpDefinitions(place, schema, tools, signal);
  const { objects, definitions } = compareSchemas(toc, restored, {
    withOwners: !place.restoreArgs.includes('--no-owner'),
  });
  // Another version says the same in other words: names, defaults that are spelled out.
  const { major } = place.database.server;
  const isSameVersion =
    major === majorOfText(manifest.versions.server) && tools.major === majorOfText(manifest.versions.dump);
  const rows = await compareRowCounts(session, manifest.tables);
  const sequences = await findSequencesBehind(session, schema);
  const unproven = await countUnproven(session, schema);
  const own = await runChecks(session, checks, searchPath);
  return {
    problems: [...objects, ...(isSameVersion ? definitions : []), ...rows, ...sequences, ...own.problems],
    obstacle: own.obstacle,
    remarks: [
      ...remarksOf(place),
      ...(isSameVersion || definitions.length === 0
        ? []
        : [
            `${plural(definitions.length, 'definition')} read otherwise in PostgreSQL ${major} with pg_dump ${tools.version}`,
          ]),
      ...(unproven === 0 ? [] : [`${plural(unproven, 'constraint')} NOT VALID, as in the archive`]),
    ],
  };
}

function remarksOf({ lacking }: ScratchPlace): readonly string[] {
  return lacking.map((line) => `lacking: ${line}`);
}

async function dumpDefinitions(
  { database }: ScratchPlace,
  schema: string | null,
  tools: ClientTools,
  signal: AbortSignal,
): Promise<Toc> {
  const only = schema === null ? [] : ['--strict-names', '-n', `"${schema.replaceAll('"', '""')}"`];
  const program = startProgram(tools, 'pg_dump', {
    args: ['--format=custom', '--compress=0', '--schema-only', '--no-password', ...only],
    env: database.env,
    signal,
  });
  const [toc, ended] = await Promise.allSettled([readToc(program.stdout), program.ended]);
  signal.throwIfAborted();
  if (ended.status === 'rejected') throw ended.reason;
  if (toc.status === 'rejected') throw toc.reason;
  return toc.value;
}
