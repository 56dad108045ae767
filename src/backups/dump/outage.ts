import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, isTransient } from '../../postgres/sqlstates.ts';

const pauseMs = 1000;
/** An attempt that takes longer than a refusal had its server. */
const workedMs = 30_000;

export interface Outage {
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
  { forMs, stop, passes = isTransient, onWait }: Outage,
  work: () => Promise<T>,
): Promise<T> {
  let awaySince: number | null = null;
  for (;;) {
    const triedAt = performance.now();
    try {
      return await work();
    } catch (error) {
      const now = performance.now();
      // Work that went well for a while before it failed begins a new outage.
      const isNew: boolean = awaySince === null || now - triedAt > workedMs;
      awaySince = isNew ? now : awaySince;
      if (!passes(error) || stop.aborted || now - (awaySince ?? now) > forMs) throw error;
      if (isNew) onWait(error);
      await delay(pauseMs, undefined, { signal: stop }).catch(() => {});
      if (stop.aborted) throw error;
    }
  }
}

/** A server that is there and takes no work for a moment; one that was never reached may be a mistake in its address. */
export function isBusyStarting(error: unknown): boolean {
  return isTransient(error) && /^(?:57P0|40)/.test(errorCode(error) ?? '');
}
