import type { Session } from '../../postgres/session.ts';
import { sql } from '../../postgres/sql.ts';

interface ChangedRow {
  readonly schema: string;
  readonly names: readonly string[];
  readonly isSchema: boolean;
}

/**
 * What DDL did behind the back of a snapshot. `pg_dump --snapshot` writes an empty table, and ends with 0, when a table
 * was rewritten or truncated after the snapshot was taken: the snapshot's rows are gone. Asked inside the transaction
 * that holds the snapshot, a column of the catalogue shows the table's file as it was then, and
 * `pg_relation_filenode` as it is now. pg_dump locks and copies by name, so a table that was put in the place of another
 * by renaming looks empty too: the name is looked up as it is now. Quiet on ADD COLUMN and on new rows; a VACUUM FULL is
 * a harmless false alarm.
 * `schemas` null: all but the system's.
 */
export async function findChanged(
  session: Session,
  schemas: readonly string[] | null,
): Promise<ReadonlyMap<string, string>> {
  const rows = await session.query<ChangedRow>(sql`
    WITH s AS (
      SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n
       WHERE CASE WHEN ${schemas}::text[] IS NULL
                  THEN n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
                  ELSE n.nspname = ANY (${schemas}::text[]) END)
    SELECT s.nspname AS schema, true AS "isSchema", ARRAY[]::text[] AS names
      FROM s
     WHERE pg_catalog.to_regnamespace(pg_catalog.quote_ident(s.nspname))::oid IS DISTINCT FROM s.oid
    UNION ALL
    SELECT s.nspname, false, pg_catalog.array_agg(c.relname::text ORDER BY c.relname)
      FROM s JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid
     WHERE c.relkind IN ('r', 'm', 'S', 'p', 'v', 'f')
       AND (pg_catalog.to_regclass(pg_catalog.format('%I.%I', s.nspname, c.relname))::oid IS DISTINCT FROM c.oid
            OR (c.relkind IN ('r', 'm') AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid)))
     GROUP BY s.nspname`);
  const changed = new Map<string, string>();
  for (const { schema, names, isSchema } of rows) {
    if (isSchema) changed.set(schema, 'the schema was renamed or dropped');
    else if (!changed.has(schema)) changed.set(schema, `rewritten, emptied, renamed or dropped: ${listSome(names)}`);
  }
  return changed;
}

/** Schemas with a table that somebody has locked against all others: a pg_dump of it would wait. */
export async function findLockedSchemas(session: Session, schemas: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await session.query<{ schema: string }>(sql`
    SELECT DISTINCT n.nspname AS schema
      FROM pg_catalog.pg_locks l
      JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'S')
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE l.granted AND l.mode = 'AccessExclusiveLock' AND n.nspname = ANY (${schemas}::text[])
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`);
  return new Set(rows.map(({ schema }) => schema));
}

function listSome(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
