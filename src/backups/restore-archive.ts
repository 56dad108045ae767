import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ClientTools } from '../postgres/local/client-tools.ts';
import { startProgram } from '../postgres/programs.ts';

export interface ReadArchiveOptions {
  /** Of pg_dump's custom format. Read to its end or destroyed, whatever happens. */
  readonly archive: Readable;
  readonly env: Readonly<Record<string, string>>;
  readonly tools: ClientTools;
  /** What is restored and how: `--data-only`, `--table=orders`. No list that changes the order of data. */
  readonly args: readonly string[];
  readonly signal: AbortSignal;
}

export interface RestoreArchiveOptions extends ReadArchiveOptions {
  /** From `programEnv`, for the database that is restored into. */
  readonly env: Readonly<Record<string, string>>;
  /** After an error go on with the next object. It still rejects at the end. */
  readonly keepsGoing?: boolean;
}

/** pg_restore while it reads an archive. */
export interface ArchiveReading {
  /** What it writes, where it was told to write: to be read to its end. */
  readonly stdout: Readable;
  /** Rejects with a TenantError whose message is its first complaint, or with what broke the archive's stream. */
  readonly ended: Promise<{ readonly stderr: string }>;
  stop(): void;
}

/**
 * Has pg_restore restore an archive into a database. Rejects with a TenantError whose message is pg_restore's first
 * complaint, or with what broke the archive's stream.
 */
export async function restoreArchive(options: RestoreArchiveOptions): Promise<{ readonly stderr: string }> {
  const { args, keepsGoing = false } = options;
  const reading = readArchive({
    ...options,
    args: [
      '--no-password',
      ...(keepsGoing ? [] : ['--exit-on-error']),
      // Empty: the database is PGDATABASE. A name here would be read as a connection string if it looked like one.
      '--dbname=',
      ...args,
    ],
  });
  reading.stdout.resume();
  return reading.ended;
}

/**
 * Has pg_restore read an archive from its standard input: nothing decrypted lies on a disk, and memory is bounded. It
 * passes over the blocks that it does not want, for they stand in the order of the entries.
 */
export function readArchive({ archive, env, tools, args, signal }: ReadArchiveOptions): ArchiveReading {
  const program = startProgram(tools, 'pg_restore', {
    args: ['--format=custom', ...args],
    env,
    signal,
    hasInput: true,
  });
  let broken: { readonly error: unknown } | null = null;
  const fed = pipeline(archive, program.stdin!).catch((error: unknown) => {
    // A program that has seen enough, or has failed, closes its end: `ended` tells which.
    if (isClosedPipe(error)) return;
    broken = { error };
    program.stop();
  });
  const settle = async (): Promise<void> => {
    archive.destroy();
    await fed;
    if (broken !== null) throw broken.error;
  };
  const ended = program.ended.then(
    async (result) => {
      await settle();
      return result;
    },
    async (error: unknown) => {
      // What the archive's own stream could not do explains what pg_restore then lacked.
      await settle().catch((cause: unknown) => {
        signal.throwIfAborted();
        throw cause;
      });
      signal.throwIfAborted();
      throw error;
    },
  );
  ended.catch(() => {});
  return { stdout: program.stdout, ended, stop: () => program.stop() };
}

const closedPipe: ReadonlySet<unknown> = new Set([
  'EPIPE',
  'ECONNRESET',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
]);

function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && closedPipe.has(error.code);
}
