import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { TestDatabase } from './database.ts';

const key = 4711;

/** A statement of a migration that runs as long as the test wants: until the barrier of its schema is open. */
export const passBarrier = `SELECT pg_advisory_xact_lock_shared(${key}, hashtext(current_schema()))`;

/** For the inventory: else a lock that is waited for so long is given up. */
export const patientTimeouts = { lock: '10min' };

export interface Barrier {
  readonly close: (...schemas: readonly string[]) => Promise<void>;
  readonly open: (...schemas: readonly string[]) => Promise<void>;
  /** Resolves to the backends that stand before it when they are so many. */
  readonly waiting: (count: number) => Promise<readonly number[]>;
}

/** Holds back migrations of a database; open at first, and again at the end of the test. */
export async function makeBarrier(db: TestDatabase): Promise<Barrier> {
  const session = await db.connect({ application_name: 'barrier' });
  onTestFinished(() => session.end());
  const call =
    (name: string) =>
    async (...schemas: readonly string[]) => {
      for (const schema of schemas)
        await session.query(`select ${name}(${key}, hashtext(${pg.escapeLiteral(schema)}))`);
    };
  return {
    close: call('pg_advisory_lock'),
    open: call('pg_advisory_unlock'),
    waiting: (count) =>
      eventually(`${count} statements wait`, async () => {
        const { rows } = await session.query<{ pid: number }>(
          `select pid from pg_locks where locktype = 'advisory' and not granted and classid = ${key}
              and database = (select oid from pg_database where datname = current_database())`,
        );
        return rows.length === count ? rows.map(({ pid }) => pid) : null;
      }),
  };
}

/** Asks until the answer is not null: for what no event tells, such as the state of a server. */
export async function eventually<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (Date.now() > deadline) throw new Error(`it never came about that ${what}`);
    await delay(10);
  }
}
