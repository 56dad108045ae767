import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts';
import type { Queries } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import type { TableRows } from './receipt.ts';

/** Questions under way together: a session keeps their texts in memory. */
const questionsAtOnce = 200;

/** How values are written, whatever the login's or the database's settings: the text of a row is what is hashed. */
const fixedSettings = {
  search_path: 'pg_catalog',
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
  xmlbinary: 'base64',
  // Rows that a policy hides must be an error, not a smaller number.
  row_security: 'off',
  jit: 'off',
} as const;

const savepoint = 'tenantctl_rows';

/**
 * How many rows each table has and a sum of their hashes, whatever their order; and where each sequence stands. Tables of
 * extensions are left out, and partitioned ones: their rows are their partitions'. `schemas` null: all of the database but
 * PostgreSQL's own and tenantctl's. In the caller's transaction, as it sees the rows, or in one of its own; settings are as before
 * afterwards. The login must be allowed to read.
 */
export async function readRows(session: Queries, schemas: readonly string[] | null): Promise<readonly TableRows[]> {
  const [begin, end] = session.isIdle
    ? ['BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', 'ROLLBACK']
    : [`SAVEPOINT ${savepoint}`, `ROLLBACK TO SAVEPOINT ${savepoint}; RELEASE SAVEPOINT ${savepoint}`];
  await session.raw(begin);
  try {
    const values = Object.entries(fixedSettings);
    await session.query(sql`SELECT pg_catalog.set_config(s.name, s.value, true)
      FROM ROWS FROM (pg_catalog.unnest(${values.map(([name]) => name)}::text[]),
                      pg_catalog.unnest(${values.map(([, value]) => value)}::text[])) AS s (name, value)`);
    return await readPrints(session, await readCounted(session, schemas));
  } finally {
    // Ends the settings too. After an error it is the caller's transaction that is to be rolled back.
    if (!session.isBroken) await session.raw(end).catch(() => {});
  }
}

interface Counted {
  readonly schema: string;
  readonly name: string;
  readonly isSequence: boolean;
  readonly columns: readonly string[];
}

/** Columns by name: a restored child of an inherited table has them in another order. Generated ones follow from others. */
async function readCounted(session: Queries, schemas: readonly string[] | null): Promise<readonly Counted[]> {
  return session.query<Counted>(sql`
    SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'S' AS "isSequence",
           CASE WHEN c.relkind = 'r' THEN ARRAY(
             SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
              ORDER BY a.attname COLLATE "C") ELSE '{}' END AS columns
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't'
       AND CASE WHEN ${schemas}::text[] IS NULL
                THEN n.nspname NOT IN ('information_schema', 'tenantctl') AND NOT pg_catalog.starts_with(n.nspname, 'pg_')
                ELSE n.nspname = ANY (${schemas}::text[]) END
       AND NOT EXISTS (
             SELECT FROM pg_catalog.pg_depend e
              WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid AND e.objsubid = 0 AND e.deptype = 'e')
     ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`);
}

async function readPrints(session: Queries, counted: readonly Counted[]): Promise<readonly TableRows[]> {
  const prints: TableRows[] = [];
  for (let from = 0; from < counted.length; from += questionsAtOnce) {
    const some = counted.slice(from, from + questionsAtOnce);
    prints.push(...(await Promise.all(some.map((each) => readPrint(session, each)))));
  }
  return prints;
}

async function readPrint(session: Queries, { schema, name, isSequence, columns }: Counted): Promise<TableRows> {
  const table = quoteQualified(schema, name);
  // Children of an inherited table are counted by themselves. A hash of bytes, whatever the database's collation.
  const row = `(ROW(${columns.map((column) => `t.${quoteIdentifier(column)}`).join(', ')})::pg_catalog.text) COLLATE "C"`;
  const { rows } = await session.raw(
    isSequence
      ? `SELECT 1 AS rows, s.last_value::pg_catalog.text || CASE WHEN s.is_called THEN ' called' ELSE ' to come' END AS hash FROM ${table} s`
      : `SELECT pg_catalog.count(*) AS rows,
                coalesce(pg_catalog.sum(pg_catalog.hashtextextended(${row}, 0)::pg_catalog.numeric), 0)::pg_catalog.text AS hash
           FROM ONLY ${table} t`,
  );
  const [print] = rows as { rows: string | number; hash: string }[];
  return { schema, table: name, rows: Number(print?.rows), hash: print?.hash ?? '' };
}

/** What differs, a line each; [] when both are equal. */
export function compareRows(expected: readonly TableRows[], actual: readonly TableRows[]): readonly string[] {
  const key = ({ schema, table }: TableRows) => JSON.stringify([schema, table]);
  const now = new Map(actual.map((each) => [key(each), each]));
  const known = new Set(expected.map(key));
  return [
    ...expected.flatMap((one) => describe(one, now.get(key(one)))),
    ...actual.filter((other) => !known.has(key(other))).map((other) => `${labelOf(other)} was not there before`),
  ];
}

function describe(expected: TableRows, actual: TableRows | undefined): readonly string[] {
  const label = labelOf(expected);
  if (actual === undefined) return [`${label} is gone`];
  if (actual.rows !== expected.rows) return [`${label} has ${actual.rows} rows, and had ${expected.rows}`];
  if (actual.hash === expected.hash) return [];
  if (isSequence(expected)) return [`${label} stands at ${actual.hash}, and stood at ${expected.hash}`];
  return [`${label} has other values in its rows`];
}

function isSequence({ hash }: TableRows): boolean {
  return hash.includes(' ');
}

function labelOf(print: TableRows): string {
  return `${isSequence(print) ? 'sequence' : 'table'} ${print.schema}.${print.table}`;
}
