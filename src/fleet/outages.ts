const firstPauseMs = 250;
const longestPauseMs = 15_000;

interface Outage {
  readonly beganAt: number;
  /** Attempts that failed since; all that failed together are one. */
  tries: number;
  pausedUntil: number;
  /** One batch is finding out whether the server is back. */
  isTried: boolean;
}

/**
 * Servers whose connections were lost in the middle of a run: nothing starts on them during a pause, then one batch at
 * a time, until one gets through. A restart or a failover costs a pause, and a server that is gone no storm of attempts.
 */
export class Outages {
  readonly #giveUpAfterMs: number;
  readonly #outages = new Map<string, Outage>();

  /** How long a server may be away before its tenants fail. */
  constructor(giveUpAfterMs: number) {
    this.#giveUpAfterMs = giveUpAfterMs;
  }

  /** How many attempts have failed on a server; a batch notes it when it begins. */
  tries(server: string): number {
    return this.#outages.get(server)?.tries ?? 0;
  }

  /**
   * A batch lost its connection that began when `seen` attempts had failed. Returns the pause that begins with it in
   * milliseconds, 0 when another one has begun it, and null when the server has been away for too long.
   */
  lost(server: string, seen: number, now: number): number | null {
    const outage = this.#outages.get(server) ?? { beganAt: now, tries: 0, pausedUntil: 0, isTried: false };
    if (now - outage.beganAt >= this.#giveUpAfterMs) return null;
    this.#outages.set(server, outage);
    if (outage.tries !== seen) return 0;
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** outage.tries) * (0.75 + Math.random() / 4);
    outage.tries += 1;
    outage.pausedUntil = now + pauseMs;
    return pauseMs;
  }

  /** A batch got through. */
  over(server: string): void {
    this.#outages.delete(server);
  }

  /** When something may start on a server: at once, after the pause, or when the one that tries has ended. */
  mayStartAt(server: string, now: number): number {
    const outage = this.#outages.get(server);
    if (outage === undefined) return now;
    return outage.isTried ? Number.POSITIVE_INFINITY : outage.pausedUntil;
  }

  /** A batch starts. Until the returned function is called, no other one does while the server may be away. */
  begin(server: string): () => void {
    const outage = this.#outages.get(server);
    if (outage === undefined) return () => {};
    outage.isTried = true;
    return () => {
      outage.isTried = false;
    };
  }
}
