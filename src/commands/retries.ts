import { TenantError } from '../errors.ts';
import type { Pause } from '../fleet/place.ts';
import { isConnectionLoss, RepeatableError } from '../migrations/repeatable.ts';
import { toFailure } from '../postgres/failure.ts';
import { LockedError } from '../postgres/lock-wait.ts';
import { errorCode, isTransient, sqlStates } from '../postgres/sqlstates.ts';

/** How often and for how long a tenant is tried. Times in milliseconds. */
export interface RetryLimits {
  /** Attempts, the first one included. */
  readonly tries: number;
  /** From the first attempt that failed on. */
  readonly retryForMs: number;
  /** For all attempts together; null: no limit. */
  readonly timeoutMs: number | null;
  /** For a lock of tenantctl itself that another run holds. */
  readonly lockWaitMs: number;
}

/** A lock of ours is let go as soon as the other run is done with the tenant. */
const lockedPause = { firstMs: 25, longestMs: 1000 };
/** A lock of the application: each attempt may make it wait for as long as lock_timeout is. */
const retryPause = { firstMs: 500, longestMs: 10_000 };

/** The attempts at one tenant, and what comes after one that failed. */
export class Retries {
  readonly #limits: RetryLimits;
  #failed = 0;
  #locked = 0;
  #firstFailedAt: number | null = null;
  #firstLockedAt: number | null = null;
  readonly #startedAt: number;

  /** `now`: when the first attempt begins. */
  constructor(limits: RetryLimits, now: number) {
    this.#limits = limits;
    this.#startedAt = now;
  }

  /** The time of the tenant is up, whatever it was spent on. */
  isTimeUp(now: number): boolean {
    const { timeoutMs } = this.#limits;
    return timeoutMs !== null && now - this.#startedAt >= timeoutMs;
  }

  /** The pause before the next attempt; null: there is none, the tenant has failed with this error. */
  after(error: unknown, now: number): Pause | null {
    if (this.isTimeUp(now)) return null;
    const pause = this.#pauseAfter(error, now);
    const { timeoutMs } = this.#limits;
    if (pause === null || pause.of === 'server' || timeoutMs === null) return pause;
    return { of: 'tenant', ms: Math.min(pause.ms, this.#startedAt + timeoutMs - now) };
  }

  #pauseAfter(error: unknown, now: number): Pause | null {
    if (error instanceof LockedError) return this.#afterLocked(now);
    if (!isRepeatable(error)) return null;
    this.#failed += 1;
    this.#firstFailedAt ??= now;
    if (this.#failed >= this.#limits.tries || now - this.#firstFailedAt >= this.#limits.retryForMs) return null;
    if (isLoss(error)) return { of: 'server' };
    return { of: 'tenant', ms: pauseMs(retryPause, this.#failed) };
  }

  #afterLocked(now: number): Pause | null {
    this.#locked += 1;
    this.#firstLockedAt ??= now;
    const leftMs = this.#limits.lockWaitMs - (now - this.#firstLockedAt);
    if (leftMs <= 0) return null;
    return { of: 'tenant', ms: Math.min(leftMs, pauseMs(lockedPause, this.#locked)) };
  }
}

/** Grows from try to try; jittered, so that tenants that met at one lock do not meet again. */
function pauseMs({ firstMs, longestMs }: typeof retryPause, tries: number): number {
  return Math.min(longestMs, firstMs * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);
}

/**
 * An attempt that left nothing behind. What the server says itself, without a word on where the migrations stood, was
 * said before they began: no connection was to be had, or the history could not be read in time.
 */
function isRepeatable(error: unknown): boolean {
  return error instanceof RepeatableError || isTransient(error);
}

function isLoss(error: unknown): boolean {
  return isConnectionLoss(error instanceof RepeatableError ? error.reason : error);
}

/** What the tenant fails with when there is no other attempt. `names`: what stays of the turns before. */
export function finalError(error: unknown, { lockWaitMs }: RetryLimits, names: readonly string[]): unknown {
  if (error instanceof LockedError) return withWhatStays(new LockedError(error.lock, error.holder, lockWaitMs), names);
  return withWhatStays(error instanceof RepeatableError ? error.reason : error, names);
}

/** The operator must know what the turns before have left. */
function withWhatStays(error: unknown, names: readonly string[]): unknown {
  if (names.length === 0) return error;
  const { detail, ...failure } = toFailure(error);
  const stays = `already committed on this tenant: ${names.join(', ')}`;
  return new TenantError(
    { ...failure, detail: detail === undefined ? stays : `${stays}; ${detail}` },
    { cause: error instanceof Error && error.cause !== undefined ? error.cause : error },
  );
}

/** Whether the attempt ended because somebody else held a lock on a table. */
export function wasBlocked(error: unknown): boolean {
  const reason = error instanceof RepeatableError ? error.reason : error;
  const server = reason instanceof Error && reason.cause !== undefined ? reason.cause : reason;
  return errorCode(server) === sqlStates.lockNotAvailable;
}
