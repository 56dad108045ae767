import { type Backend, findSchemaLockHolders } from '../postgres/blockers.ts';
import type { Session } from '../postgres/session.ts';
import { isTransient } from '../postgres/sqlstates.ts';
import { lockTables } from './lock-tables.ts';
import { decideInTransaction } from './transaction.ts';

export interface DrainOptions {
  /** How long to wait for them in all, in milliseconds. */
  readonly budgetMs: number;
  readonly signal: AbortSignal;
}

/**
 * At most so long at a time: others queue behind a lock that is waited for. Longer than PostgreSQL's deadlock_timeout (1 s),
 * after which it ends an autovacuum that is in the way.
 */
const tryMs = 3000;

/**
 * Waits until every transaction is over that wrote to a schema, or could, before it was fenced: such a one has its right
 * already and its locks until it ends. Null: drained. Else who still holds locks, as far as the login may see that. On a session without a transaction, after
 * the fence was committed.
 */
export async function drain(
  session: Session,
  schema: string,
  { budgetMs, signal }: DrainOptions,
): Promise<readonly Backend[] | null> {
  const deadline = performance.now() + budgetMs;
  for (;;) {
    signal.throwIfAborted();
    const leftMs = deadline - performance.now();
    if (await tryLocking(session, schema, Math.min(tryMs, leftMs))) return null;
    const blockers = await findSchemaLockHolders(session, schema, 0);
    if (performance.now() >= deadline) return blockers;
  }
}

/** Whoever gets these locks together knows that nobody else has one that writes; they are let go at once. */
async function tryLocking(session: Session, schema: string, timeoutMs: number): Promise<boolean> {
  try {
    return await decideInTransaction(session, async () => {
      await lockTables(session, schema, 'SHARE ROW EXCLUSIVE', timeoutMs);
      return { keep: false, value: true };
    });
  } catch (error) {
    if (session.isBroken || !isTransient(error)) throw error;
    return false;
  }
}
