import type { QueryConfig } from 'pg';
import { TenantError } from '../errors.ts';
import type { Session } from './session.ts';
import { fragment, sql } from './sql.ts';
import { hasTenantTable, readRowsThere, rowsDenied, type SleepRow } from './tenant-rows.ts';

/** Longer than this a registry is not worth waiting for. */
const queryTimeoutMs = 60_000;

/** What one look into a database finds. */
export interface FoundNames {
  readonly names: readonly string[];
  /** What the database says of tenants that sleep: their schemas and databases may be gone or closed. */
  readonly rows: readonly SleepRow[];
  /** The login may not see that: `rows` is empty, and says nothing. */
  readonly denied: TenantError | null;
}

/** Names of schemas that begin with a prefix; PostgreSQL's own are left out. */
export function listSchemas(session: Session, prefix: string): Promise<FoundNames> {
  return listNames(
    session,
    fragment`SELECT nspname::text FROM pg_catalog.pg_namespace
     WHERE pg_catalog.starts_with(nspname, ${prefix}) AND NOT pg_catalog.starts_with(nspname, 'pg_')
       AND nspname <> 'information_schema'`,
  );
}

/** Names of databases that begin with a prefix and that one can connect to; templates are left out. */
export function listDatabases(session: Session, prefix: string): Promise<FoundNames> {
  return listNames(
    session,
    fragment`SELECT datname::text FROM pg_catalog.pg_database
     WHERE pg_catalog.starts_with(datname, ${prefix}) AND datallowconn AND NOT datistemplate`,
  );
}

/** Whether anybody sleeps here is asked in the same statement: a fleet in which nobody does pays nothing for it. */
async function listNames(session: Session, query: unknown): Promise<FoundNames> {
  const [found] = await session.query<{ names: readonly string[]; hasRows: boolean }>(
    sql`SELECT ARRAY(${query}) AS names, ${hasTenantTable} AS "hasRows"`,
  );
  const { names = [], hasRows = false } = found ?? {};
  try {
    return { names, rows: hasRows ? await readRowsThere(session) : [], denied: null };
  } catch (error) {
    if (error instanceof TenantError && error.failure.code === rowsDenied) return { names, rows: [], denied: error };
    throw error;
  }
}

/**
 * The operator's own query over a registry of tenants, on a session as the server gives it: nothing of an earlier use
 * is left. It can only read: the extended protocol takes one statement, so that none can end the transaction first.
 */
export async function runRegistryQuery(session: Session, query: string): Promise<readonly unknown[]> {
  session.preparedFor = null;
  const discarded = session.raw('DISCARD ALL');
  const begun = session.raw('BEGIN READ ONLY');
  const limited = session.raw(`SET LOCAL statement_timeout = ${queryTimeoutMs}`);
  const answered = session.raw({ text: query, queryMode: 'extended' } as QueryConfig);
  const results = await Promise.allSettled([discarded, begun, limited, answered]);
  await session.raw('ROLLBACK');
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return (await answered).rows;
}
