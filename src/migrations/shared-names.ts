import type { Tenant } from '../fleet/tenant.ts';
import { tenantSchema } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';

/**
 * Names of tables and views that a tenant's search path finds in the schemas behind its own: a foreign key to one of
 * them, or an ALTER, locks what all tenants of the database use. One statement a database; `tenant` speaks for all.
 */
export async function readSharedNames(session: Session, tenant: Tenant): Promise<readonly string[]> {
  const own = tenantSchema(tenant);
  const behind = tenant.searchPath.filter((schema) => schema !== own);
  if (behind.length === 0) return [];
  const rows = await session.query<{ name: string }>(sql`
    SELECT DISTINCT c.relname AS name
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY (${behind}::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_class o
                         JOIN pg_catalog.pg_namespace m ON m.oid = o.relnamespace
                        WHERE m.nspname = ${own} AND o.relname = c.relname)`);
  return rows.map(({ name }) => name);
}
