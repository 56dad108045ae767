import { setTimeout as pause } from 'node:timers/promises';
import { TenantError } from '../errors.ts';
import { findLockHolder, type LockHolder, type LockKey, tryLockTenant } from './advisory-locks.ts';
import type { Session } from './session.ts';

const firstPauseMs = 25;
const longestPauseMs = 1000;

export interface LockWait {
  readonly maxWaitMs: number;
  /** Aborted: give up waiting, nothing was touched. */
  readonly stop: AbortSignal;
  readonly onWait: (holder: LockHolder | null) => void;
}

/** The wait was given up because the run stops. */
export class LockWaitStopped extends Error {
  override readonly name = 'LockWaitStopped';
}

/**
 * Takes a tenant's locks, trying again with growing, jittered pauses. Never `pg_advisory_lock`: a session that waits
 * there holds a snapshot, and a CREATE INDEX CONCURRENTLY in the same database would wait for it for ever.
 */
export async function lockTenant(session: Session, key: LockKey, wait: LockWait): Promise<void> {
  const giveUpAt = performance.now() + wait.maxWaitMs;
  let pauseMs = firstPauseMs;
  for (;;) {
    const taken = await tryLockTenant(session, key);
    if (taken === null) return;
    if (performance.now() >= giveUpAt) throw lockedError(taken, await findLockHolder(session, taken, key), wait);
    if (pauseMs === firstPauseMs) wait.onWait(await findLockHolder(session, taken, key));
    const jitteredMs = pauseMs / 2 + (Math.random() * pauseMs) / 2;
    try {
      await pause(Math.min(jitteredMs, giveUpAt - performance.now()), undefined, { signal: wait.stop });
    } catch {
      throw new LockWaitStopped('stopped while waiting for the lock');
    }
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}

/** Says who holds a lock, for messages: `tenantctl/k3f9/acme (pid 4711, user deploy, since 2026-11-22T10:15:00Z)`. */
export function describeHolder(holder: LockHolder | null): string {
  if (holder === null) return 'another session';
  const facts = [
    holder.pid === null ? null : `pid ${holder.pid}`,
    holder.user === null ? null : `user ${holder.user}`,
    holder.since === null ? null : `since ${holder.since.toISOString()}`,
  ].filter((fact) => fact !== null);
  return `${holder.applicationName || 'another session'} (${facts.join(', ')})`;
}

function lockedError(lock: LockHolder['lock'], holder: LockHolder | null, wait: LockWait): TenantError {
  const what = lock === 'tenant' ? 'the tenant is locked' : `the database's ${lock} is locked`;
  return new TenantError({
    message: `${what} by ${describeHolder(holder)}; gave up after ${wait.maxWaitMs / 1000} s`,
    code: 'locked',
    hint: 'wait for the other run to end and run the same command again, or give --lock-wait more time',
  });
}
