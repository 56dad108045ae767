import type { Session } from '../../postgres/session.ts';
import { fragment, sql } from '../../postgres/sql.ts';

/** What the server has counted of one tenant. Times are milliseconds since 1970. */
export interface Counted {
  /** Of its schema or database. */
  readonly name: string;
  /** Only grow. Of a schema: rows written, scans. Of a database: sessions, active time. */
  readonly counts: readonly number[];
  /** In words that change when counters are reset. */
  readonly mark: string;
  readonly set: string;
  readonly started: number;
  readonly lastScan: number | null;
  readonly isPresent: boolean;
  readonly sizeBytes: number | null;
}

interface Row {
  readonly name: string;
  readonly first: number;
  readonly second: number;
  readonly mark: string;
  readonly set: string;
  readonly started: number;
  readonly lastScan: number | null;
  readonly sizeBytes: number | null;
  readonly isPresent: boolean;
}

/** Sessions of people and programs: PostgreSQL's own processes have no user, and tenantctl's are no use. */
const isGuest = fragment`a.usesysid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
  AND NOT pg_catalog.starts_with(coalesce(a.application_name, ''), 'tenantctl/')`;

const started = fragment`(pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) * 1000)::float8`;

/**
 * After a crash the server begins to count anew without a word in the database's own statistics; those of its
 * background writer tell.
 */
const crashMark = fragment`coalesce((SELECT w.stats_reset::text FROM pg_catalog.pg_stat_bgwriter w), '')`;

/**
 * Counters of these schemas of the session's database, in one look at the catalogue: whoever is absent has no schema.
 * Nothing is locked. The size is the one that the last VACUUM or ANALYZE knew: looking at files would wait for locks.
 */
export async function readSchemaCounters(
  session: Session,
  schemas: readonly string[],
  { historyTable, versionNum }: { readonly historyTable: string; readonly versionNum: number },
): Promise<readonly Counted[]> {
  const lastScan =
    versionNum >= 160_000
      ? fragment`(pg_catalog.date_part('epoch', pg_catalog.max(pg_catalog.pg_stat_get_lastscan(c.oid))) * 1000)::float8`
      : fragment`NULL::float8`;
  const counting = session.query<Row>(sql`
    SELECT n.nspname AS name,
           coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(c.oid)
             + pg_catalog.pg_stat_get_tuples_updated(c.oid) + pg_catalog.pg_stat_get_tuples_deleted(c.oid))
             FILTER (WHERE c.relkind <> 'i'), 0)::float8 AS first,
           coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_numscans(c.oid)), 0)::float8 AS second,
           n.oid || ' ' || d.oid || ' ' || coalesce(pg_catalog.pg_stat_get_db_stat_reset_time(d.oid)::text, '') || ' '
             || ${crashMark} AS mark,
           pg_catalog.count(c.oid) FILTER (WHERE c.relkind <> 'i') || ':'
             || coalesce(pg_catalog.sum(pg_catalog.hashoid(c.oid)::bigint) FILTER (WHERE c.relkind <> 'i'), 0) AS set,
           ${started} AS started,
           ${lastScan} AS "lastScan",
           (coalesce(pg_catalog.sum(c.relpages::bigint + coalesce(toast.relpages, 0)), 0)
             * pg_catalog.current_setting('block_size')::int)::float8 AS "sizeBytes",
           false AS "isPresent"
      FROM pg_catalog.pg_namespace n
      JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
      LEFT JOIN (pg_catalog.pg_class c
                 LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
                 -- tenantctl itself reads the history of migrations, and nobody else has a reason to.
                 JOIN pg_catalog.pg_class t ON t.oid = coalesce(i.indrelid, c.oid) AND t.relname <> ${historyTable})
             ON c.relnamespace = n.oid AND c.relkind IN ('r', 'm', 'i')
      LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid
     WHERE n.nspname = ANY (${schemas}::text[])
     GROUP BY n.oid, n.nspname, d.oid`);
  const [rows, present] = await Promise.all([counting, readPresent(session)]);
  return rows.map((row) => ({ ...toCounted(row), isPresent: present.has(row.name) }));
}

/**
 * Schemas in which somebody is right now: a session holds locks on their relations, or is of a role that has rights on
 * this one schema of the database and no other.
 */
async function readPresent(session: Session): Promise<ReadonlySet<string>> {
  const rows = await session.query<{ name: string }>(sql`
    WITH guest AS MATERIALIZED (
      SELECT a.pid, a.usesysid FROM pg_catalog.pg_stat_activity a
       WHERE a.datname = pg_catalog.current_database() AND ${isGuest}
    ), entry AS MATERIALIZED (
      SELECT DISTINCT n.oid AS space, r.role
        FROM pg_catalog.pg_namespace n,
             LATERAL (SELECT n.nspowner AS role
                      UNION SELECT x.grantee FROM pg_catalog.aclexplode(n.nspacl) x WHERE x.grantee <> 0) r
       WHERE NOT pg_catalog.starts_with(n.nspname, 'pg_') AND n.nspname NOT IN ('information_schema', 'public')
    ), host AS (
      SELECT g.usesysid, pg_catalog.min(e.space) AS space
        FROM (SELECT DISTINCT usesysid FROM guest) g
        JOIN pg_catalog.pg_roles u ON u.oid = g.usesysid AND NOT u.rolsuper
        JOIN entry e ON pg_catalog.pg_has_role(g.usesysid, e.role, 'MEMBER')
       GROUP BY g.usesysid HAVING pg_catalog.count(DISTINCT e.space) = 1
    )
    SELECT n.nspname AS name FROM pg_catalog.pg_namespace n
     WHERE n.oid IN (SELECT space FROM host)
        OR n.oid IN (SELECT c.relnamespace FROM pg_catalog.pg_locks l
                       JOIN guest g ON g.pid = l.pid JOIN pg_catalog.pg_class c ON c.oid = l.relation
                      WHERE l.locktype = 'relation'
                        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                                           WHERE d.datname = pg_catalog.current_database()))`);
  return new Set(rows.map(({ name }) => name));
}

/**
 * Counters of whole databases, read from any database of the server: nobody connects to them. Whoever is absent is no
 * database. Needs PostgreSQL 14.
 */
export async function readDatabaseCounters(
  session: Session,
  databases: readonly string[],
): Promise<readonly Counted[]> {
  const rows = await session.query<Row>(sql`
    SELECT d.datname AS name, s.sessions::float8 AS first, s.active_time::float8 AS second,
           d.oid || ' ' || coalesce(s.stats_reset::text, '') || ' ' || ${crashMark} AS mark,
           '' AS set, ${started} AS started, NULL::float8 AS "lastScan",
           CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT')
                THEN pg_catalog.pg_database_size(d.oid)::float8 END AS "sizeBytes",
           EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid AND ${isGuest}) AS "isPresent"
      FROM pg_catalog.pg_database d JOIN pg_catalog.pg_stat_database s ON s.datid = d.oid
     WHERE d.datname = ANY (${databases}::text[])`);
  return rows.map(toCounted);
}

function toCounted({ first, second, ...row }: Row): Counted {
  return { ...row, counts: [first, second] };
}
