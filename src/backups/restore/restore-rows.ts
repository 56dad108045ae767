import { TenantError } from '../../errors.ts';
import { quoteQualified } from '../../postgres/identifiers.ts';
import { listNames } from '../../words.ts';
import type { TocEntry } from '../archive/types.ts';
import { feedEntries } from './archive-sql.ts';
import { compareRows } from './compare-rows.ts';
import { copiedColumns } from './copied-columns.ts';
import { rowEntries } from './entry-lists.ts';
import { readArchiveToc } from './fetch-archive.ts';
import { type PsqlOptions, PsqlTransaction } from './psql-transaction.ts';
import type { FetchedArchive, RestoreJob } from './restore-types.ts';
import { literal, literals, renameSchema, type SqlRunner, schemaExists } from './sql-text.ts';

export interface RowsJob extends RestoreJob {
  /** As they were typed: `tasks`, or `app.tasks` for a tenant with a database of its own. */
  readonly tables: readonly string[];
  /** Delete first what is in them. */
  readonly replaces: boolean;
  readonly withSequences: boolean;
}

export interface RestoredRows {
  readonly tables: number;
  readonly rows: number;
  readonly remarks: readonly string[];
}

/**
 * Puts the rows of some tables back into the living tenant, in one transaction. Triggers run and foreign keys are
 * checked as for any other row that is added; parents come before children.
 */
export async function restoreRows(
  job: RowsJob,
  archive: FetchedArchive,
  psql: Pick<PsqlOptions, 'env' | 'endBackend'>,
): Promise<RestoredRows> {
  const { tools, signal, serverMajor, manifest, way, onStep } = job;
  const { entries } = await readArchiveToc(archive.path);
  const own = manifest.place.schema;
  const sql = { tools, signal, serverMajor, file: archive.path };
  return PsqlTransaction.use({ tools, signal, ...psql }, async (transaction) => {
    await transaction.run(`SET LOCAL lock_timeout = ${Math.trunc(job.lockTimeoutMs)}`);
    // Statements of the archive name its schema: for this transaction the living one has that name.
    const isRenamed = own !== null && way.to.schema !== null && own !== way.to.schema;
    const isParked = isRenamed && (await schemaExists(transaction, own));
    if (isParked) await transaction.run(renameSchema(own, way.parkedName));
    if (isRenamed) await transaction.run(renameSchema(way.to.schema, own));

    const tables = await findTables(transaction, entries, job);
    const remarks = await compareColumns(transaction, tables);
    onStep('locking the tables');
    await emptyTables(transaction, tables, job.replaces);
    const before = job.withSequences ? await readSequences(transaction, tables) : [];
    onStep('restoring rows');
    await feedEntries(
      transaction,
      sql,
      tables.map(({ entry }) => entry.dumpId),
    );
    onStep('comparing rows');
    const counted = manifest.tables.filter((each) => tables.some((table) => isNamed(table, each)));
    await compareRows(transaction, counted);
    if (job.withSequences) await feedEntries(transaction, sql, sequenceEntries(entries, before));
    for (const sequence of before) await keepAhead(transaction, sequence);

    if (isRenamed) await transaction.run(renameSchema(own, way.to.schema));
    if (isParked) await transaction.run(renameSchema(way.parkedName, own));
    return { tables: counted.length, rows: counted.reduce((sum, { rows }) => sum + (rows ?? 0), 0), remarks };
  });
}

interface Table {
  readonly schema: string;
  readonly name: string;
  readonly entry: TocEntry;
}

function isNamed(table: Table, other: { readonly schema: string; readonly name: string }): boolean {
  return table.schema === other.schema && table.name === other.name;
}

/** The tables that were named, with the partitions of those that have some, parents of foreign keys first. */
async function findTables(runner: SqlRunner, entries: readonly TocEntry[], job: RowsJob): Promise<readonly Table[]> {
  const wanted = job.tables.map((text) => readName(text, job.manifest.place.schema));
  const found: Table[] = [];
  for (const { schema, name } of wanted) {
    const rows = await runner.rows<{ schema: string; name: string }>(`
      SELECT n.nspname AS schema, c.relname AS name
        FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(${literal(quoteQualified(schema, name))})) t
        JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE t.isleaf AND c.relkind = 'r'
      UNION
      SELECT n.nspname, c.relname
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind = 'r' AND n.nspname = ${literal(schema)} AND c.relname = ${literal(name)}`);
    if (rows.length === 0)
      throw noTable(name, 'the living tenant has no such table', 'restore the whole tenant beside');
    const inArchive = rows.flatMap((row) => {
      return rowEntries(entries, row.schema, [row.name]).map((entry) => ({ ...row, entry }));
    });
    if (inArchive.length === 0) throw noTable(name, 'the archive has no rows of it', 'take another backup: --at');
    found.push(...inArchive);
  }
  return parentsFirst(runner, found);
}

function readName(text: string, schema: string | null): { readonly schema: string; readonly name: string } {
  if (schema !== null) return { schema, name: text };
  const dot = text.indexOf('.');
  return dot < 0 ? { schema: 'public', name: text } : { schema: text.slice(0, dot), name: text.slice(dot + 1) };
}

async function parentsFirst(runner: SqlRunner, tables: readonly Table[]): Promise<readonly Table[]> {
  const keys = await runner.rows<{ child: string; parent: string }>(`
    SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, c.relname) AS child,
           pg_catalog.format('%I.%I', m.nspname, p.relname) AS parent
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_class p ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace m ON m.oid = p.relnamespace
     WHERE k.contype = 'f' AND n.nspname = ANY(${literals(tables.map(({ schema }) => schema))})`);
  const nameOf = await quotedNames(runner, tables);
  const byName = new Map(tables.map((table) => [nameOf.get(table) ?? '', table]));
  const ordered = new Set<Table>();
  const visit = (name: string, way: readonly string[]): void => {
    const table = byName.get(name);
    if (table === undefined || ordered.has(table) || way.includes(name)) return;
    for (const { child, parent } of keys) if (child === name && parent !== name) visit(parent, [...way, name]);
    ordered.add(table);
  };
  for (const name of byName.keys()) visit(name, []);
  return [...ordered];
}

/** As the server itself quotes them. */
async function quotedNames(runner: SqlRunner, tables: readonly Table[]): Promise<ReadonlyMap<Table, string>> {
  const names = tables.map(({ schema, name }, index) => {
    return `SELECT ${index} AS index, pg_catalog.format('%I.%I', ${literal(schema)}, ${literal(name)}) AS name`;
  });
  const rows = await runner.rows<{ index: number; name: string }>(names.join(' UNION ALL '));
  return new Map(rows.flatMap(({ index, name }) => (tables[index] === undefined ? [] : [[tables[index], name]])));
}

/** A column that the living table has lost stops it; one that came since is filled with its default, and said. */
async function compareColumns(runner: SqlRunner, tables: readonly Table[]): Promise<readonly string[]> {
  const remarks: string[] = [];
  for (const { schema, name, entry } of tables) {
    const rows = await runner.rows<{ name: string }>(`
      SELECT attname AS name FROM pg_catalog.pg_attribute
       WHERE attrelid = ${literal(quoteQualified(schema, name))}::pg_catalog.regclass AND attnum > 0
         AND NOT attisdropped AND attgenerated = ''`);
    const living = new Set(rows.map((row) => row.name));
    const archived = copiedColumns(entry.copyStatement ?? '');
    if (archived === null) continue;
    const lost = archived.filter((column) => !living.has(column));
    if (lost.length > 0) {
      throw new TenantError({
        message: `the living table ${name} has no column ${listNames(lost)}, which the archive has`,
        code: 'columns-differ',
        hint: 'restore the tenant beside, and copy the rows with a statement of your own',
      });
    }
    const added = [...living].filter((column) => !archived.includes(column));
    if (added.length > 0) remarks.push(`${name}: ${listNames(added)} came after the backup and got the default`);
  }
  return remarks;
}

/** Writers wait from here on, readers do not. */
async function emptyTables(runner: SqlRunner, tables: readonly Table[], replaces: boolean): Promise<void> {
  const names = tables.map(({ schema, name }) => quoteQualified(schema, name));
  await runner.run(`LOCK TABLE ONLY ${names.join(', ONLY ')} IN SHARE ROW EXCLUSIVE MODE`);
  for (const [index, name] of names.toReversed().entries()) {
    const [row] = await runner.rows<{ full: boolean }>(`SELECT EXISTS (SELECT FROM ONLY ${name}) AS full`);
    if (row?.full !== true) continue;
    if (replaces) await runner.run(`DELETE FROM ONLY ${name}`);
    else {
      throw new TenantError({
        message: `table ${tables.at(-1 - index)?.name} is not empty`,
        code: 'not-empty',
        hint: 'nothing was changed; --replace deletes what is in it, in the same transaction',
      });
    }
  }
}

interface Sequence {
  readonly schema: string;
  readonly name: string;
  readonly last: string;
  readonly called: boolean;
}

/** Those that belong to columns of the tables, as they stand before. */
async function readSequences(runner: SqlRunner, tables: readonly Table[]): Promise<readonly Sequence[]> {
  const relations = tables.map(({ schema, name }) => {
    return `${literal(quoteQualified(schema, name))}::pg_catalog.regclass`;
  });
  const sequences = await runner.rows<{ schema: string; name: string }>(`
    SELECT n.nspname AS schema, s.relname AS name
      FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
      JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
     WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
       AND d.deptype IN ('a', 'i') AND d.refobjid IN (${relations.join(', ')})`);
  const states: Sequence[] = [];
  for (const { schema, name } of sequences) {
    const [state] = await runner.rows<{ last: string; called: boolean }>(
      `SELECT last_value::text AS last, is_called AS called FROM ${quoteQualified(schema, name)}`,
    );
    if (state !== undefined) states.push({ schema, name, ...state });
  }
  return states;
}

function sequenceEntries(entries: readonly TocEntry[], sequences: readonly Sequence[]): readonly number[] {
  return entries.flatMap(({ kind, namespace, tag, dumpId }) => {
    const isWanted = sequences.some(({ schema, name }) => namespace === schema && tag === name);
    return kind === 'SEQUENCE SET' && isWanted ? [dumpId] : [];
  });
}

/** A sequence that was ahead of the archive stays where it was: no number is given twice. */
async function keepAhead(runner: SqlRunner, { schema, name, last, called }: Sequence): Promise<void> {
  const sequence = quoteQualified(schema, name);
  await runner.rows(`
    SELECT pg_catalog.setval(${literal(sequence)}::pg_catalog.regclass, ${literal(last)}::bigint, ${called})
      FROM ${sequence} WHERE last_value < ${literal(last)}::bigint`);
}

function noTable(name: string, why: string, hint: string): TenantError {
  return new TenantError({ message: `table ${JSON.stringify(name)}: ${why}`, code: 'no-table', hint });
}
