import type { Tenant } from '../fleet/tenant.ts';
import { tenantKey } from '../postgres/advisory-locks.ts';
import { describeHolder, lockTenant } from '../postgres/lock-wait.ts';
import type { Session } from '../postgres/session.ts';
import { prepareSession } from '../postgres/tenant-session.ts';

/** How to get at a tenant that is to be changed. Times in milliseconds. */
export interface TakeOptions {
  readonly applicationName: string;
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockWaitMs: number;
  /** Aborted: give up waiting for a lock. */
  readonly stop: AbortSignal;
  /** Aborted: begin nothing more. */
  readonly signal: AbortSignal;
  readonly onStep: (step: string) => void;
}

/** Makes the session the tenant's own and holds the tenant's locks on it, in one round trip when they are free. */
export async function takeTenant(session: Session, tenant: Tenant, options: TakeOptions): Promise<void> {
  await Promise.all([
    prepareSession(session, {
      searchPath: tenant.searchPath,
      role: tenant.role,
      lockTimeoutMs: options.lockTimeoutMs,
      statementTimeoutMs: options.statementTimeoutMs,
      applicationName: options.applicationName,
    }),
    lockTenant(session, tenantKey(tenant.schema), {
      maxWaitMs: options.lockWaitMs,
      stop: AbortSignal.any([options.stop, options.signal]),
      onWait: (holder) => options.onStep(`waiting for the lock held by ${describeHolder(holder)}`),
    }),
  ]);
}
