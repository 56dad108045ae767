import type { Batch } from './place.ts';
import type { Tenant } from './tenant.ts';

export interface QueuedBatch {
  readonly batch: Batch;
  /** How often the server had no connection for it. */
  readonly busyTries: number;
  /** Why it is here again. */
  readonly error?: unknown;
}

/** The two halves of a batch that failed as a whole. */
export function halve({ batch, busyTries }: QueuedBatch, tenants: readonly Tenant[], error: unknown): QueuedBatch[] {
  const middle = Math.ceil(tenants.length / 2);
  const halves = [tenants.slice(0, middle), tenants.slice(middle)];
  return halves.map((half) => ({ batch: { ...batch, tenants: half }, busyTries, error }));
}

interface Delayed {
  readonly queued: QueuedBatch;
  /** performance.now() at which it may start. */
  readonly dueAt: number;
}

/** The batches of one place that are to be worked on: some at once, others after a pause. */
export class BatchQueue {
  #ready: QueuedBatch[] = [];
  #delayed: Delayed[] = [];

  get isEmpty(): boolean {
    return this.#ready.length === 0 && this.#delayed.length === 0;
  }

  push(...batches: readonly QueuedBatch[]): void {
    this.#ready.push(...batches);
  }

  /** In front of all others. */
  unshift(...batches: readonly QueuedBatch[]): void {
    this.#ready.unshift(...batches);
  }

  /** At the back of the queue, once its pause is over. */
  pushLater(queued: QueuedBatch, dueAt: number): void {
    this.#delayed.push({ queued, dueAt });
  }

  /** Takes out the first one that may start now. */
  take(now: number, mayStart: (batch: Batch) => boolean): QueuedBatch | null {
    this.#wake(now);
    const index = this.#ready.findIndex(({ batch }) => mayStart(batch));
    return index === -1 ? null : (this.#ready.splice(index, 1)[0] ?? null);
  }

  /** When the next pause is over; Infinity when nobody pauses. */
  nextDueAt(): number {
    return this.#delayed.reduce((least, { dueAt }) => Math.min(least, dueAt), Number.POSITIVE_INFINITY);
  }

  /** Empties the queue. */
  drain(): readonly QueuedBatch[] {
    const all = [...this.#ready, ...this.#delayed.map(({ queued }) => queued)];
    this.#ready = [];
    this.#delayed = [];
    return all;
  }

  #wake(now: number): void {
    if (this.#delayed.length === 0) return;
    const due = this.#delayed.filter(({ dueAt }) => dueAt <= now).toSorted((a, b) => a.dueAt - b.dueAt);
    if (due.length === 0) return;
    this.#delayed = this.#delayed.filter(({ dueAt }) => dueAt > now);
    this.#ready.push(...due.map(({ queued }) => queued));
  }
}
