import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { TenantError } from '../../errors.ts';
import { type Digest, digestOf, Hashing, readContent } from './content.ts';
import { encrypt } from './encryption.ts';
import { writeError } from './file-errors.ts';
import type { Content } from './store.ts';

/** An archive as it will be stored, with the hashes of both, from one reading. */
export interface Sealed {
  readonly archive: Digest;
  readonly file: Digest;
  /** The archive itself where nobody is to be kept from it. */
  readonly stored: Content;
}

/** Encrypts for the recipients, if there are any. `spoolPath`: where a large one is put together. */
export async function seal(
  content: Content,
  recipients: readonly string[],
  spoolPath: () => Promise<string>,
  signal?: AbortSignal,
): Promise<Sealed> {
  if (recipients.length === 0) {
    const digest = await digestOf(readContent(content, signal));
    return { archive: digest, file: digest, stored: content };
  }
  const plain = new Hashing();
  const sealed = new Hashing();
  const bytes = sealed.through(encrypt(plain.through(readContent(content, signal)), recipients));
  // What came from memory has room there.
  const kept =
    content.kind === 'bytes' ? await keepInMemory(bytes) : await keepInFile(bytes, await spoolPath(), signal);
  const [archive, file] = [plain.digest(), sealed.digest()];
  return { archive, file, stored: { ...kept, sizeBytes: file.sizeBytes } };
}

async function keepInMemory(bytes: AsyncIterable<Uint8Array>): Promise<Content> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return { kind: 'bytes', sizeBytes: 0, chunks };
}

async function keepInFile(bytes: AsyncIterable<Uint8Array>, path: string, signal?: AbortSignal): Promise<Content> {
  try {
    const file = createWriteStream(path, { flags: 'wx', mode: 0o600, highWaterMark: 1 << 20 });
    await pipeline(bytes, file, ...(signal === undefined ? [] : [{ signal }]));
  } catch (cause) {
    await rm(path, { force: true });
    signal?.throwIfAborted();
    throw cause instanceof TenantError ? cause : writeError(path, cause);
  }
  return { kind: 'file', sizeBytes: 0, path, isOurs: true };
}
