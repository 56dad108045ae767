import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import type { RelationName } from './parse-tree.ts';

/** How many rows a table has, by what the server counted last. Null: it was never analysed, and nothing was counted. */
export interface TableEstimate {
  readonly rows: number | null;
}

/** The tables of one database that have certain names. */
export class TableEstimates {
  readonly #tables: ReadonlyMap<string, TableEstimate>;

  constructor(tables: ReadonlyMap<string, TableEstimate>) {
    this.#tables = tables;
  }

  /** The table that a tenant's statement means by a name, and whether it is in the tenant's schema; null: there is none. */
  find(tenant: Tenant, { schema, name }: RelationName): (TableEstimate & { readonly isOwn: boolean }) | null {
    const own = tenantSchema(tenant);
    for (const candidate of schema === null ? [own, ...tenant.searchPath] : [schema]) {
      const table = this.#tables.get(keyOf(candidate, name));
      if (table !== undefined) return { ...table, isOwn: candidate === own };
    }
    return null;
  }
}

function keyOf(schema: string, name: string): string {
  return JSON.stringify([schema, name]);
}

/**
 * Sizes of the tables of all tenants of a database, in one statement that takes no lock on any of them. An index stands
 * for its table, a partitioned table for its partitions.
 */
export async function estimateTables(
  session: Session,
  tenants: readonly Tenant[],
  relations: readonly RelationName[],
): Promise<TableEstimates> {
  const named = relations.flatMap(({ schema }) => (schema === null ? [] : [schema]));
  const schemas = new Set([...tenants.flatMap((tenant) => [tenantSchema(tenant), ...tenant.searchPath]), ...named]);
  const names = new Set(relations.map(({ name }) => name));
  // reltuples is -1 until the first ANALYZE or VACUUM; the statistics system counts rows that came since, but loses its
  // numbers in a crash: whichever says more is nearer to the truth.
  const rows = await session.query<{ schema: string; name: string; rows: string | null }>(sql`
    WITH RECURSIVE found AS (
      SELECT n.nspname AS schema, c.relname AS name, coalesce(i.indrelid, c.oid) AS oid
        FROM pg_catalog.pg_namespace n
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = ANY (${[...names]}::text[])
        LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
       WHERE n.nspname = ANY (${[...schemas]}::text[])
    ), members AS (
      SELECT schema, name, oid FROM found
      UNION
      SELECT m.schema, m.name, h.inhrelid FROM members m JOIN pg_catalog.pg_inherits h ON h.inhparent = m.oid
    )
    SELECT m.schema, m.name,
           sum(CASE WHEN c.relkind IN ('r', 'm') AND (c.reltuples >= 0 OR counted.rows > 0)
                    THEN greatest(c.reltuples, counted.rows) END)::bigint AS rows
      FROM members m
      JOIN pg_catalog.pg_class c ON c.oid = m.oid
     CROSS JOIN LATERAL (SELECT pg_catalog.pg_stat_get_live_tuples(c.oid) AS rows) counted
     GROUP BY m.schema, m.name`);
  return new TableEstimates(
    new Map(
      rows.map(({ schema, name, rows: count }) => [
        keyOf(schema, name),
        { rows: count === null ? null : Number(count) },
      ]),
    ),
  );
}
