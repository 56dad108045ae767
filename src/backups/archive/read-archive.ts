import { type ArchiveEntry, readEntry } from './archive-entry.ts';
import { type ByteReader, type ByteSource, intAt, intBytes, withReader } from './byte-reader.ts';
import { damaged } from './damage.ts';
import { checkFixedHeader, decodeHeader, fixedHeaderBytes, walkHeader } from './read-header.ts';
import type { ArchiveHeader, Toc } from './types.ts';

/** A table of contents with what only this room needs of its entries. */
export interface ArchiveToc extends Toc {
  readonly entries: readonly ArchiveEntry[];
}

/**
 * Reads the table of contents of an archive and nothing after it. Throws a TenantError: `archive-damaged`, with the
 * byte, or `archive-unsupported`.
 */
export async function readToc(source: ByteSource): Promise<Toc> {
  return withReader(source, readContents);
}

/** Reads header and entries; the first data block comes next. */
export async function readContents(reader: ByteReader): Promise<ArchiveToc> {
  const header = await readHeader(reader);
  await reader.require(intBytes);
  const count = intAt(reader.window, reader.at, reader.windowOffset);
  if (count < 0) throw damaged(`${count} entries`, reader.offset);
  reader.at += intBytes;
  const [, minor] = header.version;
  const layout = { hasAccessMethod: minor >= 14, hasRelationKind: minor >= 16 };
  const names = new Map<string, string>();
  const entries: ArchiveEntry[] = [];
  while (entries.length < count) {
    const read = readEntry(reader.window, reader.at, { layout, base: reader.windowOffset, names });
    if (typeof read === 'number') {
      await reader.require(reader.available - read);
    } else {
      entries.push(read.entry);
      reader.at = read.end;
    }
  }
  return { header, entries };
}

async function readHeader(reader: ByteReader): Promise<ArchiveHeader> {
  await reader.require(fixedHeaderBytes);
  checkFixedHeader(reader.window);
  for (;;) {
    const end = walkHeader(reader.window);
    if (end >= 0) {
      reader.at = end;
      return decodeHeader(reader.window, end);
    }
    await reader.require(reader.available - end);
  }
}
