import type { Content } from '../repository/store.ts';
import { type ByteSource, withReader } from './byte-reader.ts';
import { type ArchivePart, distributeBlocks } from './distribute-blocks.ts';
import { readContents } from './read-archive.ts';
import type { ArchivedTable, ArchiveHeader, TocEntry } from './types.ts';

/** An archive with the offsets of its data filled in: in memory, or in a file if it is large. */
export interface FinishedArchive {
  readonly content: Content;
  readonly header: ArchiveHeader;
  /** As they were read: their `data` is that of the archive they were taken from. */
  readonly entries: readonly TocEntry[];
  /** In the order of the entries. */
  readonly tables: readonly ArchivedTable[];
  /** Removes what stands on disk, if it still stands there. */
  discard(): Promise<void>;
}

export interface FinishOptions {
  readonly memoryLimitBytes: number;
  readonly spoolFile: () => Promise<string>;
  /** Leaves an entry and its data out; without it everything is kept. */
  readonly keep?: (entry: TocEntry) => boolean;
}

/** Finishes the archive of one pg_dump of its own: offsets filled in, contents looked at as `splitArchive` does. */
export async function finishArchive(source: ByteSource, options: FinishOptions): Promise<FinishedArchive> {
  return withReader(source, async (reader) => {
    const toc = await readContents(reader);
    const entries = options.keep === undefined ? toc.entries : toc.entries.filter(options.keep);
    let finished: FinishedArchive | undefined;
    const onFinished = async (archive: FinishedArchive) => {
      finished = archive;
    };
    const part: ArchivePart = { entries, spoolFile: options.spoolFile, onFinished };
    try {
      await distributeBlocks(reader, { toc, parts: [part], memoryLimitBytes: options.memoryLimitBytes });
    } catch (error) {
      // All its data had come, and then something that does not belong there.
      await finished?.discard();
      throw error;
    }
    return finished!;
  });
}
