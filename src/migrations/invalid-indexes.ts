import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';

/**
 * Names of a tenant's indexes that a failed CREATE INDEX CONCURRENTLY left behind: they cost every write and serve no
 * query, and IF NOT EXISTS takes them for good ones. For a report: empty when the session cannot answer.
 */
export async function findInvalidIndexes(session: Session, tenant: Tenant): Promise<readonly string[]> {
  try {
    const rows = await session.query<{ name: string }>(sql`
      SELECT c.relname AS name
        FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname = ${tenantSchema(tenant)}
       ORDER BY c.relname`);
    return rows.map(({ name }) => name);
  } catch {
    return [];
  }
}
