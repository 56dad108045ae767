import type { LockKey } from './advisory-locks.ts';
import type { Session } from './session.ts';
import { fragment, sql } from './sql.ts';

/** A backend that others wait for, as pg_stat_activity shows it; what the login role may not see is null. */
export interface Backend {
  /** 0: a prepared transaction. */
  readonly pid: number;
  readonly application: string | null;
  readonly user: string | null;
  readonly state: string | null;
  readonly transactionStartedAt: Date | null;
  readonly queryStartedAt: Date | null;
  /** Advisory locks of its session in this database: they tell which tenant it works on. */
  readonly keys: readonly LockKey[];
}

/** Of `b`, a row of pg_stat_activity. */
const backendColumns = fragment`b.application_name AS application, b.usename AS user, b.state,
  b.xact_start AS "transactionStartedAt", b.query_start AS "queryStartedAt",
  ARRAY(SELECT ((k.classid::bigint << 32) | k.objid::bigint)::text
          FROM pg_catalog.pg_locks k
         WHERE k.pid = b.pid AND k.locktype = 'advisory' AND k.granted AND k.objsubid = 1
           AND k.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
       ) AS keys`;

/** Whom the backends `pids` wait for now: holders of locks, and of snapshots that an index build must outlive. */
export async function findBlockers(
  session: Session,
  pids: readonly number[],
): Promise<ReadonlyMap<number, readonly Backend[]>> {
  const rows = await session.query<Backend & { waiting: number }>(sql`
    SELECT DISTINCT w.pid AS waiting, x.pid, ${backendColumns}
      FROM pg_catalog.unnest(${pids}::int[]) w(pid)
     CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) x(pid)
      -- A prepared transaction has no backend, and pid 0.
      LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = x.pid
     -- An index build waits for this very statement too, for as long as it takes.
     WHERE x.pid <> pg_catalog.pg_backend_pid()`);
  const blockers = new Map<number, Backend[]>();
  for (const { waiting, ...backend } of rows) blockers.set(waiting, [...(blockers.get(waiting) ?? []), backend]);
  return blockers;
}

/**
 * Programs that hold locks on tables and indexes of a schema for longer than `forMs` milliseconds: after a lock timeout the server no
 * longer tells whom the statement waited for, but it must be one of them.
 */
export async function findSchemaLockHolders(
  session: Session,
  schema: string,
  forMs: number,
): Promise<readonly Backend[]> {
  return session.query<Backend>(sql`
    SELECT b.pid, ${backendColumns}
      FROM pg_catalog.pg_stat_activity b
     WHERE b.pid <> pg_catalog.pg_backend_pid()
       AND b.backend_type = 'client backend' AND b.xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => ${forMs / 1000})
       AND b.pid IN (SELECT l.pid
                       FROM pg_catalog.pg_locks l
                       JOIN pg_catalog.pg_class c ON c.oid = l.relation
                       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                      WHERE l.granted AND n.nspname = ${schema}
                        AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                           WHERE datname = pg_catalog.current_database()))
     ORDER BY b.xact_start
     LIMIT 5`);
}

/** Who holds an advisory lock; null when it was freed meanwhile. */
export async function findKeyHolder(session: Session, key: LockKey): Promise<Backend | null> {
  const [holder] = await session.query<Backend>(sql`
    SELECT b.pid, ${backendColumns}
      FROM pg_catalog.pg_locks l
      JOIN pg_catalog.pg_stat_activity b ON b.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
       AND ((l.classid::bigint << 32) | l.objid::bigint) = ${key}::bigint
     LIMIT 1`);
  return holder ?? null;
}
