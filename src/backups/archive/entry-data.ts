import type { BlockFindings } from './block-content.ts';
import type { BlockHead } from './read-blocks.ts';
import type { ArchivedTable, TocEntry } from './types.ts';

/** How messages name an entry: `TABLE DATA tenant_1.users`. */
export function describeEntry(entry: TocEntry): string {
  return `${entry.kind} ${entry.namespace === null ? '' : `${entry.namespace}.`}${entry.tag}`;
}

/** The type of block that holds an entry's data. */
export function blockTypeOf(entry: TocEntry): BlockHead['type'] {
  return entry.kind === 'BLOBS' ? 'large-objects' : 'data';
}

/** Null: the entry has other data than rows of a table. */
export function archivedTable(entry: TocEntry, findings: BlockFindings): ArchivedTable | null {
  if (entry.kind !== 'TABLE DATA') return null;
  return { schema: entry.namespace ?? '', name: entry.tag, rows: findings.rows, sizeBytes: findings.sizeBytes };
}
