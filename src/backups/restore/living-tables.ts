import { TenantError } from '../../errors.ts';
import { quoteQualified } from '../../postgres/identifiers.ts';
import { listNames } from '../../words.ts';
import { type ArchivedRows, noTable, type TableName } from './archived-rows.ts';
import { literal, type SqlRunner } from './sql-text.ts';

/** A table that is wanted, or a partition of one. */
export interface LivingTable extends TableName {
  readonly oid: string;
  /** Where it stands in the list of those that are wanted. */
  readonly root: number;
  /** False: a partitioned table, whose rows are in its partitions. */
  readonly holdsRows: boolean;
}

/**
 * The tables that are wanted with all their partitions, parents of foreign keys first. They are locked: writers wait
 * from here on, readers do not, and nobody adds a partition or a key.
 */
export async function lockTables(runner: SqlRunner, wanted: readonly TableName[]): Promise<readonly LivingTable[]> {
  const roots = await readTrees(runner, wanted);
  for (const [index, { name }] of wanted.entries()) {
    if (roots.some(({ root }) => root === index)) continue;
    throw noTable(name, 'the living tenant has no such table', 'restore the whole tenant beside');
  }
  await lock(runner, wanted);
  const tables = new Map<string, LivingTable>();
  // A partition may be named beside its table.
  for (const table of await readTrees(runner, wanted)) if (!tables.has(table.oid)) tables.set(table.oid, table);
  await lock(runner, [...tables.values()]);
  return parentsFirst(runner, wanted.length, [...tables.values()]);
}

async function lock(runner: SqlRunner, tables: readonly TableName[]): Promise<void> {
  const names = new Set(tables.map(({ schema, name }) => quoteQualified(schema, name)));
  await runner.run(`LOCK TABLE ONLY ${[...names].join(', ONLY ')} IN SHARE ROW EXCLUSIVE MODE`);
}

async function readTrees(runner: SqlRunner, wanted: readonly TableName[]): Promise<readonly LivingTable[]> {
  const names = wanted.map(({ schema, name }, index) => `(${index}, ${literal(quoteQualified(schema, name))})`);
  return runner.rows<LivingTable>(`
    SELECT w.root, c.oid::text AS oid, n.nspname AS schema, c.relname AS name, c.relkind = 'r' AS "holdsRows"
      FROM (VALUES ${names.join(', ')}) w(root, name)
      JOIN LATERAL (SELECT pg_catalog.to_regclass(w.name)::oid AS oid
                    UNION SELECT t.relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(w.name)) t) t ON true
      JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind IN ('r', 'p')
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     ORDER BY w.root, c.oid`);
}

interface Reference {
  readonly child: string;
  readonly parent: string;
}

async function parentsFirst(
  runner: SqlRunner,
  count: number,
  tables: readonly LivingTable[],
): Promise<readonly LivingTable[]> {
  const keys = await runner.rows<Reference>(`
    SELECT DISTINCT conrelid::pg_catalog.oid::text AS child, confrelid::pg_catalog.oid::text AS parent
      FROM pg_catalog.pg_constraint
     WHERE contype = 'f' AND conrelid IN (${oids(tables)}) AND confrelid IN (${oids(tables)})`);
  const rootOf = new Map(tables.map(({ oid, root }) => [oid, root]));
  const ordered = new Set<number>();
  const visit = (root: number, way: readonly number[]): void => {
    if (ordered.has(root) || way.includes(root)) return;
    for (const { child, parent } of keys) {
      if (rootOf.get(child) === root) visit(rootOf.get(parent)!, [...way, root]);
    }
    ordered.add(root);
  };
  for (let root = 0; root < count; root += 1) visit(root, []);
  return [...ordered].flatMap((root) => tables.filter((table) => table.root === root));
}

function oids(tables: readonly LivingTable[]): string {
  return tables.map(({ oid }) => `${oid}::oid`).join(', ');
}

/** Pairs of what the archive has rows of and the table that gets them, in the order of `living`. */
export function matchTables(
  archived: readonly ArchivedRows[],
  living: readonly LivingTable[],
): readonly ArchivedRows[] {
  const isSame = (a: TableName, b: TableName) => a.schema === b.schema && a.name === b.name;
  const places = living.filter(({ holdsRows }) => holdsRows);
  const lost = archived.filter((table) => !places.some((each) => isSame(each, table)));
  if (lost.length > 0) {
    throw new TenantError({
      message: `the archive has rows of ${listNames(
        lost.map(({ name }) => name),
        10,
      )}, which the living tables have no place for`,
      code: 'partitions-differ',
      hint: 'make the partitions as they were then; or restore the tenant beside, and copy the rows',
    });
  }
  return places.flatMap((each) => archived.find((table) => isSame(each, table)) ?? []);
}

/** Empties them all, or makes sure that they are. `own`: the schema whose tables are named without it. */
export async function emptyTables(
  runner: SqlRunner,
  tables: readonly LivingTable[],
  { replaces, own }: { readonly replaces: boolean; readonly own: string },
): Promise<void> {
  if (replaces) await refuseCascades(runner, tables, own);
  for (const { schema, name, holdsRows } of tables.toReversed()) {
    if (!holdsRows) continue;
    const table = quoteQualified(schema, name);
    const [row] = await runner.rows<{ full: boolean }>(`SELECT EXISTS (SELECT FROM ONLY ${table}) AS full`);
    if (row?.full !== true) continue;
    if (replaces) await runner.run(`DELETE FROM ONLY ${table}`);
    else {
      throw new TenantError({
        message: `table ${name} is not empty`,
        code: 'not-empty',
        hint: 'nothing was changed; --replace deletes what is in it, in the same transaction',
      });
    }
  }
}

/** A key with ON DELETE CASCADE, SET NULL or SET DEFAULT changes rows of tables that nobody has named. */
async function refuseCascades(runner: SqlRunner, tables: readonly LivingTable[], own: string): Promise<void> {
  const rows = await runner.rows<{ child: string; key: string }>(`
    SELECT DISTINCT CASE n.nspname WHEN ${literal(own)} THEN c.relname
                    ELSE pg_catalog.format('%s.%s', n.nspname, c.relname) END AS child,
           CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE 'SET DEFAULT' END AS key
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE k.contype = 'f' AND k.confdeltype IN ('c', 'n', 'd')
       AND k.confrelid IN (SELECT t.oid FROM pg_catalog.unnest(ARRAY[${oids(tables)}]) t(oid)
                           UNION SELECT a.relid FROM pg_catalog.unnest(ARRAY[${oids(tables)}]) t(oid)
                           CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(t.oid) a)
       AND c.relkind = 'r' AND c.oid NOT IN (${oids(tables)})
     ORDER BY child`);
  if (rows.length === 0) return;
  const children = [...new Set(rows.map(({ child }) => child))];
  throw new TenantError({
    message: `deleting these rows would change rows of ${listNames(
      rows.map(({ child, key }) => `${child} (ON DELETE ${key})`),
      10,
    )}`,
    code: 'would-cascade',
    hint: `nothing was changed; restore those with it (--table ${children.join(' ')}), or restore beside and copy the rows`,
  });
}
