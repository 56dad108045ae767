import type { QueryConfig } from 'pg';
import type { Session } from './session.ts';
import { sql } from './sql.ts';

/** Longer than this a registry is not worth waiting for. */
const queryTimeoutMs = 60_000;

/** Names of schemas that begin with a prefix; PostgreSQL's own are left out. */
export async function listSchemas(session: Session, prefix: string): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(sql`
    SELECT nspname AS name FROM pg_catalog.pg_namespace
     WHERE pg_catalog.starts_with(nspname, ${prefix}) AND NOT pg_catalog.starts_with(nspname, 'pg_')
       AND nspname <> 'information_schema'`);
  return rows.map(({ name }) => name);
}

/** Names of databases that begin with a prefix and that one can connect to; templates are left out. */
export async function listDatabases(session: Session, prefix: string): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(sql`
    SELECT datname AS name FROM pg_catalog.pg_database
     WHERE pg_catalog.starts_with(datname, ${prefix}) AND datallowconn AND NOT datistemplate`);
  return rows.map(({ name }) => name);
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
