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

/** Attempts that failed for one kind of reason. */
interface Tries {
  count: number;
  /** Since the first of them: in attempts and pauses. Waiting for a turn behind other tenants does not count. */
  spentMs: number;
}

/** The attempts at one tenant, and what comes after one that failed. Times in milliseconds. */
export class Retries {
  readonly #limits: RetryLimits;
  #failed: Tries = { count: 0, spentMs: 0 };
  #locked: Tries = { count: 0, spentMs: 0 };
  #spentMs = 0;
  #beganAt = 0;

  constructor(limits: RetryLimits) {
    this.#limits = limits;
  }

  /** An attempt begins. */
  begin(now: number): void {
    this.#beganAt = now;
  }

  /** A part is done and stays: what comes now is tried as often as that was. */
  nextStage(now: number): void {
    this.#spentMs += now - this.#beganAt;
    this.#failed = { count: 0, spentMs: 0 };
    this.#locked = { count: 0, spentMs: 0 };
  }

  /** The time of the tenant is up, whatever it was spent on. */
  get isTimeUp(): boolean {
    const { timeoutMs } = this.#limits;
    return timeoutMs !== null && this.#spentMs >= timeoutMs;
  }

  /** The pause before the next attempt; null: there is none, the tenant has failed with this error. */
  after(error: unknown, now: number): Pause | null {
    const tookMs = now - this.#beganAt;
    this.#spentMs += tookMs;
    if (this.isTimeUp) return null;
    const pause = this.#pauseAfter(error, tookMs);
    if (pause === null || pause.of === 'server') return pause;
    const leftMs = (this.#limits.timeoutMs ?? Number.POSITIVE_INFINITY) - this.#spentMs;
    const ms = Math.min(pause.ms, leftMs);
    this.#spentMs += ms;
    return { of: 'tenant', ms };
  }

  #pauseAfter(error: unknown, tookMs: number): Pause | null {
    const { tries, retryForMs, lockWaitMs } = this.#limits;
    if (error instanceof LockedError) return nextPause(this.#locked, tookMs, lockedPause, lockWaitMs);
    if (!isRepeatable(error) || this.#failed.count + 1 >= tries) return null;
    const pause = nextPause(this.#failed, tookMs, retryPause, retryForMs);
    return pause !== null && isLoss(error) ? { of: 'server' } : pause;
  }
}

/** Null: the time for tries of this kind is over. */
function nextPause(tries: Tries, tookMs: number, pauses: typeof retryPause, limitMs: number): Pause | null {
  // The first failure starts the clock.
  if (tries.count > 0) tries.spentMs += tookMs;
  tries.count += 1;
  const leftMs = limitMs - tries.spentMs;
  if (leftMs <= 0) return null;
  const ms = Math.min(leftMs, pauseMs(pauses, tries.count));
  tries.spentMs += ms;
  return { of: 'tenant', ms };
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
