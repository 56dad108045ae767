import type { ArchiveEntry } from './archive-entry.ts';
import { BlockContent, type BlockFindings } from './block-content.ts';
import { ByteReader, type ByteSource } from './byte-reader.ts';
import { isDamage, isUnsupported } from './damage.ts';
import { archivedTable, blockTypeOf, describeEntry } from './entry-data.ts';
import { type ArchiveToc, readContents } from './read-archive.ts';
import { type BlockHead, type BlockSink, readBlocks } from './read-blocks.ts';
import type { ArchivedTable, Toc, TocEntry } from './types.ts';

export interface ArchiveCheck {
  /** Null: it could not be read. */
  readonly toc: Toc | null;
  /** Of the blocks that could be read, in the order of the entries. */
  readonly tables: readonly ArchivedTable[];
  /** What is wrong and where, a line each; none: it holds what pg_dump wrote. */
  readonly problems: readonly string[];
  /** Why it could not be looked at, or not at all of it: neither good nor bad. */
  readonly unsupported: string | null;
}

/** An archive that is broken in each block would fill pages. */
const mostProblems = 50;

/**
 * Reads an archive to its last byte: the table of contents, each block inflated to its end, COPY texts to their `\.`,
 * every entry's data there and nothing else. Damage is in `problems` and never thrown; what is thrown is the source's
 * own error. Memory is bounded by the table of contents.
 */
export async function checkArchive(source: ByteSource): Promise<ArchiveCheck> {
  const reader = new ByteReader(source);
  const problems = new Problems();
  let toc: ArchiveToc | null = null;
  let blocks: BlockCheck | null = null;
  let unsupported: string | null = null;
  try {
    toc = await readContents(reader);
    checkEntries(toc.entries, problems);
    if (toc.header.compression === 'lz4') unsupported = 'data compressed with lz4 cannot be read here';
    blocks = new BlockCheck(toc, problems);
    await readBlocks(reader, (head) => blocks!.open(head));
    blocks.checkAllThere();
  } catch (error) {
    if (isDamage(error)) problems.add(error.message);
    else if (isUnsupported(error)) unsupported = error.message;
    else throw error;
  } finally {
    blocks?.abandon();
    await reader.close();
  }
  return { toc, tables: blocks?.tables() ?? [], problems: problems.lines(), unsupported };
}

class Problems {
  readonly #lines: string[] = [];
  #more = 0;

  add(line: string): void {
    if (this.#lines.length < mostProblems) this.#lines.push(line);
    else this.#more += 1;
  }

  lines(): readonly string[] {
    return this.#more === 0 ? this.#lines : [...this.#lines, `and ${this.#more} more problems`];
  }
}

/** What pg_dump writes of each entry, whatever it is. */
function checkEntries(entries: readonly TocEntry[], problems: Problems): void {
  const ids = new Set<number>();
  for (const entry of entries) {
    const { dumpId, dependencies, catalogId } = entry;
    if (ids.has(dumpId)) problems.add(`${describeEntry(entry)} has the number ${dumpId} of another entry`);
    ids.add(dumpId);
    const areIds = dependencies.every((id) => Number.isInteger(id) && id > 0);
    const areOids = /^\d+$/.test(catalogId.tableOid) && /^\d+$/.test(catalogId.oid);
    if (!areIds || !areOids) problems.add(`${describeEntry(entry)} has something else where numbers of objects stand`);
    const isExpected = entry.hasDumper === (entry.data.state !== 'none');
    if (!isExpected) problems.add(`${describeEntry(entry)} contradicts itself: has it data or not`);
  }
}

/** Looks at the blocks as they come, in whatever order. */
class BlockCheck {
  readonly #toc: ArchiveToc;
  readonly #problems: Problems;
  readonly #content: BlockContent;
  readonly #entries = new Map<number, ArchiveEntry>();
  readonly #found = new Map<number, ArchivedTable | null>();

  constructor(toc: ArchiveToc, problems: Problems) {
    this.#toc = toc;
    this.#problems = problems;
    this.#content = new BlockContent(toc.header.compression);
    for (const entry of toc.entries) if (entry.hasDumper) this.#entries.set(entry.dumpId, entry);
  }

  open(head: BlockHead): { readonly sink: BlockSink; readonly end: () => undefined | Promise<void> } {
    const entry = this.#entries.get(head.dumpId);
    const problem = this.#findHeadProblem(head, entry);
    if (problem !== null) this.#problems.add(`${problem} at byte ${head.offset}`);
    if (entry === undefined) return { sink: {}, end: () => undefined };
    if (!this.#found.has(head.dumpId)) this.#found.set(head.dumpId, null);
    const content = this.#content;
    content.begin(head.type === 'data' && entry.copyStatement !== null);
    const take = (bytes: Buffer, from: number, to: number) => content.add(bytes, from, to);
    if (head.type === 'data') return { sink: { content: take }, end: () => this.#end(entry, content.end()) };
    return { sink: this.#objects(entry, head), end: () => undefined };
  }

  tables(): readonly ArchivedTable[] {
    return this.#toc.entries
      .map(({ dumpId }) => this.#found.get(dumpId) ?? null)
      .filter((table): table is ArchivedTable => table !== null);
  }

  checkAllThere(): void {
    for (const [id, entry] of this.#entries) {
      if (!this.#found.has(id)) this.#problems.add(`the data of ${describeEntry(entry)} is not there`);
    }
  }

  /** Frees what a block holds that did not come to its end. */
  abandon(): void {
    this.#content.abandon();
  }

  #findHeadProblem(head: BlockHead, entry: ArchiveEntry | undefined): string | null {
    if (entry === undefined) return `data of the unknown entry ${head.dumpId}`;
    if (this.#found.has(head.dumpId)) return `data of ${describeEntry(entry)} for the second time`;
    if (head.type !== blockTypeOf(entry)) return `${describeEntry(entry)} has data of another type`;
    const { state, offset } = entry.data;
    if (state !== 'set' || offset === BigInt(head.offset)) return null;
    return `${describeEntry(entry)} says that its data stands at byte ${offset}, and it stands`;
  }

  #objects(entry: ArchiveEntry, head: BlockHead): BlockSink {
    const content = this.#content;
    let current = 0;
    return {
      objectStart: (oid) => {
        current = oid;
        content.begin(false);
      },
      content: (bytes, from, to) => content.add(bytes, from, to),
      objectEnd: async () => {
        const { problem } = await content.end();
        if (problem === null) return;
        this.#problems.add(
          `${describeEntry(entry)}, object ${current} of the block at byte ${head.offset}: ${problem}`,
        );
      },
    };
  }

  async #end(entry: ArchiveEntry, found: BlockFindings | Promise<BlockFindings>): Promise<void> {
    const findings = await found;
    if (findings.problem !== null) this.#problems.add(`${describeEntry(entry)}: ${findings.problem}`);
    else this.#found.set(entry.dumpId, archivedTable(entry, findings));
  }
}
