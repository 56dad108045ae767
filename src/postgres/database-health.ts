import type { Session } from './session.ts';
import { sql } from './sql.ts';

/** What matters of one database, for a person who asks whether all is well. */
export interface DatabaseHealth {
  /** The login may make schemas. */
  readonly canCreateSchemas: boolean;
  readonly invalidIndexes: number;
  /** Up to three of them, quoted and with their schema. */
  readonly invalidExamples: readonly string[];
  /** Rows of the catalogue tables that grow with the number of tenants. */
  readonly catalogue: readonly { readonly name: string; readonly live: number; readonly dead: number }[];
  /** Tables, views and sequences: what a dump of the whole database locks. */
  readonly dumpedRelations: number;
  /** Relations, indexes included, in the schema that has most. */
  readonly largestSchema: number;
  /** Tables with row-level security that the login is subject to. */
  readonly guardedTables: number;
}

/** The login's standing in one tenant's schema. */
export interface SchemaAccess {
  readonly schema: string;
  readonly role: string | null;
  readonly schemaExists: boolean;
  /** True when no role is asked for. */
  readonly roleExists: boolean;
  readonly canSetRole: boolean;
  readonly canCreate: boolean;
}

export async function readDatabaseHealth(session: Session): Promise<DatabaseHealth> {
  const [row] = await session.query<DatabaseHealth>(sql`
    WITH relation AS (
      SELECT c.oid, c.relname, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity, c.relnamespace, n.nspname
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE NOT pg_catalog.starts_with(n.nspname, 'pg_') AND n.nspname <> 'information_schema'
    ), invalid AS (
      SELECT pg_catalog.format('%I.%I', r.nspname, r.relname) AS name
        FROM pg_catalog.pg_index i JOIN relation r ON r.oid = i.indexrelid
       WHERE NOT i.indisvalid
         -- One that is being built right now is not valid yet, and not broken.
         AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
    )
    SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS "canCreateSchemas",
           (SELECT pg_catalog.count(*)::int FROM invalid) AS "invalidIndexes",
           ARRAY(SELECT name FROM invalid ORDER BY name LIMIT 3) AS "invalidExamples",
           (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', relname, 'live', n_live_tup, 'dead', n_dead_tup))
              FROM pg_catalog.pg_stat_sys_tables
             WHERE schemaname = 'pg_catalog'
               AND relname IN ('pg_class', 'pg_attribute', 'pg_type', 'pg_depend', 'pg_index', 'pg_statistic'))
             AS catalogue,
           (SELECT pg_catalog.count(*)::int FROM relation WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S'))
             AS "dumpedRelations",
           (SELECT coalesce(pg_catalog.max(number), 0)::int
              FROM (SELECT pg_catalog.count(*) AS number FROM relation GROUP BY relnamespace) s) AS "largestSchema",
           (SELECT pg_catalog.count(*)::int FROM relation
             WHERE relrowsecurity AND (relforcerowsecurity OR NOT pg_catalog.pg_has_role(relowner, 'USAGE')))
             AS "guardedTables"`);
  if (row === undefined) throw new Error('the database did not describe itself');
  return row;
}

/** What the login, or the role it will take, may do in these schemas. */
export async function readSchemaAccess(
  session: Session,
  wanted: readonly { readonly schema: string; readonly role: string | null }[],
  versionNum: number,
): Promise<readonly SchemaAccess[]> {
  // From 16 on a membership can come without the right to SET ROLE.
  const membership = versionNum >= 160_000 ? 'SET' : 'MEMBER';
  return session.query<SchemaAccess>(sql`
    SELECT w.schema, w.role,
           n.oid IS NOT NULL AS "schemaExists",
           w.role IS NULL OR r.oid IS NOT NULL AS "roleExists",
           w.role IS NULL OR coalesce(pg_catalog.pg_has_role(r.oid, ${membership}), false) AS "canSetRole",
           CASE WHEN w.role IS NULL THEN coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false)
                ELSE coalesce(pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE'), false) END AS "canCreate"
      FROM ROWS FROM (pg_catalog.unnest(${wanted.map(({ schema }) => schema)}::text[]),
                      pg_catalog.unnest(${wanted.map(({ role }) => role)}::text[])) AS w (schema, role)
      LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
      LEFT JOIN pg_catalog.pg_roles r ON r.rolname = w.role`);
}
