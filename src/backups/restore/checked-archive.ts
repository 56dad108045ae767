import { Readable } from 'node:stream';
import { TenantError } from '../../errors.ts';
import { readToc } from '../archive/read-archive.ts';
import type { Toc } from '../archive/types.ts';
import { Hashing } from '../repository/content.ts';
import type { BackupManifest } from '../repository/manifest.ts';

/** An archive that was read once and is what its manifest says. None of it lies on this machine's disk. */
export interface CheckedArchive {
  readonly toc: Toc;
  /** All of its bytes once more, decrypted on their way. */
  readonly open: (signal: AbortSignal) => Promise<Readable>;
}

/**
 * Reads an archive and compares it with its manifest: a server is touched only when every byte is right. Nothing is
 * written, for a decrypted file would stay behind when this process is killed. Throws a TenantError `archive-damaged`.
 */
export async function checkWholeArchive(
  open: (signal: AbortSignal) => Promise<Readable>,
  { archive }: Pick<BackupManifest, 'archive'>,
  signal: AbortSignal,
): Promise<CheckedArchive> {
  const source = await open(signal);
  const hashing = new Hashing();
  const bytes = hashing.through(source);
  try {
    const toc = await readToc(readOnWith(bytes)).catch((error: unknown) => error);
    for await (const _ of bytes);
    signal.throwIfAborted();
    const { sizeBytes, sha256 } = hashing.digest();
    if (sizeBytes !== archive.sizeBytes || sha256 !== archive.sha256) throw damagedArchive();
    if (toc instanceof Error) throw toc;
    return { toc: toc as Toc, open };
  } finally {
    source.destroy();
  }
}

/** The table of contents of an archive, of which no more is read. */
export async function readTocOf(open: () => Promise<Readable>): Promise<Toc> {
  const source = await open();
  try {
    return await readToc(source);
  } finally {
    source.destroy();
  }
}

/** An archive with the same table of contents and no rows: enough for entries that have none. */
export function withoutRows({ header, entries }: Toc): Readable {
  const count = Buffer.alloc(5);
  count.writeUInt32LE(entries.length, 1);
  const pieces = entries.flatMap(({ raw }) => [raw, noData]);
  return Readable.from([Buffer.concat([header.raw, count, ...pieces])], { objectMode: false });
}

/** "Has no data", and an offset. */
const noData = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0]);

/** Who stops reading it does not close it. */
function readOnWith(bytes: AsyncGenerator<Uint8Array>): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const { done, value } = await bytes.next();
        return done === true
          ? { done, value: undefined }
          : { done: false, value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) };
      },
    }),
  };
}

function damagedArchive(): TenantError {
  return new TenantError({
    message: 'the archive is not the one that its manifest describes: size or sha256 differ',
    code: 'archive-damaged',
    hint: 'nothing was touched; take an older backup (--at), and look at all of them: tenantctl verify',
  });
}
