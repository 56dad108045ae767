import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import type { ClientTools } from '../../postgres/local/client-tools.ts';
import { startProgram } from '../../postgres/programs.ts';
import type { PsqlTransaction } from './psql-transaction.ts';

export interface ArchiveSql {
  readonly tools: ClientTools;
  /** Path of the archive. */
  readonly file: string;
  readonly signal: AbortSignal;
  /** Of the server that will run it. */
  readonly serverMajor: number;
}

/** Feeds some entries of an archive to a transaction, in the order in which they are listed. No entries, no work. */
export async function feedEntries(
  transaction: PsqlTransaction,
  { tools, file, signal, serverMajor }: ArchiveSql,
  dumpIds: readonly number[],
): Promise<void> {
  if (dumpIds.length === 0) return;
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-list-'));
  try {
    const list = join(folder, 'entries');
    await writeFile(list, dumpIds.map((id) => `${id};\n`).join(''));
    const program = startProgram(tools, 'pg_restore', {
      args: ['--file=-', `--use-list=${list}`, file],
      env: {},
      signal,
    });
    try {
      await transaction.feed(ownSettings(program.stdout, serverMajor), program.ended);
    } finally {
      program.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** pg_restore's settings stand before the first object, within so many bytes. */
const preambleBytes = 4096;

/**
 * pg_restore begins with settings of its own. Two of them are not for us: `lock_timeout = 0` would let a foreign key to
 * a shared table wait for ever, with the application queueing up behind it; `transaction_timeout` is unknown to a
 * server before 17, and pg_restore from 17 on writes it for any.
 */
function ownSettings(source: Readable, serverMajor: number): Readable {
  const unwanted = ['SET lock_timeout = 0;\n', ...(serverMajor < 17 ? ['SET transaction_timeout = 0;\n'] : [])];
  let head: Buffer | null = Buffer.alloc(0);
  const settle = (bytes: Buffer): Buffer => {
    const preamble = bytes.subarray(0, preambleBytes).toString('latin1');
    const edited = unwanted.reduce((text, line) => text.replace(line, ''), preamble);
    return Buffer.concat([Buffer.from(edited, 'latin1'), bytes.subarray(preambleBytes)]);
  };
  const edit = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (head === null) return done(null, chunk);
      head = Buffer.concat([head, chunk]);
      if (head.length < preambleBytes) return done();
      const bytes = head;
      head = null;
      done(null, settle(bytes));
    },
    flush(done) {
      done(null, head === null ? undefined : settle(head));
    },
  });
  source.on('error', (error) => edit.destroy(error));
  return source.pipe(edit);
}
