import type { Session } from '../../postgres/session.ts';
import { identifier, sql } from '../../postgres/sql.ts';

export interface ExportedSnapshot {
  readonly id: string;
  /** By the server's clock. */
  readonly takenAt: Date;
  readonly lsn: string;
}

/** Begins the transaction that holds the snapshot. A standby can do it too. */
export async function exportSnapshot(session: Session): Promise<ExportedSnapshot> {
  const [, rows] = await Promise.all([
    session.raw('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'),
    session.query<ExportedSnapshot>(sql`
      SELECT pg_catalog.pg_export_snapshot() AS id, pg_catalog.clock_timestamp() AS "takenAt",
             (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                   ELSE pg_catalog.pg_current_wal_lsn() END)::text AS lsn`),
  ]);
  const [exported] = rows;
  if (exported === undefined) throw new Error('the server exported no snapshot');
  return exported;
}

/** What a schema costs to dump. */
export interface SchemaWeight {
  readonly schema: string;
  /** Locks that pg_dump takes there: one a table, and one a sequence when it reads its value. */
  readonly tables: number;
  readonly sequences: number;
  /** Of its tables' rows on disk, out-of-line values included; about. */
  readonly sizeBytes: number;
}

/** Schemas that are there at the snapshot; `null`: all but the system's. */
export async function weighSchemas(session: Session, schemas: readonly string[] | null): Promise<SchemaWeight[]> {
  return session.query<SchemaWeight>(sql`
    SELECT n.nspname AS schema,
           pg_catalog.count(*) FILTER (WHERE c.relkind IN ('r', 'p', 'f'))::int AS tables,
           pg_catalog.count(*) FILTER (WHERE c.relkind = 'S')::int AS sequences,
           -- As VACUUM and ANALYZE last saw them: to look at the files, a lock on each table would be needed.
           coalesce(pg_catalog.sum(CASE WHEN c.relkind IN ('r', 'm') THEN c.relpages + coalesce(t.relpages, 0) END), 0)::float8
             * pg_catalog.current_setting('block_size')::int AS "sizeBytes"
      FROM pg_catalog.pg_namespace n
      LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'f', 'm', 'S')
      LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid AND c.reltoastrelid <> 0
     WHERE CASE WHEN ${schemas}::text[] IS NULL
                THEN n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
                ELSE n.nspname = ANY (${schemas}::text[]) END
     GROUP BY n.nspname`);
}

/** Does a schema hold anything at all? `public` is in every database, and mostly empty. */
export async function isEmptySchema(session: Session, schema: string): Promise<boolean> {
  const [row] = await session.query<{ empty: boolean }>(sql`
    SELECT NOT (EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid)
             OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid)
             OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid)
             OR EXISTS (SELECT FROM pg_catalog.pg_operator o WHERE o.oprnamespace = n.oid)) AS empty
      FROM pg_catalog.pg_namespace n WHERE n.nspname = ${schema}`);
  return row?.empty ?? true;
}

/** Those of the schemas that are there at the snapshot. */
export async function findSchemas(session: Session, schemas: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await session.query<{ name: string }>(
    sql`SELECT nspname AS name FROM pg_catalog.pg_namespace WHERE nspname = ANY (${schemas}::text[])`,
  );
  return new Set(rows.map(({ name }) => name));
}

/**
 * Locks that the server's table has room for, and those that are held in it now. PostgreSQL reserves memory for
 * `max_locks_per_transaction` times what may connect, and for two holders of each; a lock of pg_dump has one holder, so
 * that about 1.45 times as many fit (seen: 1.6 times).
 */
export async function readLockTable(session: Session): Promise<{ readonly capacity: number; readonly held: number }> {
  const [row] = await session.query<{ capacity: number; held: number }>(sql`
    SELECT 1.45 * pg_catalog.current_setting('max_locks_per_transaction')::float8
             * (pg_catalog.current_setting('max_connections')::int + pg_catalog.current_setting('max_prepared_transactions')::int
                + pg_catalog.current_setting('max_worker_processes')::int + pg_catalog.current_setting('max_wal_senders')::int
                + coalesce(pg_catalog.current_setting('autovacuum_worker_slots', true),
                           pg_catalog.current_setting('autovacuum_max_workers'))::int + 1) AS capacity,
           (SELECT pg_catalog.count(*)::float8 FROM pg_catalog.pg_locks WHERE NOT fastpath) AS held`);
  return row ?? { capacity: 0, held: 0 };
}

/** Tells by its change that a table got another file or another name: rewritten, truncated, replaced, dropped. */
export async function readFilenodes(session: Session, schemas: readonly string[]): Promise<string> {
  const [row] = await session.query<{ files: string | null }>(sql`
    SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', c.oid, c.relname, pg_catalog.pg_relation_filenode(c.oid)), ',' ORDER BY c.oid) AS files
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm') AND n.nspname = ANY (${schemas}::text[])`);
  return row?.files ?? '';
}

export interface Extension {
  readonly name: string;
  readonly version: string;
  readonly schema: string;
}

/** Extensions that an archive's objects may be made of; what every database has is left out. */
export async function readExtensions(session: Session): Promise<Extension[]> {
  return session.query<Extension>(sql`
    SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
      FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname <> 'plpgsql'
     ORDER BY e.extname COLLATE "C"`);
}

export async function countLargeObjects(session: Session): Promise<number> {
  const [row] = await session.query<{ count: number }>(
    sql`SELECT pg_catalog.count(*)::float8 AS count FROM pg_catalog.pg_largeobject_metadata`,
  );
  return row?.count ?? 0;
}

/** Columns that can name a large object: of type oid, or of a domain over it such as `lo`. */
export async function findLargeObjectColumns(
  session: Session,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await session.query<{ schema: string; columns: string[] }>(sql`
    SELECT n.nspname AS schema, pg_catalog.array_agg(c.relname || '.' || a.attname ORDER BY c.relname, a.attnum) AS columns
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE n.nspname = ANY (${schemas}::text[]) AND a.attnum > 0 AND NOT a.attisdropped
       AND 'pg_catalog.oid'::pg_catalog.regtype IN (t.oid, t.typbasetype)
     GROUP BY n.nspname`);
  return new Map(rows.map(({ schema, columns }) => [schema, columns]));
}

/** Where a tenant's migrations stood. */
export interface Standing {
  readonly version: string;
  readonly applied: number;
}

/** Tenants whose history is read by one statement. */
const historiesPerStatement = 250;

/**
 * Where the migrations of schemas stood at the snapshot. In a subtransaction that is rolled back: the locks on so many
 * tables must not stay for as long as the snapshot does.
 */
export async function readStandings(
  session: Session,
  schemas: readonly string[],
  historyTable: string,
): Promise<ReadonlyMap<string, Standing>> {
  const found = await session.query<{ schema: string }>(sql`
    SELECT n.nspname AS schema
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = ${historyTable} AND c.relkind = 'r' AND n.nspname = ANY (${schemas}::text[])
       AND EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'name')
       AND EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'run_on')`);
  const standings = new Map<string, Standing>();
  for (let from = 0; from < found.length; from += historiesPerStatement) {
    const some = found.slice(from, from + historiesPerStatement);
    for (const [schema, standing] of await readSome(session, some, historyTable)) standings.set(schema, standing);
  }
  return standings;
}

async function readSome(
  session: Session,
  schemas: readonly { readonly schema: string }[],
  historyTable: string,
): Promise<ReadonlyMap<string, Standing>> {
  const parts = schemas.map(({ schema }, index) => {
    const { text } = sql`(SELECT ${identifier('i')} AS index, pg_catalog.count(*)::int AS applied,
      (pg_catalog.array_agg(name ORDER BY run_on DESC, name DESC))[1]::text AS version FROM ${identifier(schema, historyTable)})`;
    return text.replace('"i"', String(index));
  });
  // Sent together: what others ask on this session comes before or after the three, never between them.
  const [, read] = await Promise.allSettled([
    session.raw('SAVEPOINT histories'),
    session.raw(parts.join(' UNION ALL ')),
    session.raw('ROLLBACK TO SAVEPOINT histories'),
  ]);
  // A history that cannot be read (a privilege, a table of another make) is not worth a backup.
  if (read.status === 'rejected') return new Map();
  return new Map(
    (read.value.rows as { index: number; applied: number; version: string | null }[])
      .filter(({ version }) => version !== null)
      .map(({ index, applied, version }) => [schemas[index]!.schema, { applied, version: version! }]),
  );
}

/**
 * Schemas that are behind the fence of a `hibernate` at the snapshot: what is dumped of them lacks the rights that they
 * had. None where the login may not look; it is then no login that hibernates.
 */
export async function readFencedSchemas(session: Session, schemas: readonly string[]): Promise<ReadonlySet<string>> {
  const [seen] = await session.query<{ isThere: boolean }>(sql`
    SELECT EXISTS (
      SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = 'tenantctl' AND c.relname = 'tenant' AND c.relkind = 'r'
         AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')) AS "isThere"`);
  if (seen?.isThere !== true) return new Set();
  const rows = await session.query<{ schema: string }>(sql`
    SELECT t.schema FROM tenantctl.tenant t
     WHERE t.database = pg_catalog.current_database() AND t.schema = ANY (${schemas}::text[])
       AND t.how = 'archive' AND NOT (t.state = 'waking' AND t.step = 'behind')`);
  return new Set(rows.map(({ schema }) => schema));
}
