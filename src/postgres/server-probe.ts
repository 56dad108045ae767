import { setTimeout as pause } from 'node:timers/promises';
import type { Session } from './session.ts';
import { sql } from './sql.ts';

/** What a server says of itself when a run begins. */
export interface ServerFacts {
  /** 150018 for 15.18. */
  readonly versionNum: number;
  readonly isStandby: boolean;
  readonly maxConnections: number;
  /** Connections that are free for us now. */
  readonly freeConnections: number;
  /** A pooler stands between: the process id it announced is not the backend's. */
  readonly isPooled: boolean;
}

/** One statement; `session` may stand in any database of the server. */
export async function probeServer(session: Session): Promise<ServerFacts> {
  const [row] = await session.query<{
    version: number;
    standby: boolean;
    max: number;
    reserved: number;
    used: number;
    pid: number;
  }>(sql`
    SELECT pg_catalog.current_setting('server_version_num')::int AS version,
           pg_catalog.pg_is_in_recovery() AS standby,
           pg_catalog.current_setting('max_connections')::int AS max,
           pg_catalog.current_setting('superuser_reserved_connections')::int
             + coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0) AS reserved,
           (SELECT pg_catalog.sum(numbackends)::int FROM pg_catalog.pg_stat_database) AS used,
           pg_catalog.pg_backend_pid() AS pid`);
  if (row === undefined) throw new Error('the server did not describe itself');
  return {
    versionNum: row.version,
    isStandby: row.standby,
    maxConnections: row.max,
    freeConnections: Math.max(0, row.max - row.reserved - row.used),
    isPooled: row.pid !== session.announcedPid,
  };
}

/** Rounds of the pooler test; by default PgBouncer hands out the backend that was used last, so one would do. */
const poolerRounds = 4;
const poolerAnswerMs = 2000;

/**
 * True when two clients of a pooler get the same backend in turns (transaction mode): there, SET and session locks do
 * not hold, so DDL could reach another tenant. `other` is a second session of the same database. While it keeps a
 * backend busy in a transaction, a backend of our own must still answer, and be the same as before.
 */
export async function sharesBackends(session: Session, other: Session): Promise<boolean> {
  for (let round = 0; round < poolerRounds; round += 1) {
    const before = await backendPid(session);
    try {
      await other.raw('BEGIN');
    } catch {
      // Statement mode allows no transaction at all.
      return true;
    }
    try {
      if ((await backendPid(other)) === before) return true;
      if ((await answerInTime(backendPid(session))) !== before) return true;
    } finally {
      await other.raw('ROLLBACK');
    }
  }
  return false;
}

/** Null when no answer came: the pool's only backend is in the other session's transaction. */
async function answerInTime(answer: Promise<number>): Promise<number | null> {
  const patience = new AbortController();
  const tooLate = pause(poolerAnswerMs, null, { signal: patience.signal }).catch(() => null);
  try {
    return await Promise.race([answer, tooLate]);
  } finally {
    patience.abort();
  }
}

async function backendPid(session: Session): Promise<number> {
  const [row] = await session.query<{ pid: number }>(sql`SELECT pg_catalog.pg_backend_pid() AS pid`);
  return row?.pid ?? 0;
}
