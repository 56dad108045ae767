import { type FileHandle, open, rm } from 'node:fs/promises';
import { writeError } from '../repository/file-errors.ts';
import type { Content } from '../repository/store.ts';
import { type ArchiveEntry, dataFieldBytes, stateCodes } from './archive-entry.ts';
import { intBytes } from './byte-reader.ts';
import type { FinishedArchive } from './finish-archive.ts';
import type { ArchivedTable, ArchiveHeader } from './types.ts';

/** How much all archives that are being built together may hold in memory. */
export interface MemoryBudget {
  readonly perArchive: number;
  readonly total: number;
  used: number;
}

export interface BuilderOptions {
  readonly header: ArchiveHeader;
  readonly entries: readonly ArchiveEntry[];
  readonly budget: MemoryBudget;
  /** Asked when the archive has become too large for memory. */
  readonly spoolFile: () => Promise<string>;
}

interface SpoolFile {
  readonly handle: FileHandle;
  readonly path: string;
  writtenBytes: number;
}

/** Memory is taken in pieces that grow with the archive. */
const firstSegment = 4 * 1024;
const lastSegment = 1024 * 1024;

/** Puts one archive together: the entries that it is to have, and its blocks as they come. */
export class ArchiveBuilder {
  readonly #options: BuilderOptions;
  readonly #tocBytes: number;
  /** Where the blocks of entries begin, by dumpId. */
  readonly #offsets = new Map<number, number>();
  #sizeBytes: number;
  #segments: Buffer[] = [];
  /** Of the last segment. */
  #filled = 0;
  #spool: SpoolFile | null = null;
  #heldBytes = 0;

  constructor(options: BuilderOptions) {
    this.#options = options;
    const entryBytes = options.entries.reduce((sum, entry) => sum + entry.rawLength + dataFieldBytes, 0);
    this.#tocBytes = options.header.raw.length + intBytes + entryBytes;
    this.#sizeBytes = this.#tocBytes;
  }

  /** What is appended next is the block of that entry. */
  startBlock(dumpId: number): void {
    this.#offsets.set(dumpId, this.#sizeBytes);
  }

  /** Copies the bytes; a promise when the next must wait for the disk. */
  append(bytes: Buffer, from: number, to: number): undefined | Promise<void> {
    this.#sizeBytes += to - from;
    if (this.#spool === null && !this.#isTooLarge(to - from)) return this.#copy(bytes, from, to);
    return this.#appendToFile(bytes, from, to);
  }

  /** The block has come to its end. Other archives may come next: what waits for the disk is written. */
  endBlock(): undefined | Promise<void> {
    return this.#spool === null ? undefined : this.#flush();
  }

  async finish(tables: readonly ArchivedTable[]): Promise<FinishedArchive> {
    const { header, entries } = this.#options;
    const content = this.#spool === null ? this.#finishInMemory() : await this.#finishFile();
    return { content, header, entries, tables, discard: () => this.discard() };
  }

  /** Lets go of the memory: whoever got the finished archive is through with it, or holds what it needs. */
  release(): void {
    this.#options.budget.used -= this.#heldBytes;
    this.#heldBytes = 0;
    this.#segments = [];
    this.#filled = 0;
  }

  /** Lets go of the memory, and removes the file if there is one. */
  async discard(): Promise<void> {
    this.release();
    const spool = this.#spool;
    if (spool === null) return;
    this.#spool = null;
    // A second close is no error, and a store may have moved the file away.
    await spool.handle.close();
    await rm(spool.path, { force: true });
  }

  #isTooLarge(bytes: number): boolean {
    const { budget } = this.#options;
    return this.#sizeBytes > budget.perArchive || budget.used + bytes > budget.total;
  }

  /** Into memory of its own: the piece it stands in may belong to many archives. */
  #copy(bytes: Buffer, from: number, to: number): undefined {
    for (let at = from; at < to; ) {
      let segment = this.#segments.at(-1);
      if (segment === undefined || this.#filled === segment.length) {
        const length = segment === undefined ? firstSegment : Math.min(segment.length * 2, lastSegment);
        segment = Buffer.allocUnsafeSlow(length);
        this.#segments.push(segment);
        this.#filled = 0;
        this.#heldBytes += length;
        this.#options.budget.used += length;
      }
      const copied = bytes.copy(segment, this.#filled, at, to);
      this.#filled += copied;
      at += copied;
    }
    return undefined;
  }

  async #appendToFile(bytes: Buffer, from: number, to: number): Promise<void> {
    if (this.#spool === null) await this.#openFile();
    for (let at = from; at < to; ) {
      if (this.#segments.length === 0) this.#segments = [Buffer.allocUnsafeSlow(lastSegment)];
      const part = Math.min(lastSegment - this.#filled, to - at);
      bytes.copy(this.#segments[0]!, this.#filled, at, at + part);
      this.#filled += part;
      at += part;
      if (this.#filled === lastSegment) await this.#writeSegment();
    }
  }

  /** What was in memory goes first, after the room that the table of contents will take. */
  async #openFile(): Promise<void> {
    const path = await this.#options.spoolFile();
    const handle = await naming(path, () => open(path, 'w', 0o600));
    const spool = { handle, path, writtenBytes: this.#tocBytes };
    this.#spool = spool;
    for (const piece of this.#filledSegments()) {
      await writeAll(spool, piece, spool.writtenBytes);
      spool.writtenBytes += piece.length;
    }
    this.release();
  }

  async #writeSegment(): Promise<void> {
    const spool = this.#spool!;
    await writeAll(spool, this.#segments[0]!.subarray(0, this.#filled), spool.writtenBytes);
    spool.writtenBytes += this.#filled;
    this.#filled = 0;
  }

  async #flush(): Promise<void> {
    if (this.#filled > 0) await this.#writeSegment();
    this.#segments = [];
  }

  async #finishFile(): Promise<Content> {
    const { handle, path } = this.#spool!;
    const toc = Buffer.allocUnsafeSlow(this.#tocBytes);
    this.#writeToc(toc);
    await writeAll(this.#spool!, toc, 0);
    await handle.close();
    return { kind: 'file', sizeBytes: this.#sizeBytes, path, isOurs: true };
  }

  /** Most tenants are small: one buffer of the right size then, and what was reserved is free. */
  #finishInMemory(): Content {
    const sizeBytes = this.#sizeBytes;
    const segments = this.#filledSegments();
    const isSmall = sizeBytes <= lastSegment;
    const first = Buffer.allocUnsafeSlow(isSmall ? sizeBytes : this.#tocBytes);
    let at = this.#writeToc(first);
    if (!isSmall) return { kind: 'bytes', sizeBytes, chunks: [first, ...segments] };
    for (const segment of segments) at += segment.copy(first, at);
    this.release();
    return { kind: 'bytes', sizeBytes, chunks: [first] };
  }

  /** Gives where it ends. */
  #writeToc(toc: Buffer): number {
    const { header, entries } = this.#options;
    let at = header.raw.copy(toc);
    toc[at] = 0;
    at = toc.writeUInt32LE(entries.length, at + 1);
    for (const entry of entries) {
      at = entry.copyRaw(toc, at);
      const offset = this.#offsets.get(entry.dumpId);
      toc[at] = offset === undefined ? stateCodes.none : stateCodes.set;
      at = toc.writeBigUInt64LE(BigInt(offset ?? 0), at + 1);
    }
    return at;
  }

  #filledSegments(): readonly Buffer[] {
    return this.#segments.map((segment, index) =>
      index === this.#segments.length - 1 ? segment.subarray(0, this.#filled) : segment,
    );
  }
}

async function writeAll({ handle, path }: SpoolFile, bytes: Buffer, position: number): Promise<void> {
  await naming(path, async () => {
    for (let written = 0; written < bytes.length; ) {
      written += (await handle.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
    }
  });
}

/** What Node says of a write does not say of which file. */
async function naming<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw writeError(path, cause);
  }
}
