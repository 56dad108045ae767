import { TenantError } from '../errors.ts';
import { isLostConnection, isTransient } from '../postgres/sqlstates.ts';

/**
 * An attempt that may be made again. Its whole work was one transaction, so that nothing of it stays; or the connection
 * was lost while it committed: the tenant's history, read again under its lock, tells which it was.
 */
export class RepeatableError extends Error {
  override readonly name = 'RepeatableError';
  /** What ended the attempt. */
  readonly reason: unknown;
  /** The migrations whose COMMIT was sent and not answered; null: nothing was being committed. */
  readonly committing: readonly string[] | null;
  /** False: a part before that transaction stays, so that another attempt may only look. */
  readonly mayRepeat: boolean;

  constructor(reason: unknown, facts: { readonly committing: readonly string[] | null; readonly mayRepeat: boolean }) {
    super('the attempt may be made again', { cause: reason });
    this.reason = reason;
    this.committing = facts.committing;
    this.mayRepeat = facts.mayRepeat;
  }
}

/** The server's word on an error that was given a place in a file. */
function serverError(error: unknown): unknown {
  return error instanceof TenantError && error.cause !== undefined ? error.cause : error;
}

/** May the same go well a little later? A lock not had in time, a deadlock, a connection that was lost. */
export function mayPass(error: unknown): boolean {
  return isTransient(serverError(error));
}

export function isConnectionLoss(error: unknown): boolean {
  return isLostConnection(serverError(error));
}
