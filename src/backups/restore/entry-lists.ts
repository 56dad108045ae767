import type { TocEntry } from '../archive/types.ts';

/** What of an archive is restored when: by dumpId, in the archive's own order. */
export interface EntryOrder {
  readonly first: readonly number[];
  /**
   * What comes when all rows are in and counted. Foreign keys and what hangs on them: a key to a shared table keeps that
   * table's writers waiting until the transaction ends. And row-level security: who is no superuser could not count the
   * rows of a table that forces it on its owner.
   */
  readonly last: readonly number[];
}

const comesLast = new Set(['FK CONSTRAINT', 'POLICY', 'ROW SECURITY']);

/** Entries that pg_restore reads for itself and that are in no list. */
const ofThePreamble = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH']);

export function orderEntries(entries: readonly TocEntry[]): EntryOrder {
  const last = new Set<number>();
  const first: number[] = [];
  for (const { dumpId, kind, dependencies } of entries) {
    if (ofThePreamble.has(kind)) continue;
    if (comesLast.has(kind) || dependencies.some((id) => last.has(id))) last.add(dumpId);
    else first.push(dumpId);
  }
  return { first, last: [...last] };
}
