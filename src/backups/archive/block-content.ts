import {
  createInflate,
  createZstdDecompress,
  type Inflate,
  inflateSync,
  type ZstdDecompress,
  zstdDecompressSync,
} from 'node:zlib';
import { CopyRows } from './copy-rows.ts';
import type { ArchiveHeader } from './types.ts';

/** What was found in one block of data, or in one large object. */
export interface BlockFindings {
  /** Null: its text has no rows to count, or it cannot be read here. */
  readonly rows: number | null;
  /** Of the data as it stands in the archive. */
  readonly sizeBytes: number;
  readonly problem: string | null;
}

/** So much compressed data is held: what ends within it is inflated at once, without a stream of its own. */
const heldBytes = 64 * 1024;

/** What is inflated at once may not become larger; zeros shrink to a thousandth. */
const atOnceBytes = 4 * 1024 * 1024;

/**
 * Reads blocks one after the other without keeping them: inflates each to the end of its stream and counts its rows.
 * Bounded memory, whatever the block says of itself.
 */
export class BlockContent {
  readonly #compression: ArchiveHeader['compression'];
  #held = Buffer.allocUnsafe(heldBytes);
  #heldLength = 0;
  #sizeBytes = 0;
  #rows: CopyRows | null = null;
  #stream: InflatedStream | null = null;

  constructor(compression: ArchiveHeader['compression']) {
    this.#compression = compression;
  }

  /** `isCopy`: it is COPY text, ended by `\.`; else any bytes. */
  begin(isCopy: boolean): void {
    this.#heldLength = 0;
    this.#sizeBytes = 0;
    this.#stream = null;
    this.#rows = isCopy ? new CopyRows() : null;
  }

  /** Takes the next bytes of the block; a promise when the next must wait. They may be used again after that. */
  add(bytes: Buffer, from: number, to: number): undefined | Promise<void> {
    this.#sizeBytes += to - from;
    if (this.#compression === 'lz4') return undefined;
    if (this.#compression !== 'none') return this.#hold(bytes, from, to);
    this.#rows?.add(bytes, from, to);
    return undefined;
  }

  /** The block has ended. */
  end(): BlockFindings | Promise<BlockFindings> {
    if (this.#compression === 'lz4') return this.#findings(null, null);
    if (this.#compression === 'none') return this.#findRows();
    if (this.#stream === null) {
      const problem = this.#inflateAtOnce();
      if (problem !== 'too large') return problem === null ? this.#findRows() : this.#findings(null, problem);
    }
    return this.#endStream();
  }

  /** Frees what a block holds that will not come to its end. */
  abandon(): void {
    this.#stream?.destroy();
  }

  #hold(bytes: Buffer, from: number, to: number): undefined | Promise<void> {
    if (this.#heldLength + to - from > heldBytes) return this.#holdMuch(bytes, from, to);
    this.#heldLength += bytes.copy(this.#held, this.#heldLength, from, to);
    return undefined;
  }

  async #holdMuch(bytes: Buffer, from: number, to: number): Promise<void> {
    for (let at = from; at < to; ) {
      if (this.#heldLength === heldBytes) await this.#flush();
      const copied = bytes.copy(this.#held, this.#heldLength, at, to);
      this.#heldLength += copied;
      at += copied;
    }
  }

  /** The stream reads what it was given on another thread until the promise resolves. */
  async #flush(): Promise<void> {
    this.#stream ??= new InflatedStream(this.#compression, this.#rows);
    await this.#stream.write(this.#held.subarray(0, this.#heldLength));
    this.#heldLength = 0;
  }

  #inflateAtOnce(): string | 'too large' | null {
    const bytes = this.#held.subarray(0, this.#heldLength);
    const inflate = this.#compression === 'zstd' ? zstdDecompressSync : inflateSync;
    // A small first buffer: most of the time of a small block would go into making a large one.
    const chunkSize = Math.min(Math.max(1024, this.#heldLength * 8), 256 * 1024);
    try {
      const options = { info: true, maxOutputLength: atOnceBytes, chunkSize };
      const { buffer, engine } = inflate(bytes, options) as unknown as { buffer: Buffer; engine: Inflate };
      if (engine.bytesWritten !== bytes.length) return trailing(bytes.length - engine.bytesWritten);
      this.#rows?.add(buffer, 0, buffer.length);
      return null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return 'too large';
      return inflateProblem(error);
    }
  }

  async #endStream(): Promise<BlockFindings> {
    if (this.#heldLength > 0) await this.#flush();
    const problem = (await this.#stream?.end()) ?? null;
    this.#stream = null;
    return problem === null ? this.#findRows() : this.#findings(null, problem);
  }

  #findRows(): BlockFindings {
    const found = this.#rows?.end();
    if (found === undefined) return this.#findings(null, null);
    return 'rows' in found ? this.#findings(found.rows, null) : this.#findings(null, found.problem);
  }

  #findings(rows: number | null, problem: string | null): BlockFindings {
    return { rows, sizeBytes: this.#sizeBytes, problem };
  }
}

/** Inflates in pieces, on another thread. Once it has failed it takes everything and does nothing. */
class InflatedStream {
  readonly #stream: Inflate | ZstdDecompress;
  readonly #closed: Promise<void>;
  #given = 0;
  #problem: string | null = null;

  constructor(compression: ArchiveHeader['compression'], rows: CopyRows | null) {
    const chunkSize = 128 * 1024;
    this.#stream = compression === 'zstd' ? createZstdDecompress({ chunkSize }) : createInflate({ chunkSize });
    this.#stream.on('data', (bytes: Buffer) => rows?.add(bytes, 0, bytes.length));
    this.#stream.on('error', (error) => {
      this.#problem ??= inflateProblem(error);
    });
    this.#closed = new Promise((resolve) => this.#stream.once('close', resolve));
  }

  async write(bytes: Buffer): Promise<void> {
    this.#given += bytes.length;
    if (this.#stream.destroyed) return;
    // After an error the callback may never come.
    const written = new Promise<void>((resolve) => this.#stream.write(bytes, () => resolve()));
    await Promise.race([written, this.#closed]);
  }

  /** What is wrong, or null. */
  async end(): Promise<string | null> {
    if (!this.#stream.destroyed) this.#stream.end();
    await this.#closed;
    if (this.#problem !== null) return this.#problem;
    const left = this.#given - this.#stream.bytesWritten;
    return left === 0 ? null : trailing(left);
  }

  destroy(): void {
    this.#stream.destroy();
  }
}

function trailing(bytes: number): string {
  return `${bytes} bytes stand after the end of its compressed data`;
}

function inflateProblem(error: unknown): string {
  return `its data cannot be decompressed: ${(error as Error).message}`;
}
