import pg from 'pg';
import { onTestFinished } from 'vitest';
import { eventually } from './barrier.ts';
import type { TestDatabase } from './database.ts';

/** A session of an application that holds a lock on a table until it is let go. */
export interface HeldLock {
  readonly pid: number;
  /** Takes another table too; resolves when it has it. */
  readonly lock: (table: string) => Promise<void>;
  /** Runs a statement in its transaction. */
  readonly query: (text: string) => Promise<void>;
  readonly release: () => Promise<void>;
}

/** Locks a table in a transaction that stays open: a reader's lock, as a forgotten `psql` has it, unless said otherwise. */
export async function holdTable(db: TestDatabase, table: string, mode = 'ACCESS SHARE'): Promise<HeldLock> {
  const session = await db.connect({ application_name: 'shop' });
  onTestFinished(() => session.end());
  const lock = async (name: string) => void (await session.query(`lock table ${name} in ${mode} mode`));
  // In a deadlock it is the other one that is ended.
  await session.query("set deadlock_timeout = '10min'; begin");
  await lock(table);
  const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid');
  const query = async (text: string) => void (await session.query(text));
  return { pid: rows[0]!.pid, lock, query, release: async () => void (await session.query('commit')) };
}

/**
 * Waits until so many sessions have waited for a lock on a table, one after the other: an attempt that gives up ends its
 * session. `onAttempt` is called as each is seen.
 */
export async function attemptsAt(
  db: TestDatabase,
  table: string,
  count: number,
  onAttempt: () => void = () => {},
): Promise<void> {
  const seen = new Set<number>();
  await eventually(`${count} attempts have waited for ${table}`, async () => {
    for (const { pid } of await waitingFor(db, table)) {
      if (!seen.has(pid)) onAttempt();
      seen.add(pid);
    }
    return seen.size >= count ? true : null;
  });
}

/** Until the last attempt has given up, and its tenant waits for the next one. */
export async function nobodyWaitsFor(db: TestDatabase, table: string): Promise<void> {
  await eventually(`nobody waits for ${table}`, async () => {
    return (await waitingFor(db, table)).length === 0 ? true : null;
  });
}

async function waitingFor(db: TestDatabase, table: string): Promise<readonly { pid: number }[]> {
  return db.query<{ pid: number }>(
    `select l.pid from pg_locks l join pg_stat_activity a on a.pid = l.pid
      where not l.granted and l.relation = ${pg.escapeLiteral(table)}::regclass and a.application_name like 'tenantctl/%'`,
  );
}
