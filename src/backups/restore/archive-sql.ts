import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import type { ClientTools } from '../../postgres/local/client-tools.ts';
import type { TocEntry } from '../archive/types.ts';
import { readArchive } from '../restore-archive.ts';
import { type CheckedArchive, withoutRows } from './checked-archive.ts';
import type { PsqlTransaction } from './psql-transaction.ts';

export interface ArchiveSql {
  readonly tools: ClientTools;
  readonly archive: CheckedArchive;
  readonly signal: AbortSignal;
  /** Of the server that will run it. */
  readonly serverMajor: number;
}

/** Feeds some entries of an archive to a transaction, in the order in which they are listed. No entries, no work. */
export async function feedEntries(
  transaction: PsqlTransaction,
  sql: ArchiveSql,
  dumpIds: readonly number[],
): Promise<void> {
  for (const ids of cutPasses(sql.archive.toc.entries, dumpIds)) await feedPass(transaction, sql, ids);
}

/** What comes from a stream comes in the archive's own order: rows that are wanted in another one take a pass each. */
function cutPasses(entries: readonly TocEntry[], dumpIds: readonly number[]): readonly (readonly number[])[] {
  const rowsAt = new Map(entries.flatMap(({ dumpId, hasDumper }, index) => (hasDumper ? [[dumpId, index]] : [])));
  const passes: number[][] = [];
  let last = -1;
  for (const id of dumpIds) {
    const at = rowsAt.get(id) ?? last;
    if (passes.length === 0 || at < last) passes.push([]);
    passes.at(-1)!.push(id);
    last = at;
  }
  return passes;
}

async function feedPass(
  transaction: PsqlTransaction,
  { tools, archive, signal, serverMajor }: ArchiveSql,
  dumpIds: readonly number[],
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-list-'));
  try {
    const list = join(folder, 'entries');
    await writeFile(list, dumpIds.map((id) => `${id};\n`).join(''));
    const wanted = new Set(dumpIds);
    const hasRows = archive.toc.entries.some(({ dumpId, hasDumper }) => hasDumper && wanted.has(dumpId));
    const reading = readArchive({
      // What comes at the very end of a long restore must not hang on one more download.
      archive: hasRows ? await archive.open(signal) : withoutRows(archive.toc),
      ...{ tools, signal, env: {} },
      args: ['--file=-', `--use-list=${list}`],
    });
    try {
      await transaction.feed(ownSettings(reading.stdout, serverMajor), reading.ended);
    } finally {
      reading.stop();
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
