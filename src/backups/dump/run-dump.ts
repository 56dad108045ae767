import type { ClientTools } from '../../postgres/local/client-tools.ts';
import { type RunningProgram, startProgram } from '../../postgres/programs.ts';
import { type FinishedArchive, finishArchive } from '../archive/finish-archive.ts';
import { splitArchive } from '../archive/split-archive.ts';
import type { TocEntry } from '../archive/types.ts';
import type { BackupSubject } from '../repository/manifest.ts';
import type { PutArchive, Repository } from '../repository/repository.ts';
import { namedRoles } from './named-roles.ts';
import type { RateLimit } from './rate.ts';

/** An archive of one tenant stays in memory up to this; a larger one is put together in a file. */
const memoryLimitBytes = 16_000_000;

/** Archives that are being written to the store while pg_dump goes on. */
const mostInFlight = 4;
const mostBytesInFlight = 32_000_000;

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

/** An archive that is in the store, without a manifest yet. */
export interface StoredArchive {
  readonly subject: BackupSubject;
  readonly time: string;
  readonly put: PutArchive;
  readonly tables: FinishedArchive['tables'];
  readonly header: FinishedArchive['header'];
  /** Owners and grantees that its SQL names. */
  readonly roles: readonly string[];
  readonly hasSequences: boolean;
}

/** One pg_dump for many schemas, split into an archive each. When it fails nothing of it stays in the store. */
export async function dumpSchemas(
  dump: DumpTools,
  snapshot: SnapshotUse,
  subjects: ReadonlyMap<string, BackupSubject>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, StoredArchive>> {
  const stored = new Map<string, StoredArchive>();
  const writer = new ArchiveWriter(dump.repository, snapshot.time, signal);
  const args = [...subjects.keys()].flatMap((schema) => ['-n', exactPattern(schema)]);
  try {
    await withDump(dump, snapshot, ['--strict-names', ...args], signal, async (source) => {
      await splitArchive(source, {
        schemas: [...subjects.keys()],
        memoryLimitBytes,
        spoolFile: (schema) => dump.repository.spoolFile(subjects.get(schema)!, snapshot.time),
        onFinished: (schema, archive) => {
          return writer.write(subjects.get(schema)!, archive, (it) => void stored.set(schema, it));
        },
      });
      await writer.finish();
    });
    return stored;
  } catch (error) {
    await writer.takeBack();
    throw error;
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
  try {
    await withDump(dump, snapshot, args, signal, async (source) => {
      const archive = await finishArchive(source, {
        memoryLimitBytes,
        spoolFile: () => dump.repository.spoolFile(subject, snapshot.time),
        ...(keep === undefined ? {} : { keep }),
      });
      await writer.write(subject, archive, (it) => {
        stored = it;
      });
      await writer.finish();
    });
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
  let isAtEnd = false;
  const source = throttled(program, dump.rate, signal, () => {
    isAtEnd = true;
  });
  // Whoever cannot take the archive ends pg_dump; when pg_dump ended by itself, its own word is what went wrong.
  let isEndedByUs = false;
  const reading = read(source).catch((error: unknown) => {
    isEndedByUs = !isAtEnd;
    if (isEndedByUs) program.stop();
    program.stdout.destroy();
    throw error;
  });
  const [result, end] = await Promise.allSettled([reading, program.ended]);
  signal.throwIfAborted();
  if (end.status === 'rejected' && !isEndedByUs) throw end.reason;
  if (result.status === 'rejected') throw result.reason;
  if (end.status === 'fulfilled' && end.value.stderr.trim() !== '') dump.warn(end.value.stderr.trim());
}

async function* throttled(
  program: RunningProgram,
  rate: RateLimit | null,
  signal: AbortSignal,
  onEnd: () => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of program.stdout as AsyncIterable<Buffer>) {
    if (rate !== null) await rate.take(chunk.length, signal);
    yield chunk;
  }
  onEnd();
}

/** Writes finished archives to the store, a few at a time, so that pg_dump does not wait for each flush. */
class ArchiveWriter {
  readonly #repository: Repository;
  readonly #time: string;
  readonly #signal: AbortSignal;
  readonly #writing = new Set<Promise<void>>();
  readonly #begun: BackupSubject[] = [];
  #bytes = 0;
  #error: unknown = null;

  constructor(repository: Repository, time: string, signal: AbortSignal) {
    this.#repository = repository;
    this.#time = time;
    this.#signal = signal;
  }

  /** Resolves when there is room for the next one. */
  async write(
    subject: BackupSubject,
    archive: FinishedArchive,
    onStored: (stored: StoredArchive) => void,
  ): Promise<void> {
    const { sizeBytes } = archive.content;
    this.#begun.push(subject);
    this.#bytes += sizeBytes;
    const writing = this.#put(subject, archive, onStored)
      .catch((error: unknown) => {
        this.#error ??= error;
      })
      .finally(() => {
        this.#writing.delete(writing);
        this.#bytes -= sizeBytes;
      });
    this.#writing.add(writing);
    while (this.#writing.size >= mostInFlight || (this.#writing.size > 0 && this.#bytes > mostBytesInFlight)) {
      await Promise.race(this.#writing);
    }
    if (this.#error !== null) throw this.#error;
  }

  async finish(): Promise<void> {
    await Promise.all(this.#writing);
    if (this.#error !== null) throw this.#error;
  }

  /** Removes what was stored; what cannot be removed has no manifest and is no backup. */
  async takeBack(): Promise<void> {
    await Promise.all(this.#writing);
    for (const subject of this.#begun) await this.#repository.removeArchive(subject, this.#time).catch(() => {});
  }

  async #put(
    subject: BackupSubject,
    archive: FinishedArchive,
    onStored: (stored: StoredArchive) => void,
  ): Promise<void> {
    try {
      const put = await this.#repository.putArchive(subject, this.#time, archive.content, this.#signal);
      const { tables, header, entries } = archive;
      const hasSequences = entries.some(({ kind }) => kind === 'SEQUENCE SET');
      onStored({ subject, time: this.#time, put, tables, header, roles: namedRoles(entries), hasSequences });
    } finally {
      await archive.discard();
    }
  }
}
