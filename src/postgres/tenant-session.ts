import { quoteSearchPath } from './identifiers.ts';
import type { Session } from './session.ts';
import { sql } from './sql.ts';

/** What a session is for while one tenant has it. Times in milliseconds; 0 switches a timeout off. */
export interface TenantSettings {
  readonly searchPath: readonly string[];
  readonly role: string | null;
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly applicationName: string;
}

/**
 * Makes a session ready for a tenant, in one round trip: nothing of the tenant before it is left, neither settings
 * nor locks, and no timeout of the login role is inherited.
 */
export async function prepareSession(session: Session, settings: TenantSettings): Promise<void> {
  session.tenantsServed += 1;
  session.preparedFor = null;
  const discarded = session.raw('DISCARD ALL');
  const set = session.query(sql`SELECT
    pg_catalog.set_config('application_name', ${settings.applicationName}, false),
    pg_catalog.set_config('lock_timeout', ${String(settings.lockTimeoutMs)}, false),
    pg_catalog.set_config('statement_timeout', ${String(settings.statementTimeoutMs)}, false),
    pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),
    CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 140000
         THEN pg_catalog.set_config('idle_session_timeout', '0', false) END,
    CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000
         THEN pg_catalog.set_config('transaction_timeout', '0', false) END,
    pg_catalog.set_config('client_min_messages', 'warning', false),
    pg_catalog.set_config('search_path', ${quoteSearchPath(settings.searchPath)}, false),
    CASE WHEN ${settings.role}::text IS NOT NULL THEN pg_catalog.set_config('role', ${settings.role}::text, false) END`);
  await Promise.all([discarded, set]);
}

/**
 * Makes a session ready to read the catalogue or many tenants: no waiting behind locks, no rows hidden by
 * row-level security in silence, no compiling of statements that are run once, and no workers beside the session: they
 * would not count against our limits.
 */
export async function prepareReader(session: Session, applicationName: string): Promise<void> {
  const purpose = `reading as ${applicationName}`;
  if (session.preparedFor === purpose) return;
  session.preparedFor = purpose;
  const discarded = session.raw('DISCARD ALL');
  const set = session.query(sql`SELECT
    pg_catalog.set_config('application_name', ${applicationName}, false),
    pg_catalog.set_config('lock_timeout', '2000', false),
    pg_catalog.set_config('statement_timeout', '0', false),
    pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),
    CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 140000
         THEN pg_catalog.set_config('idle_session_timeout', '0', false) END,
    CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000
         THEN pg_catalog.set_config('transaction_timeout', '0', false) END,
    pg_catalog.set_config('row_security', 'off', false),
    pg_catalog.set_config('search_path', 'pg_catalog', false),
    pg_catalog.set_config('jit', 'off', false),
    pg_catalog.set_config('max_parallel_workers_per_gather', '0', false)`);
  await Promise.all([discarded, set]);
}

/** `tenantctl/<last part of the run>/<tenant>`: ASCII, at most 63 bytes, for pg_stat_activity. */
export function applicationName(run: string | null, subject: string): string {
  const shortRun = run?.split('-').at(-1) ?? '-';
  return `tenantctl/${shortRun}/${subject}`.replace(/[^\x20-\x7e]/g, '?').slice(0, 63);
}
