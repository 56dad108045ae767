import { type ByteReader, intAt, intBytes } from './byte-reader.ts';
import { damaged } from './damage.ts';

/** Before the chunks of a block: one byte of its type, and the dumpId of its entry. */
const blockHeadBytes = 1 + intBytes;

/** Source: `_StartData` and `_StartLOs` of pg_backup_custom.c. */
const blockTypes: Readonly<Record<number, BlockHead['type'] | undefined>> = { 1: 'data', 3: 'large-objects' };

export interface BlockHead {
  readonly type: 'data' | 'large-objects';
  readonly dumpId: number;
  /** Of its first byte, from the first byte of the archive. */
  readonly offset: number;
}

type Taken = undefined | Promise<void>;

/**
 * Gets one block as it passes by. Bytes are given as a range of a buffer that is used again: copy what is to stay. A promise is waited for.
 */
export interface BlockSink {
  /** The block as it stands in the archive, from its first byte to its last. */
  readonly framed?: (bytes: Buffer, from: number, to: number) => Taken;
  /** The data within: all its chunks as if they were one. */
  readonly content?: (bytes: Buffer, from: number, to: number) => Taken;
  /** One large object begins; what `content` gets until `objectEnd` is its data. */
  readonly objectStart?: (oid: number) => void;
  readonly objectEnd?: () => Taken;
}

/**
 * Reads all blocks up to the end of the source; `open` says who takes a block. Throws damage where the bytes cannot be blocks.
 */
export async function readBlocks(
  reader: ByteReader,
  open: (head: BlockHead) => { readonly sink: BlockSink; readonly end: () => Taken },
): Promise<void> {
  while (reader.available > 0 || !(await reader.isAtEnd())) {
    if (reader.available < blockHeadBytes) await reader.require(blockHeadBytes);
    const head = readHead(reader);
    const { sink, end } = open(head);
    await new BlockWalk(reader, sink).run(head);
    const pending = end();
    if (pending !== undefined) await pending;
  }
}

/** Leaves the reader at the block's first byte. */
function readHead(reader: ByteReader): BlockHead {
  const offset = reader.offset;
  const type = blockTypes[reader.window[reader.at]!];
  if (type === undefined) throw damaged(`a block of unknown type ${reader.window[reader.at]}`, offset);
  return { type, dumpId: intAt(reader.window, reader.at + 1, reader.windowOffset), offset };
}

/** One block on its way through. */
class BlockWalk {
  readonly #reader: ByteReader;
  readonly #sink: BlockSink;
  /** What stands in the window before `at` and was not given as `framed` begins here. */
  #framedFrom: number;

  constructor(reader: ByteReader, sink: BlockSink) {
    this.#reader = reader;
    this.#sink = sink;
    this.#framedFrom = reader.at;
  }

  async run(head: BlockHead): Promise<void> {
    this.#reader.at += blockHeadBytes;
    if (head.type === 'data') await this.#chunks();
    else await this.#objects();
    const pending = this.#giveFramed();
    if (pending !== undefined) await pending;
  }

  /** Large objects: each an oid and chunks; ended by 0 in place of an oid. */
  async #objects(): Promise<void> {
    for (;;) {
      const oid = await this.#int();
      if (oid === 0) return;
      this.#sink.objectStart?.(oid);
      await this.#chunks();
      await this.#sink.objectEnd?.();
    }
  }

  /** Waits only where the window ends, for an archive without compression has a chunk for each row. */
  async #chunks(): Promise<void> {
    const reader = this.#reader;
    const { content } = this.#sink;
    for (;;) {
      let left = reader.available < intBytes ? await this.#int() : this.#intHere();
      if (left < 0) throw damaged(`a chunk of ${left} bytes`, reader.offset - intBytes);
      if (left === 0) return;
      while (left > 0) {
        if (reader.available === 0) await this.#more(1);
        const taken = Math.min(left, reader.available);
        const pending = content?.(reader.window, reader.at, reader.at + taken);
        if (pending !== undefined) await pending;
        reader.at += taken;
        left -= taken;
      }
    }
  }

  async #int(): Promise<number> {
    if (this.#reader.available < intBytes) await this.#more(intBytes);
    return this.#intHere();
  }

  #intHere(): number {
    const value = intAt(this.#reader.window, this.#reader.at, this.#reader.windowOffset);
    this.#reader.at += intBytes;
    return value;
  }

  /** Gives away what was read, for the window is about to move. */
  async #more(bytes: number): Promise<void> {
    const pending = this.#giveFramed();
    if (pending !== undefined) await pending;
    await this.#reader.require(bytes);
    this.#framedFrom = this.#reader.at;
  }

  #giveFramed(): Taken {
    const from = this.#framedFrom;
    this.#framedFrom = this.#reader.at;
    if (from === this.#reader.at) return undefined;
    return this.#sink.framed?.(this.#reader.window, from, this.#reader.at);
  }
}
