import type { LockKey } from './advisory-locks.ts';
import type { Session } from './session.ts';
import { fragment, sql } from './sql.ts';

/** node-pg-migrate's own lock: one for all schemas of a database. */
export const nodePgMigrateKey: LockKey = '7241865325823964';

/** A session that holds advisory locks in this database; what the login role may not see is null. */
export interface LockSession {
  readonly pid: number;
  /** Seconds since 1970, exactly: with the pid it names this one backend for ever. */
  readonly startedAt: string | null;
  readonly application: string | null;
  readonly user: string | null;
  /** Null: the client is on the server's own machine. */
  readonly client: string | null;
  /** `active`, `idle`, `idle in transaction`, … */
  readonly state: string | null;
  /** Since when it is in that state, and how long that is by the server's clock. */
  readonly stateSince: Date | null;
  readonly stateMs: number | null;
  readonly locks: readonly { readonly key: LockKey; readonly isExclusive: boolean }[];
}

/** Advisory locks of a 64-bit key that are held in this database. */
const heldLocks = fragment`
  SELECT l.pid, (l.classid::bigint << 32) | l.objid::bigint AS key, l.mode = 'ExclusiveLock' AS exclusive
    FROM pg_catalog.pg_locks l
   WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid IS NOT NULL
     AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`;

/** Sessions that hold one of these locks, in one statement for a whole database. */
export async function findLockSessions(session: Session, keys: readonly LockKey[]): Promise<readonly LockSession[]> {
  return session.query<LockSession>(sql`
    SELECT h.pid, extract(epoch FROM a.backend_start)::text AS "startedAt", a.application_name AS application,
           a.usename AS user, pg_catalog.host(a.client_addr) AS client, a.state, a.state_change AS "stateSince",
           (extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change) * 1000)::float8 AS "stateMs",
           pg_catalog.json_agg(pg_catalog.json_build_object('key', h.key::text, 'isExclusive', h.exclusive)) AS locks
      FROM (${heldLocks}) h LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid
     WHERE h.key = ANY (${keys}::bigint[]) AND h.pid <> pg_catalog.pg_backend_pid()
     GROUP BY 1, 2, 3, 4, 5, 6, 7, a.state_change
     ORDER BY a.state_change, h.pid`);
}

/** The session that was looked at, and how it must still be. */
export interface EndTarget extends Pick<LockSession, 'pid' | 'startedAt'> {
  readonly keys: readonly LockKey[];
  /** Without a statement for at least so long; null: whatever it does. */
  readonly idleMs: number | null;
}

/** How long the server may take to end it. */
const endMs = 5000;

/**
 * Ends a session, if it is still the one that was looked at: the same backend, still with one of the locks, and still
 * idle. Looking and ending are one statement. `gone`: nothing is to be ended any more. `busy`: it works now, and was
 * left alone. `stays`: the server was told, and it is still there.
 */
export async function endLockSession(
  session: Session,
  target: EndTarget,
): Promise<'ended' | 'gone' | 'busy' | 'stays'> {
  const { pid, startedAt, keys, idleMs } = target;
  const [row] = await session.query<{ mayEnd: boolean; ended: boolean | null }>(sql`
    WITH target AS MATERIALIZED (
      SELECT a.pid, ${idleMs}::float8 IS NULL
               OR a.state IN ('idle', 'idle in transaction', 'idle in transaction (aborted)')
                  AND extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change) * 1000 >= ${idleMs}::float8
               AS may_end
        FROM pg_catalog.pg_stat_activity a
       WHERE a.pid = ${pid} AND extract(epoch FROM a.backend_start)::text = ${startedAt}
         AND EXISTS (SELECT FROM (${heldLocks}) h WHERE h.pid = a.pid AND h.key = ANY (${keys}::bigint[]))
    )
    SELECT coalesce(may_end, false) AS "mayEnd",
           CASE WHEN may_end THEN pg_catalog.pg_terminate_backend(pid, ${endMs}) END AS ended
      FROM target`);
  if (row === undefined) return 'gone';
  if (!row.mayEnd) return 'busy';
  return row.ended === true ? 'ended' : 'stays';
}
