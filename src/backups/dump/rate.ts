import { setTimeout as delay } from 'node:timers/promises';

/** How much may pile up unused, in milliseconds: a pause earns no more than this. */
const burstMs = 250;

/** Slows readers down to so many bytes a second, all of them together. */
export class RateLimit {
  readonly #bytesPerMs: number;
  /** performance.now() at which what was taken so far is paid for. */
  #paidAt = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Resolves when the bytes may pass. Aborted: at once. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    this.#paidAt = Math.max(this.#paidAt, now - burstMs) + bytes / this.#bytesPerMs;
    const waitMs = this.#paidAt - now;
    if (waitMs > 1) await delay(waitMs, undefined, { signal }).catch(() => {});
  }
}
