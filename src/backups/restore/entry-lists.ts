import type { TocEntry } from '../archive/types.ts';

/** What of an archive is restored when: by dumpId, in the archive's own order. */
export interface EntryOrder {
  readonly first: readonly number[];
  /**
   * Foreign keys and what hangs on them. A key to a shared table keeps that table's writers waiting until the
   * transaction ends, so they come last, when all rows are in and counted.
   */
  readonly last: readonly number[];
}

/** Entries that pg_restore reads for itself and that are in no list. */
const ofThePreamble = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH']);

export function orderEntries(entries: readonly TocEntry[]): EntryOrder {
  const last = new Set<number>();
  const first: number[] = [];
  for (const { dumpId, kind, dependencies } of entries) {
    if (ofThePreamble.has(kind)) continue;
    if (kind === 'FK CONSTRAINT' || dependencies.some((id) => last.has(id))) last.add(dumpId);
    else first.push(dumpId);
  }
  return { first, last: [...last] };
}

/** The rows of these tables, in this order. */
export function rowEntries(entries: readonly TocEntry[], schema: string, tables: readonly string[]): TocEntry[] {
  const byName = new Map(
    entries.flatMap((entry) =>
      entry.kind === 'TABLE DATA' && entry.namespace === schema ? [[entry.tag, entry] as const] : [],
    ),
  );
  return tables.flatMap((name) => byName.get(name) ?? []);
}
