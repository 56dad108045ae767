import { type FailedLock, gateKey, type LockKey, shapeKey, tryLockTenant } from './advisory-locks.ts';
import { type Backend, findKeyHolder } from './blockers.ts';
import type { Session } from './session.ts';

/** A tenant's locks were not to be had; nothing is held and nothing was touched. */
export class LockedError extends Error {
  override readonly name = 'LockedError';
  /** Stable for scripts, and for those that read errors by their code. */
  readonly code = 'locked';
  readonly lock: FailedLock;
  /** Null: it was freed while we looked. */
  readonly holder: Backend | null;

  /** `waitedMs`: how long it was tried, once that is over. */
  constructor(lock: FailedLock, holder: Backend | null, waitedMs: number | null = null) {
    const what = lock === 'tenant' ? 'the tenant is locked' : `the database's ${lock} is locked`;
    super(`${what} by ${describeHolder(holder)}${waitedMs === null ? '' : `; gave up after ${waitedMs / 1000} s`}`);
    this.lock = lock;
    this.holder = holder;
  }
}

/**
 * Takes a tenant's locks, or throws a LockedError that names the holder. It does not wait: a session that waits in
 * `pg_advisory_lock` holds a snapshot, and a CREATE INDEX CONCURRENTLY in the same database would wait for it for ever;
 * and whoever waits keeps a connection from the tenants that are free.
 */
export async function lockTenant(session: Session, key: LockKey): Promise<void> {
  const taken = await tryLockTenant(session, key);
  if (taken === null) return;
  const holder = await findKeyHolder(session, taken === 'tenant' ? key : taken === 'gate' ? gateKey : shapeKey);
  throw new LockedError(taken, holder);
}

/** Says who holds a lock, for messages: `tenantctl/k3f9/acme (pid 4711, user deploy, since 2026-11-22T10:15:00Z)`. */
function describeHolder(holder: Backend | null): string {
  if (holder === null) return 'another session';
  const since = holder.transactionStartedAt ?? holder.queryStartedAt;
  const facts = [
    `pid ${holder.pid}`,
    holder.user === null ? null : `user ${holder.user}`,
    since === null ? null : `since ${since.toISOString()}`,
  ].filter((fact) => fact !== null);
  return `${holder.application || 'another session'} (${facts.join(', ')})`;
}
