import type { TenantError } from '../../errors.ts';
import type { ClientTools } from '../../postgres/local/client-tools.ts';
import { type RunningProgram, startProgram } from '../../postgres/programs.ts';
import { finishArchive } from '../archive/finish-archive.ts';
import { splitArchive } from '../archive/split-archive.ts';
import type { TocEntry } from '../archive/types.ts';
import type { BackupSubject } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import { ArchiveWriter, type StoredArchive, StoreGoneError } from './archive-writer.ts';
import type { RateLimit } from './rate.ts';

/** An archive of one tenant stays in memory up to this; a larger one is put together in a file. */
const memoryLimitBytes = 16_000_000;

/** What every pg_dump of a run has in common. */
export interface DumpTools {
  readonly tools: ClientTools;
  /** How to reach the database that is dumped. */
  readonly env: Readonly<Record<string, string>>;
  readonly repository: Repository;
  readonly rate: RateLimit | null;
  /** Milliseconds that a dump waits for a table that somebody has locked. */
  readonly lockWaitMs: number;
  /** gzip level; null: pg_dump's own. */
  readonly compression: number | null;
  /** What pg_dump complained of although it came to its end. */
  readonly warn: (text: string) => void;
}

/** The instant that a pg_dump shows; without an id it takes one of its own. */
export interface SnapshotUse {
  readonly id: string | null;
  /** Names the files. */
  readonly time: string;
}

/** What became of the archives of one pg_dump, by schema. */
export interface DumpedSchemas {
  readonly stored: ReadonlyMap<string, StoredArchive>;
  /** Those that the store did not take, and why. */
  readonly refused: ReadonlyMap<string, TenantError>;
}

/**
 * One pg_dump for many schemas, split into an archive each. When it fails nothing of it stays in the store; an archive
 * that the store does not take is its own tenant's failure, and the others go on.
 */
export async function dumpSchemas(
  dump: DumpTools,
  snapshot: SnapshotUse,
  subjects: ReadonlyMap<string, BackupSubject>,
  signal: AbortSignal,
): Promise<DumpedSchemas> {
  const stored = new Map<string, StoredArchive>();
  const refused = new Map<string, TenantError>();
  const writer = new ArchiveWriter(dump.repository, snapshot.time, signal);
  const args = [...subjects.keys()].flatMap((schema) => ['-n', exactPattern(schema)]);
  try {
    await withDump(dump, snapshot, ['--strict-names', ...args], signal, async (source) => {
      await splitArchive(source, {
        schemas: [...subjects.keys()],
        memoryLimitBytes,
        spoolFile: (schema) => dump.repository.spoolFile(subjects.get(schema)!, snapshot.time),
        onFinished: (schema, archive) => {
          return writer.write(subjects.get(schema)!, archive, {
            stored: (it) => void stored.set(schema, it),
            refused: (error) => void refused.set(schema, error),
          });
        },
      });
      await writer.finish();
    });
    return { stored, refused };
  } catch (error) {
    await writer.takeBack();
    if (!(error instanceof StoreGoneError)) throw error;
    const { lastRefusal } = error;
    return { stored: new Map(), refused: new Map([...subjects.keys()].map((schema) => [schema, lastRefusal])) };
  }
}

/** A pg_dump of its own for one subject. `keep`: only these entries, when it is not all that pg_dump writes. */
export async function dumpAlone(
  dump: DumpTools,
  snapshot: SnapshotUse,
  subject: BackupSubject,
  { args, keep }: { readonly args: readonly string[]; readonly keep?: (entry: TocEntry) => boolean },
  signal: AbortSignal,
): Promise<StoredArchive> {
  const writer = new ArchiveWriter(dump.repository, snapshot.time, signal);
  let stored: StoredArchive | null = null;
  let refused: TenantError | null = null;
  try {
    await withDump(dump, snapshot, args, signal, async (source) => {
      const archive = await finishArchive(source, {
        memoryLimitBytes,
        spoolFile: () => dump.repository.spoolFile(subject, snapshot.time),
        ...(keep === undefined ? {} : { keep }),
      });
      await writer.write(subject, archive, {
        stored: (it) => {
          stored = it;
        },
        refused: (error) => {
          refused = error;
        },
      });
      await writer.finish();
    });
    if (refused !== null) throw refused;
  } catch (error) {
    await writer.takeBack();
    throw error;
  }
  if (stored === null) throw new Error('pg_dump ended without an archive');
  return stored;
}

/** `-n` takes a pattern: in quotes, every character stands for itself. */
export function exactPattern(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

const failedAtOnce = new WeakSet<object>();

/** Did pg_dump end before it wrote anything? It may have been refused a connection, which it tells in words alone. */
export function hasFailedAtOnce(error: unknown): boolean {
  return typeof error === 'object' && error !== null && failedAtOnce.has(error);
}

async function withDump(
  dump: DumpTools,
  snapshot: SnapshotUse,
  args: readonly string[],
  signal: AbortSignal,
  read: (source: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const program = startProgram(dump.tools, 'pg_dump', {
    args: [
      '--format=custom',
      '--no-password',
      ...(snapshot.id === null ? [] : [`--snapshot=${snapshot.id}`]),
      `--lock-wait-timeout=${Math.max(1, Math.round(dump.lockWaitMs))}`,
      ...(dump.compression === null ? [] : [`--compress=${dump.compression}`]),
      ...args,
    ],
    env: dump.env,
    signal,
  });
  const seen = { hasBegun: false, isAtEnd: false };
  const source = throttled(program, dump.rate, signal, seen);
  // Whoever cannot take the archive ends pg_dump; when pg_dump ended by itself, its own word is what went wrong.
  let isEndedByUs = false;
  const reading = read(source).catch((error: unknown) => {
    isEndedByUs = !seen.isAtEnd;
    if (isEndedByUs) program.stop();
    program.stdout.destroy();
    throw error;
  });
  const [result, end] = await Promise.allSettled([reading, program.ended]);
  signal.throwIfAborted();
  if (end.status === 'rejected' && !isEndedByUs) {
    if (!seen.hasBegun) failedAtOnce.add(end.reason);
    throw end.reason;
  }
  if (result.status === 'rejected') throw result.reason;
  if (end.status === 'fulfilled' && end.value.stderr.trim() !== '') dump.warn(end.value.stderr.trim());
}

async function* throttled(
  program: RunningProgram,
  rate: RateLimit | null,
  signal: AbortSignal,
  seen: { hasBegun: boolean; isAtEnd: boolean },
): AsyncGenerator<Buffer> {
  for await (const chunk of program.stdout as AsyncIterable<Buffer>) {
    seen.hasBegun = true;
    if (rate !== null) await rate.take(chunk.length, signal);
    yield chunk;
  }
  seen.isAtEnd = true;
}
