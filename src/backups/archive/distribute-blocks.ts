import { TenantError } from '../../errors.ts';
import { ArchiveBuilder, type MemoryBudget } from './archive-builder.ts';
import type { ArchiveEntry } from './archive-entry.ts';
import { BlockContent, type BlockFindings } from './block-content.ts';
import type { ByteReader } from './byte-reader.ts';
import { damaged } from './damage.ts';
import { archivedTable, blockTypeOf, describeEntry } from './entry-data.ts';
import type { FinishedArchive } from './finish-archive.ts';
import type { ArchiveToc } from './read-archive.ts';
import { type BlockHead, type BlockSink, readBlocks } from './read-blocks.ts';
import type { ArchivedTable } from './types.ts';

/** One of the archives that are made of what comes. */
export interface ArchivePart {
  readonly entries: readonly ArchiveEntry[];
  readonly spoolFile: () => Promise<string>;
  readonly onFinished: (archive: FinishedArchive) => Promise<void>;
}

/**
 * Reads all blocks that follow the table of contents and puts each into the archive that its entry belongs to; blocks
 * of no part are passed over. A part is finished and handed over as soon as its last block has come. Throws at once
 * when a block is wrong, and at the end when one is missing; what is not handed over is discarded then.
 */
export async function distributeBlocks(
  reader: ByteReader,
  options: { readonly toc: ArchiveToc; readonly parts: readonly ArchivePart[]; readonly memoryLimitBytes: number },
): Promise<void> {
  await new Distribution(options.toc, options.parts, options.memoryLimitBytes).run(reader);
}

/** One archive on its way, and what it waits for. */
interface Unfinished {
  readonly part: ArchivePart;
  readonly builder: ArchiveBuilder;
  readonly tables: Map<number, ArchivedTable>;
  missing: number;
}

/** The blocks of one archive on their way to the archives that they belong to. */
class Distribution {
  readonly #unfinished: Set<Unfinished>;
  readonly #entries = new Map<number, ArchiveEntry>();
  readonly #targets = new Map<number, Unfinished>();
  readonly #seen = new Set<number>();
  readonly #content: BlockContent;

  constructor(toc: ArchiveToc, parts: readonly ArchivePart[], memoryLimitBytes: number) {
    const budget: MemoryBudget = { perArchive: memoryLimitBytes, total: 4 * memoryLimitBytes, used: 0 };
    this.#content = new BlockContent(toc.header.compression);
    for (const entry of toc.entries) if (entry.hasDumper) this.#entries.set(entry.dumpId, entry);
    this.#unfinished = new Set(
      parts.map((part) => {
        const { entries, spoolFile } = part;
        const builder = new ArchiveBuilder({ header: toc.header, entries, budget, spoolFile });
        const unfinished: Unfinished = { part, builder, tables: new Map(), missing: 0 };
        for (const entry of entries) {
          if (!entry.hasDumper) continue;
          this.#targets.set(entry.dumpId, unfinished);
          unfinished.missing += 1;
        }
        return unfinished;
      }),
    );
  }

  async run(reader: ByteReader): Promise<void> {
    try {
      for (const one of [...this.#unfinished]) if (one.missing === 0) await this.#finish(one);
      await readBlocks(reader, (head) => this.#open(head));
      const lacking = [...this.#targets.keys()].filter((id) => !this.#seen.has(id)).map((id) => this.#entries.get(id)!);
      if (lacking.length > 0) throw damaged(`it ends without the data of ${describeEntry(lacking[0]!)}`, reader.offset);
    } catch (error) {
      this.#content.abandon();
      for (const { builder } of this.#unfinished) await builder.discard();
      throw error;
    }
  }

  #open(head: BlockHead): { readonly sink: BlockSink; readonly end: () => undefined | Promise<void> } {
    const entry = this.#entries.get(head.dumpId);
    if (entry === undefined) throw damaged(`data of an unknown entry ${head.dumpId}`, head.offset);
    if (this.#seen.has(head.dumpId)) throw damaged(`data of ${describeEntry(entry)} for the second time`, head.offset);
    if (head.type !== blockTypeOf(entry))
      throw damaged(`${describeEntry(entry)} has data of another type`, head.offset);
    this.#seen.add(head.dumpId);
    const target = this.#targets.get(head.dumpId);
    if (target === undefined) return { sink: {}, end: () => undefined };
    target.builder.startBlock(head.dumpId);
    const content = this.#content;
    content.begin(entry.copyStatement !== null);
    const framed = (bytes: Buffer, from: number, to: number) => target.builder.append(bytes, from, to);
    if (head.type === 'large-objects') return this.#openObjects(target, entry, framed);
    return {
      sink: { framed, content: (bytes, from, to) => content.add(bytes, from, to) },
      end: () => this.#end(target, entry, content.end()),
    };
  }

  #openObjects(target: Unfinished, entry: ArchiveEntry, framed: NonNullable<BlockSink['framed']>) {
    const content = this.#content;
    const sink: BlockSink = {
      framed,
      objectStart: () => content.begin(false),
      content: (bytes, from, to) => content.add(bytes, from, to),
      objectEnd: async () => this.#refuse(entry, await content.end()),
    };
    return { sink, end: () => this.#end(target, entry, null) };
  }

  async #end(
    target: Unfinished,
    entry: ArchiveEntry,
    found: BlockFindings | Promise<BlockFindings> | null,
  ): Promise<void> {
    const findings = await found;
    if (findings !== null) {
      this.#refuse(entry, findings);
      const table = archivedTable(entry, findings);
      if (table !== null) target.tables.set(entry.dumpId, table);
    }
    await target.builder.endBlock();
    target.missing -= 1;
    if (target.missing === 0) await this.#finish(target);
  }

  #refuse(entry: ArchiveEntry, { problem }: BlockFindings): void {
    if (problem === null) return;
    throw new TenantError({
      message: `pg_dump wrote ${describeEntry(entry)} wrongly: ${problem}`,
      code: 'archive-damaged',
    });
  }

  async #finish(one: Unfinished): Promise<void> {
    const { builder, part, tables } = one;
    const inOrder = part.entries.map(({ dumpId }) => tables.get(dumpId)).filter((table) => table !== undefined);
    const archive = await builder.finish(inOrder);
    // From here on it belongs to whom it is handed to.
    this.#unfinished.delete(one);
    await part.onFinished(archive);
    builder.release();
  }
}
