import type { Session } from '../postgres/session.ts';
import { fragment, sql } from '../postgres/sql.ts';

/** Which schemas a question is about; null: all of the database but PostgreSQL's own and tenantctl's. */
export type Schemas = readonly string[] | null;

/** Of `n`, a row of pg_namespace. */
const isAsked = (schemas: Schemas) => fragment`CASE WHEN ${schemas}::text[] IS NULL
  THEN n.nspname NOT IN ('information_schema', 'tenantctl') AND NOT pg_catalog.starts_with(n.nspname, 'pg_')
  ELSE n.nspname = ANY (${schemas}::text[]) END`;

/** Users whom no REVOKE keeps out: superusers, who may write everything, and the login itself, which must get in. Of `r`. */
const isAbove = fragment`(r.rolsuper OR r.rolname = SESSION_USER
  OR pg_catalog.pg_has_role(r.oid, pg_catalog.to_regrole('pg_write_all_data')::oid, 'USAGE') IS TRUE)`;

export interface Access {
  readonly home: string;
  /** Somebody else than superusers and the login may log in and use it. */
  readonly hasOthers: boolean;
  /** Owners that the login cannot act for, and grantors. */
  readonly beyond: readonly string[];
}

/** Who has to do with schemas that are there. A role that may only look into a schema does nothing with it. */
export function readAccess(session: Session, schemas: Schemas): Promise<readonly Access[]> {
  return session.query<Access>(sql`
    WITH RECURSIVE list AS MATERIALIZED (
      SELECT n.nspname AS home, n.nspowner AS owner, n.nspacl AS acl, false AS "isRelation"
        FROM pg_catalog.pg_namespace n WHERE ${isAsked(schemas)}
       UNION ALL
      SELECT n.nspname, c.relowner, c.relacl, true
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ${isAsked(schemas)}
       UNION ALL
      SELECT n.nspname, c.relowner, a.attacl, true
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND ${isAsked(schemas)}
    ), part AS MATERIALIZED (
      SELECT DISTINCT home, owner AS role, NULL::oid AS grantor, true AS "isUser" FROM list
       UNION
      SELECT DISTINCT l.home, g.grantee, nullif(g.grantor, l.owner), l."isRelation" OR g.grantee <> 0
        FROM list l CROSS JOIN LATERAL pg_catalog.aclexplode(l.acl) g
    ), member AS (
      SELECT r.oid AS role FROM pg_catalog.pg_roles r WHERE r.rolcanlogin AND NOT ${isAbove}
       UNION
      SELECT a.roleid FROM member m JOIN pg_catalog.pg_auth_members a ON a.member = m.role
    ), me AS (
      SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = SESSION_USER
    ), doubtful AS MATERIALIZED (
      -- To take what an owner gave his rights are enough; to give as somebody else one must be able to become him.
      SELECT p.home, r.rolname AS name
        FROM (SELECT DISTINCT home, owner AS role, false AS "isGrantor" FROM list
               UNION SELECT home, grantor, true FROM part WHERE grantor IS NOT NULL) p
        JOIN pg_catalog.pg_roles r ON r.oid = p.role
       WHERE NOT (SELECT rolsuper FROM me)
         AND NOT (NOT p."isGrantor" AND pg_catalog.pg_has_role(SESSION_USER, r.oid, 'USAGE'))
         AND NOT pg_catalog.pg_has_role(SESSION_USER, r.oid, CASE
               WHEN pg_catalog.current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END))
    SELECT p.home,
           pg_catalog.bool_or(p."isUser" AND (p.role = 0 OR p.role IN (SELECT role FROM member))) AS "hasOthers",
           ARRAY(SELECT DISTINCT d.name::text FROM doubtful d WHERE d.home = p.home ORDER BY 1) AS beyond
      FROM part p GROUP BY p.home`);
}

export interface Intruder {
  readonly home: string;
  /** Null: a prepared transaction. */
  readonly pid: number | null;
  readonly user: string | null;
  readonly application: string | null;
}

/** Sessions with locks in schemas whom no fence keeps out, and transactions that are prepared there; ours are left aside. */
export function readIntruders(session: Session, schemas: Schemas): Promise<readonly Intruder[]> {
  return session.query<Intruder>(sql`
    SELECT DISTINCT n.nspname AS home, l.pid, b.usename AS user, b.application_name AS application
      FROM pg_catalog.pg_locks l
      JOIN pg_catalog.pg_class c ON c.oid = l.relation
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = l.pid
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = b.usesysid
     -- What a session is, a login without pg_read_all_stats sees only of its own roles.
     WHERE l.granted AND l.locktype = 'relation' AND ${isAsked(schemas)}
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
       AND (l.pid IS NULL OR coalesce(b.backend_type, 'client backend') = 'client backend'
            AND NOT pg_catalog.starts_with(coalesce(b.application_name, ''), 'tenantctl/') AND ${isAbove})
     ORDER BY n.nspname, l.pid`);
}

export interface Body {
  readonly home: string;
  /** Relations with their indexes and TOAST, in bytes. */
  readonly sizeBytes: number;
  /** Tables whose rows a policy may hide from the login. */
  readonly guarded: readonly string[];
  /** Tables that a subscription writes to. */
  readonly subscribed: readonly string[];
  /** `files.content`: columns that may name large objects. */
  readonly largeObjects: readonly string[];
}

/** What stands in schemas, as far as it matters. A table that somebody has locked is counted as it was last analysed. */
export function readBodies(session: Session, schemas: Schemas): Promise<readonly Body[]> {
  const isTable = fragment`c.relkind IN ('r', 'p')`;
  return session.query<Body>(sql`
    WITH locked AS MATERIALIZED (
      SELECT DISTINCT l.relation AS oid FROM pg_catalog.pg_locks l
       WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
    ), c AS MATERIALIZED (
      SELECT c.*, n.nspname AS home FROM pg_catalog.pg_namespace n
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'm', 'S') WHERE ${isAsked(schemas)})
    SELECT c.home,
           pg_catalog.sum(CASE WHEN c.oid IN (SELECT oid FROM locked) THEN c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint
                               ELSE coalesce(pg_catalog.pg_total_relation_size(c.oid), 0) END)::float8 AS "sizeBytes",
           coalesce(pg_catalog.array_agg(c.relname::text ORDER BY c.relname) FILTER (WHERE ${isTable} AND c.relrowsecurity
             AND (c.relforcerowsecurity OR NOT pg_catalog.pg_has_role(SESSION_USER, c.relowner, 'USAGE'))
             AND NOT (SELECT r.rolsuper OR r.rolbypassrls FROM pg_catalog.pg_roles r WHERE r.rolname = SESSION_USER)), '{}') AS guarded,
           coalesce(pg_catalog.array_agg(c.relname::text ORDER BY c.relname) FILTER (WHERE EXISTS (
             SELECT FROM pg_catalog.pg_subscription_rel s WHERE s.srrelid = c.oid)), '{}') AS subscribed,
           coalesce((SELECT pg_catalog.array_agg(t.relname || '.' || a.attname ORDER BY t.relname, a.attnum)
              FROM c t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
              JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
             WHERE t.home = c.home AND t.relkind IN ('r', 'p') AND (y.oid = 'pg_catalog.oid'::pg_catalog.regtype OR y.typname = 'lo')), '{}')
             AS "largeObjects"
      FROM c GROUP BY c.home`);
}

export interface Surroundings {
  readonly major: number;
  /** Another tool holds the lock that node-pg-migrate takes for a whole database. */
  readonly isMigrating: boolean;
}

export async function readSurroundings(session: Session, migrateKey: string): Promise<Surroundings> {
  const [row] = await session.query<Surroundings>(sql`
    SELECT pg_catalog.current_setting('server_version_num')::int / 10000 AS major, EXISTS (
      SELECT FROM pg_catalog.pg_locks l
       WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.mode = 'ExclusiveLock' AND l.pid <> pg_catalog.pg_backend_pid()
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
         AND ((l.classid::bigint << 32) | l.objid::bigint) = ${migrateKey}::bigint) AS "isMigrating"`);
  if (row === undefined) throw new Error('the server did not describe itself');
  return row;
}

export interface DatabaseStanding {
  readonly owner: string;
  readonly sizeBytes: number;
  readonly isTemplate: boolean;
  readonly mayDrop: boolean;
  readonly mayCreate: boolean;
  readonly prepared: number;
  readonly slots: readonly string[];
  readonly subscriptions: readonly string[];
}

/** What keeps the session's own database from being closed, dropped and made again. */
export async function readDatabaseStanding(session: Session): Promise<DatabaseStanding> {
  const [row] = await session.query<DatabaseStanding>(sql`
    SELECT o.rolname AS owner, pg_catalog.pg_database_size(d.oid)::float8 AS "sizeBytes", d.datistemplate AS "isTemplate",
           r.rolsuper OR pg_catalog.pg_has_role(SESSION_USER, d.datdba, 'USAGE')
             OR pg_catalog.pg_has_role(SESSION_USER, d.datdba, CASE
                  WHEN pg_catalog.current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS "mayDrop",
           r.rolsuper OR r.rolcreatedb AS "mayCreate",
           (SELECT pg_catalog.count(*)::int FROM pg_catalog.pg_prepared_xacts p WHERE p.database = d.datname) AS prepared,
           ARRAY(SELECT s.slot_name::text FROM pg_catalog.pg_replication_slots s WHERE s.database = d.datname ORDER BY 1) AS slots,
           ARRAY(SELECT s.subname::text FROM pg_catalog.pg_subscription s WHERE s.subdbid = d.oid ORDER BY 1) AS subscriptions
      FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles o ON o.oid = d.datdba, pg_catalog.pg_roles r
     WHERE d.datname = pg_catalog.current_database() AND r.rolname = SESSION_USER`);
  if (row === undefined) throw new Error('the database did not describe itself');
  return row;
}
