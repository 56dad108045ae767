import { setTimeout as delay } from 'node:timers/promises';
import type { Session } from '../postgres/session.ts';
import { fragment, sql } from '../postgres/sql.ts';

/** A session that is still there. */
export interface Remaining {
  readonly pid: number;
  readonly user: string | null;
  readonly application: string | null;
}

/** How long the server may take to end one. */
const endMs = 5000;

/** Between two looks: one that was let in before the door was closed may show up a moment later. */
const pauseMs = 50;

/** Ends what `which` says of `a`, as far as the login may; resolves to those that are still there. */
async function terminate(session: Session, which: unknown): Promise<readonly Remaining[]> {
  const rows = await session.query<Remaining & { isEnded: boolean | null }>(sql`
    SELECT a.pid, a.usename AS user, a.application_name AS application,
           -- Asked without the right to, the server answers with an error for all of them.
           CASE WHEN me.rolsuper OR pg_catalog.pg_has_role(me.oid, a.usesysid, 'USAGE')
                     OR NOT r.rolsuper AND pg_catalog.pg_has_role(me.oid, 'pg_signal_backend', 'USAGE')
                THEN pg_catalog.pg_terminate_backend(a.pid, ${endMs}) END AS "isEnded"
      FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid,
           pg_catalog.pg_roles me
     -- What a session is, a login without pg_read_all_stats sees only of its own roles.
     WHERE me.rolname = SESSION_USER AND a.pid <> pg_catalog.pg_backend_pid()
       AND coalesce(a.backend_type, 'client backend') IN ('client backend', 'walsender') AND ${which}
     ORDER BY a.pid`);
  return rows
    .filter(({ isEnded }) => isEnded !== true)
    .map(({ pid, user, application }) => ({ pid, user, application }));
}

/** Ends the sessions of a fence's closed roles, in whatever database; those of others that may not be ended are told. */
export function endRoleSessions(session: Session, roles: readonly string[]): Promise<readonly Remaining[]> {
  return terminate(session, fragment`a.usename = ANY (${roles}::text[])`);
}

export interface EndOptions {
  /** Backends of our own that are needed in there; the one that asks stays anyway. */
  readonly keepPids: readonly number[];
  /** How long to try until none is left, in milliseconds. */
  readonly budgetMs: number;
  readonly signal: AbortSignal;
}

/**
 * Ends all sessions of a database to which nobody new gets in, until none is left, from any database of its server.
 * Resolves to what is still there, in words: sessions, and prepared transactions, which nobody can end.
 */
export async function endDatabaseSessions(
  session: Session,
  database: string,
  { keepPids, budgetMs, signal }: EndOptions,
): Promise<readonly string[]> {
  const deadline = performance.now() + budgetMs;
  for (;;) {
    signal.throwIfAborted();
    await terminate(session, fragment`a.datname = ${database} AND a.pid <> ALL (${keepPids}::int[])`);
    const left = await readLeft(session, database, keepPids);
    if (left.length === 0 || performance.now() >= deadline) return left;
    await delay(pauseMs, undefined, { signal });
  }
}

async function readLeft(session: Session, database: string, keepPids: readonly number[]): Promise<readonly string[]> {
  const rows = await session.query<{ what: string }>(sql`
    SELECT pg_catalog.format('%s (pid %s, user %s)', coalesce(nullif(a.application_name, ''), 'a session'), a.pid, a.usename) AS what
      FROM pg_catalog.pg_stat_activity a
     WHERE a.datname = ${database} AND coalesce(a.backend_type, 'client backend') IN ('client backend', 'walsender')
       AND a.pid <> pg_catalog.pg_backend_pid() AND a.pid <> ALL (${keepPids}::int[])
     UNION ALL
    SELECT pg_catalog.format('prepared transaction %s', p.gid) FROM pg_catalog.pg_prepared_xacts p WHERE p.database = ${database}`);
  return rows.map(({ what }) => what);
}
