import type { Session } from '../postgres/session.ts';
import { fragment, identifier, integer, join, type Sql, sql } from '../postgres/sql.ts';

/** Where a schema stands before its facts are read, and again after. */
export interface SchemaState {
  readonly schema: string;
  readonly oid: string;
  /** Without it the server leaves the schema out of the search path in silence, and every name would come out qualified. */
  readonly isUsable: boolean;
  readonly hasHistory: boolean;
  /** Changes when an object comes into the schema or leaves it. */
  readonly members: string;
}

/** Looks schemas up by indexes alone: pg_class of a large fleet is not to be read whole. One that is not there is absent. */
export async function readStates(
  session: Session,
  schemas: readonly string[],
  historyTable: string,
): Promise<ReadonlyMap<string, SchemaState>> {
  const rows = await session.query<SchemaState>(sql`
    SELECT s.name AS schema, n.oid::text AS oid,
           pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS "isUsable",
           EXISTS (SELECT FROM pg_catalog.pg_class c
                    WHERE c.relnamespace = n.oid AND c.relname = ${historyTable} AND c.relkind IN ('r', 'p')
                      AND EXISTS (SELECT FROM pg_catalog.pg_attribute a
                                   WHERE a.attrelid = c.oid AND a.attname = 'name')) AS "hasHistory",
           -- What lives in a schema depends on it: this is the one way from a schema to its objects with an index.
           (SELECT pg_catalog.count(*) || ':' || coalesce(pg_catalog.sum(pg_catalog.hashint8extended(
                     d.classid::bigint << 32 | d.objid::bigint, 0)), 0)
              FROM pg_catalog.pg_depend d
             WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = n.oid) AS members
      FROM pg_catalog.unnest(${schemas}::text[]) s(name)
      JOIN pg_catalog.pg_namespace n ON n.nspname = s.name`);
  return new Map(rows.map((row) => [row.schema, row]));
}

/** The newest applied migration of a schema that has a history. */
export function newestMigration(schema: string, historyTable: string): Sql {
  return sql`${newestName(schema, historyTable)}`;
}

/** The same of many schemas in one statement; null for one without a history. */
export async function readVersions(
  session: Session,
  states: readonly SchemaState[],
  historyTable: string,
): Promise<ReadonlyMap<string, string | null>> {
  const versions = new Map<string, string | null>(states.map(({ schema }) => [schema, null]));
  const withHistory = states.filter(({ hasHistory }) => hasHistory);
  if (withHistory.length === 0) return versions;
  const selects = withHistory.map(({ schema }, index) => {
    return fragment`SELECT ${integer(index)} AS n, (${newestName(schema, historyTable)}) AS name`;
  });
  const rows = await session.query<{ n: number; name: string | null }>(sql`${join(selects, ' UNION ALL ')}`);
  for (const { n, name } of rows) versions.set(withHistory[n]!.schema, name);
  return versions;
}

/** In the order of file names: numbers first, as the folder is read. */
function newestName(schema: string, historyTable: string): unknown {
  return fragment`SELECT name::text AS name FROM ${identifier(schema, historyTable)}
    ORDER BY pg_catalog.substring(name, '^[0-9]+')::pg_catalog.numeric DESC NULLS LAST, name COLLATE "C" DESC
    LIMIT 1`;
}

/** Each statement sees what is committed when it begins: a snapshot that is kept would hold up concurrent index builds. */
export const beginReading = 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY';

/** The server's functions that print definitions wait behind whoever changes a table: not for long, a queue would form. */
export const lockTimeoutMs = 200;
/** One schema is read by one statement: a second is far more than it takes, but a machine may be busy. */
const statementTimeoutMs = 60_000;

/** From here on the session gets out of the way of whatever changes tables. */
export async function giveWay(session: Session): Promise<void> {
  await session.query(sql`SELECT pg_catalog.set_config('lock_timeout', ${String(lockTimeoutMs)}, false),
    pg_catalog.set_config('statement_timeout', ${String(statementTimeoutMs)}, false)`);
}
