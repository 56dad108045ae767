import { createHash } from 'node:crypto';

/** Passes bytes on and knows, when all have gone through, what they were. */
export class HashedSource implements AsyncIterable<Buffer> {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #hash = createHash('sha256');
  #sizeBytes = 0;
  #digest: string | null = null;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  /** Null: it was not read to its end. */
  get digest(): { readonly sizeBytes: number; readonly sha256: string } | null {
    return this.#digest === null ? null : { sizeBytes: this.#sizeBytes, sha256: this.#digest };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for await (const chunk of this.#source) {
      this.#hash.update(chunk);
      this.#sizeBytes += chunk.length;
      yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
    this.#digest = this.#hash.digest('hex');
  }
}

/** Reads all of it and gives what it was. */
export async function digestOf(
  source: AsyncIterable<Uint8Array>,
): Promise<{ readonly sizeBytes: number; readonly sha256: string }> {
  const hashed = new HashedSource(source);
  for await (const _ of hashed);
  return hashed.digest!;
}
