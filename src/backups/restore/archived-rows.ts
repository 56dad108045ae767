import { TenantError } from '../../errors.ts';
import type { TocEntry } from '../archive/types.ts';

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** A table of an archive that has rows of its own there. */
export interface ArchivedRows extends TableName {
  readonly entry: TocEntry;
}

/** A name as it is typed: `tasks`, or `app.tasks` for a tenant with a database of its own. */
export function readTableName(text: string, schema: string | null): TableName {
  if (schema !== null) return { schema, name: text };
  const dot = text.indexOf('.');
  return dot < 0 ? { schema: 'public', name: text } : { schema: text.slice(0, dot), name: text.slice(dot + 1) };
}

/**
 * The tables of an archive that hold the rows of those that are wanted: they themselves, or their partitions. Throws a
 * TenantError `no-table`.
 */
export function findArchivedRows(entries: readonly TocEntry[], wanted: readonly TableName[]): readonly ArchivedRows[] {
  const tables = new Map(entries.flatMap((entry) => (entry.kind === 'TABLE' ? [[entry.dumpId, entry]] : [])));
  const partitions = readPartitions(entries, tables);
  const rows = new Map(
    entries.flatMap((entry) => (entry.kind === 'TABLE DATA' ? [[keyOf(entry.namespace, entry.tag), entry]] : [])),
  );
  const found = new Map<string, ArchivedRows>();
  for (const { schema, name } of wanted) {
    const root = [...tables.values()].find(({ namespace, tag }) => namespace === schema && tag === name);
    if (root === undefined) throw noTable(name, 'the archive has no such table', 'take another backup: --at');
    const own = withPartitions(root, partitions).flatMap(({ namespace, tag }): ArchivedRows[] => {
      const entry = rows.get(keyOf(namespace, tag));
      return entry === undefined ? [] : [{ schema: namespace ?? schema, name: tag, entry }];
    });
    if (own.length === 0) throw noTable(name, 'the archive has no rows of it', 'take another backup: --at');
    for (const table of own) found.set(keyOf(table.schema, table.name), table);
  }
  return [...found.values()];
}

/** By the dumpId of a partitioned table. */
function readPartitions(
  entries: readonly TocEntry[],
  tables: ReadonlyMap<number, TocEntry>,
): ReadonlyMap<number, readonly TocEntry[]> {
  const partitions = new Map<number, TocEntry[]>();
  for (const { kind, namespace, tag, dependencies } of entries) {
    if (kind !== 'TABLE ATTACH') continue;
    // It is called like the partition, and depends on that and on the table that gets it.
    const both = dependencies.flatMap((id) => tables.get(id) ?? []);
    const partition = both.find((table) => table.namespace === namespace && table.tag === tag);
    const parent = both.find((table) => table !== partition);
    if (partition === undefined || parent === undefined) continue;
    partitions.set(parent.dumpId, [...(partitions.get(parent.dumpId) ?? []), partition]);
  }
  return partitions;
}

function withPartitions(table: TocEntry, partitions: ReadonlyMap<number, readonly TocEntry[]>): readonly TocEntry[] {
  return [table, ...(partitions.get(table.dumpId) ?? []).flatMap((each) => withPartitions(each, partitions))];
}

function keyOf(schema: string | null, name: string): string {
  return JSON.stringify([schema, name]);
}

export function noTable(name: string, why: string, hint: string): TenantError {
  return new TenantError({ message: `table ${JSON.stringify(name)}: ${why}`, code: 'no-table', hint });
}
