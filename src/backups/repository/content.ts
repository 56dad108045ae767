import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Content } from './store.ts';

export interface Digest {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The bytes of a text, ready for a store. */
export function textContent(text: string): Content {
  const bytes = Buffer.from(text);
  return { kind: 'bytes', sizeBytes: bytes.length, chunks: [bytes] };
}

/** The bytes, a piece at a time. */
export async function* readContent(content: Content, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  if (content.kind === 'file')
    yield* createReadStream(content.path, { highWaterMark: 1 << 18, ...(signal && { signal }) });
  else yield* content.chunks;
}

/** Passes bytes on, and knows afterwards what they were. */
export class Hashing {
  readonly #hash = createHash('sha256');
  #sizeBytes = 0;
  #isWhole = false;

  async *through<Bytes extends Uint8Array>(source: AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
    for await (const chunk of source) {
      this.#hash.update(chunk);
      this.#sizeBytes += chunk.length;
      yield chunk;
    }
    this.#isWhole = true;
  }

  /** Has it come to its end? */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Of all that came through; to be asked once. */
  digest(): Digest {
    return { sizeBytes: this.#sizeBytes, sha256: this.#hash.digest('hex') };
  }
}

export async function digestOf(source: AsyncIterable<Uint8Array>): Promise<Digest> {
  const hashing = new Hashing();
  for await (const _ of hashing.through(source));
  return hashing.digest();
}
