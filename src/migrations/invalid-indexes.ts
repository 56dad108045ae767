import { TenantError } from '../errors.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { fragment, identifier, sql } from '../postgres/sql.ts';
import type { Migration } from './folder.ts';
import type { ConcurrentIndex } from './statement-facts.ts';

/** An invalid index that a migration's statements may have left, or may meet. */
interface InvalidIndex {
  readonly schema: string;
  readonly name: string;
  /** A statement builds one of this name in this schema; else it is on the table of one that gives no name. */
  readonly isNamed: boolean;
  /** And on the very table that the statement names. */
  readonly isOurs: boolean;
  readonly isInBuild: boolean;
}

/**
 * Does another session work on `i`, a row of pg_index? Whoever builds an index keeps this lock on the table to the end,
 * and pg_locks may be read by everybody: which index it builds, only its own role may see. Vacuum and ANALYZE take the
 * same lock, and build nothing.
 */
const isInBuild = fragment`EXISTS (
  SELECT FROM pg_catalog.pg_locks l
   WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted
     AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
     AND l.pid <> pg_catalog.pg_backend_pid()
     AND l.pid NOT IN (SELECT v.pid FROM pg_catalog.pg_stat_progress_vacuum v)
     AND l.pid NOT IN (SELECT a.pid FROM pg_catalog.pg_stat_progress_analyze a))`;

/**
 * Names of a tenant's indexes that a failed CREATE INDEX CONCURRENTLY left behind: they cost every write and serve no
 * query, and IF NOT EXISTS takes them for good ones. Without those that somebody is building.
 */
export async function findInvalidIndexes(session: Session, tenant: Tenant): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(sql`
    SELECT c.relname AS name
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname = ${tenantSchema(tenant)} AND NOT ${isInBuild}
     ORDER BY c.relname`);
  return rows.map(({ name }) => name);
}

/** What the operator does about them. */
export function adviceOnInvalid(tenant: Tenant, names: readonly string[]): string {
  return adviseDrops(names.map((name) => ({ schema: tenantSchema(tenant), name })));
}

function adviseDrops(indexes: readonly { readonly schema: string; readonly name: string }[]): string {
  const drops = indexes.map(({ schema, name }) => `DROP INDEX CONCURRENTLY ${quoteQualified(schema, name)};`);
  return `correct the cause and run the same command again, which first drops those that its file builds by name; by hand: ${drops.join(' ')}`;
}

/**
 * Drops what a failed attempt at the same migration left: invalid indexes by the names that it builds, on the tables
 * on which it builds them. Throws before anything is built when one of them is being built by somebody else, and when
 * the table of an index without a name has invalid ones: each attempt would build one more.
 */
export async function dropLeftovers(
  session: Session,
  wanted: readonly ConcurrentIndex[],
  migration: Migration,
  onDrop: (name: string) => void,
): Promise<void> {
  const found = await findInWay(session, wanted);
  refuseInBuild(found, migration);
  const unnamed = found.filter(({ isNamed, isInBuild }) => !isNamed && !isInBuild);
  if (unnamed.length > 0) {
    throw new TenantError({
      message: 'the table has invalid indexes, and a statement that gives its index no name may have left them',
      code: 'invalid-index',
      file: migration.displayPath,
      hint: adviseDrops(unnamed),
    });
  }
  for (const { schema, name } of found.filter(({ isOurs }) => isOurs)) {
    onDrop(name);
    await session.query(sql`DROP INDEX CONCURRENTLY ${identifier(schema, name)}`);
  }
}

/**
 * Fails a tenant that has an invalid index of a name that the migration builds, after its statements ran: IF NOT EXISTS
 * has skipped it without an error. Other invalid ones are somebody else's.
 */
export async function refuseInvalid(
  session: Session,
  wanted: readonly ConcurrentIndex[],
  migration: Migration,
): Promise<void> {
  const found = await findInWay(session, wanted);
  refuseInBuild(found, migration);
  const invalid = found.filter(({ isNamed }) => isNamed);
  if (invalid.length === 0) return;
  throw new TenantError({
    message: 'the statements ran, but an index of a name that they build is invalid',
    code: 'invalid-index',
    file: migration.displayPath,
    hint: adviseDrops(invalid),
  });
}

function refuseInBuild(found: readonly InvalidIndex[], migration: Migration): void {
  const names = found.filter(({ isNamed, isInBuild }) => isNamed && isInBuild).map(({ name }) => name);
  if (names.length === 0) return;
  throw new TenantError({
    message: `another session is building ${names.map(quoteIdentifier).join(', ')}, or works on its table`,
    code: 'index-in-build',
    file: migration.displayPath,
    hint: 'wait until it is done (pg_stat_progress_create_index shows how far it is) and run the same command again',
  });
}

/** Invalid indexes of the names that are wanted, and on the tables of those that are wanted without one. */
async function findInWay(session: Session, wanted: readonly ConcurrentIndex[]): Promise<readonly InvalidIndex[]> {
  const places = wanted.map(({ schema, table, name }) => ({
    relation: schema === null ? quoteIdentifier(table) : quoteQualified(schema, table),
    name,
  }));
  // An index lies in the schema of its table; the session's search path finds a table as it does for the statement.
  return session.query<InvalidIndex>(sql`
    SELECT n.nspname AS schema, c.relname AS name, ${isInBuild} AS "isInBuild",
           pg_catalog.bool_or(w.name IS NOT NULL) AS "isNamed",
           pg_catalog.bool_or(w.name IS NOT NULL AND i.indrelid = t.oid) AS "isOurs"
      FROM pg_catalog.jsonb_to_recordset(${JSON.stringify(places)}::jsonb) AS w(relation text, name text)
      JOIN pg_catalog.pg_class t ON t.oid = pg_catalog.to_regclass(w.relation)
      JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
      JOIN pg_catalog.pg_class c ON c.relnamespace = t.relnamespace AND c.relkind = 'i'
      JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
     WHERE NOT i.indisvalid AND (c.relname = w.name OR (w.name IS NULL AND i.indrelid = t.oid))
     GROUP BY n.nspname, c.relname, i.indexrelid, i.indrelid`);
}
