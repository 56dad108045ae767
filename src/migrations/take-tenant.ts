import type { Tenant } from '../fleet/tenant.ts';
import { tenantKey } from '../postgres/advisory-locks.ts';
import { lockTenant } from '../postgres/lock-wait.ts';
import type { Session } from '../postgres/session.ts';
import { prepareSession } from '../postgres/tenant-session.ts';

/** How to get at a tenant that is to be changed. Times in milliseconds. */
export interface TakeOptions {
  /** Names the run in the history of what is applied. */
  readonly run: string;
  readonly applicationName: string;
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
  /** A statement that works CONCURRENTLY blocks nobody while it waits: it has a time of its own. */
  readonly indexTimeoutMs: number;
  /** Aborted: begin nothing more. */
  readonly signal: AbortSignal;
  readonly onStep: (step: string) => void;
}

/**
 * Makes the session the tenant's own and holds the tenant's locks on it, in one round trip. Throws a LockedError when
 * another session has them.
 */
export async function takeTenant(session: Session, tenant: Tenant, options: TakeOptions): Promise<void> {
  options.signal.throwIfAborted();
  await Promise.all([
    prepareSession(session, {
      searchPath: tenant.searchPath,
      role: tenant.role,
      lockTimeoutMs: options.lockTimeoutMs,
      statementTimeoutMs: options.statementTimeoutMs,
      applicationName: options.applicationName,
    }),
    lockTenant(session, tenantKey(tenant.schema)),
  ]);
}
