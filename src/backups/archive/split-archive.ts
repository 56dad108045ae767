import { TenantError } from '../../errors.ts';
import { type ByteSource, withReader } from './byte-reader.ts';
import { type ArchivePart, distributeBlocks } from './distribute-blocks.ts';
import type { FinishedArchive } from './finish-archive.ts';
import { readContents } from './read-archive.ts';
import { countArchivedLargeObjects, selectEntries } from './select-entries.ts';
import type { Toc, TocEntry } from './types.ts';

export interface SplitOptions {
  /** Those that get an archive; what pg_dump wrote of others is left out. */
  readonly schemas: readonly string[];
  /** So much of a schema stays in memory; a larger one is spooled, and one for which four times as much is taken by all. */
  readonly memoryLimitBytes: number;
  /** Names the file to spool a schema's archive to. */
  readonly spoolFile: (schema: string) => Promise<string>;
  readonly onToc?: (toc: Toc) => void;
  /** Called as soon as all data of the schema has come; the source waits for it. Until it has come to its end pg_dump may still fail. */
  readonly onFinished: (schema: string, archive: FinishedArchive) => Promise<void>;
}

/**
 * Splits what pg_dump writes into an archive for each schema, while it comes: blocks are copied as they are. Each is
 * inflated on its way, so that what pg_dump wrote wrongly is noticed now. Throws a TenantError when the source is damaged or cut short,
 * lacks a schema (`schema-missing`) or an entry's data; what was handed over before is no backup then.
 */
export async function splitArchive(
  source: ByteSource,
  options: SplitOptions,
): Promise<{ readonly largeObjects: number; readonly leftOut: readonly TocEntry[] }> {
  return withReader(source, async (reader) => {
    const toc = await readContents(reader);
    options.onToc?.(toc);
    const { bySchema, leftOut } = selectEntries(toc.entries, [...new Set(options.schemas)]);
    const parts = [...bySchema].map(([schema, entries]): ArchivePart => {
      if (entries.length === 0) throw lacksSchema(schema);
      return {
        entries,
        spoolFile: () => options.spoolFile(schema),
        onFinished: (archive) => options.onFinished(schema, archive),
      };
    });
    await distributeBlocks(reader, { toc, parts, memoryLimitBytes: options.memoryLimitBytes });
    return { largeObjects: countArchivedLargeObjects(toc.entries), leftOut };
  });
}

function lacksSchema(schema: string): TenantError {
  return new TenantError({
    message: `pg_dump's archive has no schema ${JSON.stringify(schema)}`,
    code: 'schema-missing',
    hint: 'was it dropped or renamed meanwhile?',
  });
}
