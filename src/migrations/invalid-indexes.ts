import { TenantError } from '../errors.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import { quoteQualified } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { identifier, sql } from '../postgres/sql.ts';
import type { Migration } from './folder.ts';

/**
 * Names of a tenant's indexes that a failed CREATE INDEX CONCURRENTLY left behind: they cost every write and serve no
 * query, and IF NOT EXISTS takes them for good ones.
 */
export async function findInvalidIndexes(session: Session, tenant: Tenant): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(sql`
    SELECT c.relname AS name
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname = ${tenantSchema(tenant)}
     ORDER BY c.relname`);
  return rows.map(({ name }) => name);
}

/** What the operator does about them. */
export function adviceOnInvalid(tenant: Tenant, names: readonly string[]): string {
  const drops = names.map((name) => `DROP INDEX CONCURRENTLY ${quoteQualified(tenantSchema(tenant), name)};`);
  return `correct the cause and run the same command again, which first drops those that its file builds by name; by hand: ${drops.join(' ')}`;
}

/**
 * Drops what a failed attempt at the same migration left: invalid indexes by the names that it builds. One that a
 * session is building at this moment is left alone.
 */
export async function dropLeftovers(
  session: Session,
  tenant: Tenant,
  wanted: readonly { readonly name: string | null; readonly schema: string | null }[],
  onDrop: (name: string) => void,
): Promise<void> {
  const schema = tenantSchema(tenant);
  const names = wanted.flatMap((each) => (each.name === null || (each.schema ?? schema) !== schema ? [] : [each.name]));
  if (names.length === 0) return;
  const leftovers = await session.query<{ name: string }>(sql`
    SELECT c.relname AS name
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname = ${schema} AND c.relname = ANY (${names}::text[])
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)`);
  for (const { name } of leftovers) {
    onDrop(name);
    await session.query(sql`DROP INDEX CONCURRENTLY ${identifier(schema, name)}`);
  }
}

/**
 * Fails a tenant that has some left after a migration that builds indexes: a run that was killed half-way left one, and
 * IF NOT EXISTS has now skipped it without an error.
 */
export async function refuseInvalidIndexes(session: Session, tenant: Tenant, migration: Migration): Promise<void> {
  const invalid = await findInvalidIndexes(session, tenant);
  if (invalid.length === 0) return;
  throw new TenantError({
    message: 'the statements ran, but there are invalid indexes in the schema',
    code: 'invalid-index',
    file: migration.displayPath,
    hint: adviceOnInvalid(tenant, invalid),
  });
}
