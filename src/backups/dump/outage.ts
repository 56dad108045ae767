import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, isTransient } from '../../postgres/sqlstates.ts';

const pauseMs = 1000;
/** An attempt that takes longer than a refusal had its server. */
const workedMs = 30_000;

/** That of one database: what one batch has waited for, the next one does not wait for again. */
export interface Outage {
  /** performance.now() of the first attempt that failed; null: the server is there. */
  awaySince: number | null;
}

export interface OutageOptions {
  readonly outage: Outage;
  /** Milliseconds after which it is no outage any more. */
  readonly forMs: number;
  readonly stop: AbortSignal;
  /** Which errors pass; those of a server that was there before, when it is not said. */
  readonly passes?: (error: unknown) => boolean;
  /** Told once an outage. */
  readonly onWait: (error: unknown) => void;
}

/**
 * Does the work again while it fails for a reason that passes: the server restarts, a standby had to cancel. Gives up
 * with the last error when that goes on for `forMs` milliseconds, or when the run is stopped.
 */
export async function outlast<T>(
  { outage, forMs, stop, passes = isTransient, onWait }: OutageOptions,
  work: () => Promise<T>,
): Promise<T> {
  for (let isTold = false; ; ) {
    const triedAt = performance.now();
    try {
      const result = await work();
      outage.awaySince = null;
      return result;
    } catch (error) {
      if (!passes(error)) outage.awaySince = null;
      if (!passes(error) || stop.aborted) throw error;
      const now = performance.now();
      // Work that went well for a while before it failed begins a new outage.
      if (outage.awaySince === null || now - triedAt > workedMs) outage.awaySince = now;
      if (now - outage.awaySince > forMs) throw error;
      if (!isTold) onWait(error);
      isTold = true;
      await delay(pauseMs, undefined, { signal: stop }).catch(() => {});
      if (stop.aborted) throw error;
    }
  }
}

/** A server that is there and takes no work for a moment; one that was never reached may be a mistake in its address. */
export function isBusyStarting(error: unknown): boolean {
  return isTransient(error) && /^(?:57P0|40)/.test(errorCode(error) ?? '');
}
