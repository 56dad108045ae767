import { damaged } from './damage.ts';

/** The bytes of an archive, in pieces as they come: the output of pg_dump, a file, a download. */
export type ByteSource = AsyncIterable<Buffer>;

/** pg_dump writes each whole number as a sign and four bytes. */
export const intBytes = 5;

/**
 * A window that moves over a source. What is read often is read from `window` at `at` without waiting; `require`
 * waits for more. A piece that was read is let go as soon as nobody else holds it.
 */
export class ByteReader {
  /** What has come and is not read yet begins at `at`. Replaced by `require`. */
  window: Buffer = Buffer.alloc(0);
  at = 0;
  readonly #source: AsyncIterator<Buffer>;
  /** How many bytes of the source came before the window. */
  #before = 0;

  constructor(source: ByteSource) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** How far it has read, from the first byte of the source. */
  get offset(): number {
    return this.#before + this.at;
  }

  /** Where the window begins, from the first byte of the source. */
  get windowOffset(): number {
    return this.#before;
  }

  get available(): number {
    return this.window.length - this.at;
  }

  /** Waits until so many bytes stand in the window together; throws damage when the source ends before. */
  async require(bytes: number): Promise<void> {
    if (!(await this.#fill(bytes)))
      throw damaged('it ends in the middle of something', this.#before + this.window.length);
  }

  /** Whether the source has ended and all of it was read. */
  async isAtEnd(): Promise<boolean> {
    return !(await this.#fill(1));
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** Memory grows with what truly comes, never with what was asked for. */
  async #fill(bytes: number): Promise<boolean> {
    if (this.available >= bytes) return true;
    const rest = this.window.subarray(this.at);
    this.#before += this.at;
    const pieces = rest.length === 0 ? [] : [rest];
    let length = rest.length;
    while (length < bytes) {
      const next = await this.#source.next();
      if (next.done === true) break;
      pieces.push(next.value);
      length += next.value.length;
    }
    this.window = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, length);
    this.at = 0;
    return length >= bytes;
  }
}

/** Reads no further than the work did: the source is told, so that whoever writes it can stop. */
export async function withReader<T>(source: ByteSource, work: (reader: ByteReader) => Promise<T>): Promise<T> {
  const reader = new ByteReader(source);
  try {
    return await work(reader);
  } finally {
    await reader.close();
  }
}

/** A whole number that stands in the bytes; `base` is the offset of the first of them, for the message. */
export function intAt(bytes: Buffer, at: number, base: number): number {
  const sign = bytes[at]!;
  const value = bytes[at + 1]! | (bytes[at + 2]! << 8) | (bytes[at + 3]! << 16) | (bytes[at + 4]! << 24);
  if (sign > 1 || value < 0 || (sign === 1 && value === 0)) throw damaged('not a whole number', base + at);
  return sign === 0 ? value : -value;
}

/** Longer texts than these no pg_dump writes: a damaged length must not fill the memory. */
const longestText = 64 * 1024 * 1024;

/** How many bytes the text has whose length stands there; -1 is SQL's NULL. */
export function textLengthAt(bytes: Buffer, at: number, base: number): number {
  const length = intAt(bytes, at, base);
  if (length < -1 || length > longestText) throw damaged(`a text of ${length} bytes`, base + at);
  return length;
}

/** The text as UTF-8. */
export function textAt(bytes: Buffer, at: number): string | null {
  const length = textLengthAt(bytes, at, 0);
  return length < 0 ? null : bytes.toString('utf8', at + intBytes, at + intBytes + length);
}

/** The text with one character for each byte: to compare names as bytes, and for words that are ASCII. */
export function bytesAt(bytes: Buffer, at: number): string | null {
  const length = textLengthAt(bytes, at, 0);
  return length < 0 ? null : bytes.toString('latin1', at + intBytes, at + intBytes + length);
}
