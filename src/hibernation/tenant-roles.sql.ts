import { schemaMembers } from '../postgres/find-outside.ts';
import type { Queries, Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';

/** Who refreshes materialized views, or stands between them and the tables. */
export interface Refresher {
  readonly role: string;
  /** Tables and views of the schema that this role may read now. */
  readonly tables: readonly string[];
}

/** None where there is no materialized view. Superusers read without a right. */
export async function readRefreshers(session: Queries, schema: string): Promise<readonly Refresher[]> {
  return session.query<Refresher>(sql`
    WITH c AS MATERIALIZED (
      SELECT c.* FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = ${schema} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ), owner AS (
      SELECT DISTINCT relowner AS oid FROM c WHERE relkind IN ('v', 'm') AND EXISTS (SELECT FROM c WHERE relkind = 'm'))
    SELECT r.rolname AS role, pg_catalog.array_agg(c.relname::text ORDER BY c.relname COLLATE "C") AS tables
      FROM owner o JOIN pg_catalog.pg_roles r ON r.oid = o.oid AND NOT r.rolsuper
      JOIN c ON pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT')
     GROUP BY r.rolname ORDER BY r.rolname COLLATE "C"`);
}

/**
 * Login roles that are one tenant's alone, by schema: all that they or the groups they belong to own or were granted, on
 * the whole server, stands in that one schema (beside the right to connect to this database), and they are above
 * nobody. A group that serves several tenants makes its members everybody's. Left aside are the login itself and roles
 * that it may not change. `schemas` null: of the session's whole database, under the name ''.
 */
export async function readOwnRoles(
  session: Session,
  schemas: readonly string[] | null,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await session.raw(
    `WITH RECURSIVE here AS (
       SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
     ), member AS MATERIALIZED (${schemaMembers}
       UNION ALL
       SELECT 'pg_catalog.pg_default_acl'::pg_catalog.regclass, a.oid, n.nspname
         FROM pg_catalog.pg_default_acl a JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace
     ), home AS MATERIALIZED (
       -- Null: somewhere else.
       SELECT DISTINCT s.refobjid AS role, CASE
                WHEN $2 THEN CASE WHEN s.dbid = here.oid OR s.objid = here.oid THEN ''::name END
                ELSE CASE WHEN s.dbid = here.oid THEN m.home END END AS home
         FROM here, pg_catalog.pg_shdepend s
         LEFT JOIN member m ON m.classid = s.classid AND m.oid = s.objid AND s.dbid = (SELECT oid FROM here)
        WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
          AND s.classid <> 'pg_catalog.pg_auth_members'::pg_catalog.regclass
          AND NOT (NOT $2 AND s.deptype = 'a' AND s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = here.oid)
     ), login AS MATERIALIZED (
       SELECT r.oid, r.rolname FROM pg_catalog.pg_roles r
        WHERE r.rolcanlogin AND r.oid >= 16384 AND r.rolname <> SESSION_USER
          AND NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls)
          AND (SELECT s.rolsuper OR s.rolcreaterole AND (
                 pg_catalog.current_setting('server_version_num')::int < 160000
                 OR EXISTS (SELECT FROM pg_catalog.pg_auth_members a
                             WHERE a.roleid = r.oid AND a.member = s.oid AND a.admin_option))
                 FROM pg_catalog.pg_roles s WHERE s.rolname = SESSION_USER)
     ), group_of AS (
       SELECT l.oid AS login, l.oid AS role FROM login l
        UNION
       SELECT g.login, a.roleid FROM group_of g JOIN pg_catalog.pg_auth_members a ON a.member = g.role
     )
     SELECT l.rolname AS role, pg_catalog.min(h.home::text) AS home
       FROM login l JOIN group_of g ON g.login = l.oid LEFT JOIN home h ON h.role = g.role
      GROUP BY l.rolname
     HAVING pg_catalog.count(DISTINCT h.home) = 1
        -- A predefined role (pg_write_all_data) lets its members in everywhere.
        AND NOT pg_catalog.bool_or(g.role < 16384 OR h.role IS NOT NULL AND h.home IS NULL)
      ORDER BY l.rolname COLLATE "C"`,
    [schemas ?? [], schemas === null],
  );
  const own = new Map<string, string[]>();
  for (const { role, home } of rows as { role: string; home: string }[])
    own.set(home, [...(own.get(home) ?? []), role]);
  return own;
}
