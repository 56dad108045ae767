import { type Failure, TenantError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { sql } from '../../postgres/sql.ts';
import { shellQuote } from '../../words.ts';

/** What stands where a tenant was fenced. */
export interface Standing {
  /** Under the tenant's name; null: nothing. */
  readonly oid: string | null;
  /** What was fenced is called so now; null: it is gone. */
  readonly nameNow: string | null;
}

/** Looks for a schema or database by name, and for the one that was fenced, which may have been renamed. Where its row is. */
export async function findStanding(
  session: Session,
  { schema, database }: Tenant,
  fencedOid: string | null,
): Promise<Standing> {
  const rows = await session.query<{ name: string; oid: string }>(
    schema === null
      ? sql`SELECT datname::text AS name, oid::text AS oid FROM pg_catalog.pg_database
             WHERE datname = ${database} OR oid::text = ${fencedOid}`
      : sql`SELECT nspname::text AS name, oid::text AS oid FROM pg_catalog.pg_namespace
             WHERE nspname = ${schema} OR oid::text = ${fencedOid}`,
  );
  return {
    oid: rows.find(({ name }) => name === (schema ?? database))?.oid ?? null,
    nameNow: rows.find(({ oid }) => oid === fencedOid)?.name ?? null,
  };
}

/** For a fenced tenant that is not where it was: its recorded rights are kept, so that they can still be given back. */
export function misplaced({ id, schema, database }: Tenant, { oid, nameNow }: Standing): TenantError {
  const kind = schema === null ? 'database' : 'schema';
  const name = schema ?? database;
  const again = `tenantctl wake -t ${shellQuote(id)}`;
  const failure: Failure = {
    message: `there is no ${kind} ${quoteIdentifier(name)} any more`,
    code: `${kind}-missing`,
  };
  if (nameNow !== null) {
    const back = `ALTER ${kind.toUpperCase()} ${quoteIdentifier(nameNow)} RENAME TO ${quoteIdentifier(name)}`;
    return new TenantError({
      ...failure,
      message: `the ${kind} that was fenced is called ${quoteIdentifier(nameNow)} now`,
      hint: `its rights are still written down: ${back}, then run the same again`,
    });
  }
  if (oid === null) {
    const hint = `it was dropped behind its fence, and its rights are still written down: create it again, then ${again}`;
    return new TenantError({ ...failure, hint });
  }
  return new TenantError({
    message: `${kind} ${quoteIdentifier(name)} is another one than was fenced`,
    code: 'replaced',
    hint: `look whose it is; ${again} gives it the rights that were written down`,
  });
}
