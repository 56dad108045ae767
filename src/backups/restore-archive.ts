import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ClientTools } from '../postgres/local/client-tools.ts';
import { startProgram } from '../postgres/programs.ts';

export interface RestoreArchiveOptions {
  /** Of pg_dump's custom format. Read to its end or destroyed, whatever happens. */
  readonly archive: Readable;
  /** From `programEnv`, for the database that is restored into. */
  readonly env: Readonly<Record<string, string>>;
  readonly tools: ClientTools;
  /** What is restored and how: `--data-only`, `--table=orders`. No list that changes the order of data. */
  readonly args: readonly string[];
  readonly signal: AbortSignal;
  /** After an error go on with the next object. It still rejects at the end. */
  readonly keepsGoing?: boolean;
}

/**
 * Has pg_restore read an archive from its standard input: nothing decrypted lies on a disk, and memory is bounded. It
 * passes over the blocks that it does not want, for they stand in the order of the entries. Rejects with a TenantError
 * whose message is pg_restore's first complaint, or with what broke the archive's stream.
 */
export async function restoreArchive(options: RestoreArchiveOptions): Promise<{ readonly stderr: string }> {
  const { archive, env, tools, args, signal, keepsGoing = false } = options;
  const program = startProgram(tools, 'pg_restore', {
    args: [
      '--format=custom',
      '--no-password',
      ...(keepsGoing ? [] : ['--exit-on-error']),
      // Empty: the database is PGDATABASE. A name here would be read as a connection string if it looked like one.
      '--dbname=',
      ...args,
    ],
    env,
    signal,
    hasInput: true,
  });
  program.stdout.resume();
  let broken: { readonly error: unknown } | null = null;
  const fed = pipeline(archive, program.stdin!).catch((error: unknown) => {
    // A program that has seen enough, or has failed, closes its end: `ended` tells which.
    if (isClosedPipe(error)) return;
    broken = { error };
    program.stop();
  });
  try {
    const result = await program.ended;
    archive.destroy();
    await fed;
    throwIfBroken(broken);
    return result;
  } catch (error) {
    archive.destroy();
    await fed;
    signal.throwIfAborted();
    throwIfBroken(broken);
    throw error;
  }
}

/** What the archive's own stream could not do explains what pg_restore then lacked. */
function throwIfBroken(broken: { readonly error: unknown } | null): void {
  if (broken !== null) throw broken.error;
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
