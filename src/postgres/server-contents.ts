import type { Session } from './session.ts';
import { sql } from './sql.ts';

export interface SchemaInfo {
  readonly name: string;
  /** The extension that made it; such a schema is nobody's own. */
  readonly extension: string | null;
}

/** Databases that this login may connect to, by name; templates are left out. */
export async function readDatabases(session: Session): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(sql`
    SELECT datname AS name FROM pg_catalog.pg_database
     WHERE datallowconn AND NOT datistemplate AND pg_catalog.has_database_privilege(oid, 'CONNECT')
     ORDER BY datname`);
  return rows.map(({ name }) => name);
}

/** Schemas of the session's database, by name; PostgreSQL's own are left out. */
export async function readSchemas(session: Session): Promise<readonly SchemaInfo[]> {
  return session.query<SchemaInfo>(sql`
    SELECT n.nspname AS name, e.extname AS extension
      FROM pg_catalog.pg_namespace n
      LEFT JOIN pg_catalog.pg_depend d
        ON d.classid = 'pg_catalog.pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e'
      LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
     WHERE NOT pg_catalog.starts_with(n.nspname, 'pg_') AND n.nspname <> 'information_schema'
     ORDER BY n.nspname`);
}
