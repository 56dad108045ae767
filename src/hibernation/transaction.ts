import type { Session } from '../postgres/session.ts';

/** All of it, or nothing. */
export function inTransaction<T>(session: Session, work: () => Promise<T>): Promise<T> {
  return decideInTransaction(session, async () => ({ keep: true, value: await work() }));
}

/**
 * All of it, or nothing: `work` says whether what it did is to stay. Each statement sees what is committed then, whatever the
 * database's default: after a lock was waited for, rows are to be read as they are.
 */
export async function decideInTransaction<T>(
  session: Session,
  work: () => Promise<{ readonly keep: boolean; readonly value: T }>,
): Promise<T> {
  await session.raw('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
  try {
    const { keep, value } = await work();
    await session.raw(keep ? 'COMMIT' : 'ROLLBACK');
    return value;
  } catch (error) {
    // With a lost session it is rolled back by the server.
    if (!session.isBroken) await session.raw('ROLLBACK').catch(() => {});
    throw error;
  }
}
