import { Occupancy, type RunLimits } from './limits.ts';
import type { OutcomeBook } from './outcome-book.ts';
import type { Batch, ErrorReader, Place, Task } from './place.ts';
import { placeKey, type Tenant } from './tenant.ts';

/** Attempts to get a connection from a server that has none left, before its tenants fail. */
const maxBusyTries = 6;
const firstBusyPauseMs = 250;

interface QueuedBatch {
  readonly batch: Batch;
  readonly busyTries: number;
}

interface PlaceState<V> {
  readonly place: Place<unknown, V>;
  readonly key: string;
  state: 'waiting' | 'opening' | 'open' | 'closing' | 'closed';
  scope: unknown;
  queue: QueuedBatch[];
  running: number;
  busyTries: number;
  /** performance.now() before which nothing starts here. */
  notBefore: number;
}

export interface WaveOptions<V> {
  readonly places: readonly Place<unknown, V>[];
  readonly limits: RunLimits;
  readonly book: OutcomeBook<V>;
  readonly errors: ErrorReader;
  readonly stop: AbortSignal;
  readonly cancel: AbortSignal;
  /** Milliseconds for each tenant of a batch; null: no limit of ours. */
  readonly timeoutMs: number | null;
  readonly onFailed: (tenant: Tenant) => void;
  readonly notice: (message: string) => void;
}

/**
 * Works through the places of one wave: a pump that starts whatever has room, each time something ends.
 * Resolves when every tenant is settled, or when `stop` was given and what ran has ended.
 */
export class Wave<V> {
  readonly #options: WaveOptions<V>;
  readonly #places: PlaceState<V>[];
  readonly #occupancy: Occupancy;
  readonly #finished = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WaveOptions<V>) {
    this.#options = options;
    this.#occupancy = new Occupancy(options.limits);
    // Largest first: the place that takes longest must not be the last to start.
    this.#places = options.places
      .toSorted((a, b) => b.tenants.length - a.tenants.length)
      .map((place) => ({
        place,
        key: placeKey(place),
        state: 'waiting',
        scope: undefined,
        queue: [],
        running: 0,
        busyTries: 0,
        notBefore: 0,
      }));
  }

  async run(): Promise<void> {
    const pump = () => this.#pump();
    this.#options.stop.addEventListener('abort', pump);
    try {
      this.#pump();
      await this.#finished.promise;
    } finally {
      this.#options.stop.removeEventListener('abort', pump);
      if (this.#timer !== null) clearTimeout(this.#timer);
    }
  }

  #pump(): void {
    const stopped = this.#options.stop.aborted;
    const now = performance.now();
    let wakeAt = Number.POSITIVE_INFINITY;
    for (const place of this.#places) {
      if (stopped) this.#dropQueue(place);
      if (place.state === 'open' && place.queue.length === 0 && place.running === 0) void this.#close(place);
      if (stopped || place.state === 'closed') continue;
      if (place.notBefore > now) wakeAt = Math.min(wakeAt, place.notBefore);
      else this.#startWhatFits(place);
    }
    this.#wakeAt(wakeAt, now);
    if (this.#places.every(({ state }) => state === 'closed')) this.#finished.resolve();
  }

  #startWhatFits(place: PlaceState<V>): void {
    const { server } = place.place;
    if (place.state === 'waiting' && this.#occupancy.hasRoom(server, place.key, 1)) void this.#open(place);
    while (place.state === 'open') {
      const connections = place.queue[0]?.batch.connections ?? 1;
      if (place.queue.length === 0 || !this.#occupancy.hasRoom(server, place.key, connections)) return;
      const next = place.queue.shift();
      if (next !== undefined) void this.#work(place, next, connections);
    }
  }

  #wakeAt(time: number, now: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = Number.isFinite(time) ? setTimeout(() => this.#pump(), Math.ceil(time - now)) : null;
  }

  #dropQueue(place: PlaceState<V>): void {
    place.queue = [];
    if (place.state === 'waiting') place.state = 'closed';
  }

  async #open(place: PlaceState<V>): Promise<void> {
    place.state = 'opening';
    this.#occupancy.take(place.place.server, place.key, 1);
    try {
      place.scope = await place.place.open?.(this.#options.cancel);
      place.queue = place.place.batches(place.scope).map((batch) => ({ batch, busyTries: 0 }));
      place.state = 'open';
    } catch (error) {
      place.state = this.#retryBusy(place, place.busyTries, error) ? 'waiting' : 'closed';
      place.busyTries += 1;
      if (place.state === 'closed') for (const tenant of place.place.tenants) this.#fail(tenant, error);
    } finally {
      this.#occupancy.giveBack(place.place.server, place.key, 1);
      this.#pump();
    }
  }

  async #close(place: PlaceState<V>): Promise<void> {
    place.state = 'closing';
    try {
      await place.place.close?.(place.scope);
    } catch (error) {
      this.#options.notice(`closing ${place.place.database}: ${String(error)}`);
    } finally {
      place.state = 'closed';
      this.#pump();
    }
  }

  async #work(place: PlaceState<V>, queued: QueuedBatch, connections: number): Promise<void> {
    const { batch } = queued;
    const { book } = this.#options;
    this.#occupancy.take(place.place.server, place.key, connections);
    place.running += 1;
    const timeout = this.#timeout(batch);
    try {
      for (const tenant of batch.tenants) book.start(tenant);
      await place.place.work(place.scope, batch, this.#task(timeout.signal));
      for (const tenant of batch.tenants) {
        if (!book.isSettled(tenant)) this.#fail(tenant, new Error('the work ended without a word about this tenant'));
      }
    } catch (error) {
      this.#settleAfter(error, place, queued, timeout.expired());
    } finally {
      timeout.clear();
      place.running -= 1;
      this.#occupancy.giveBack(place.place.server, place.key, connections);
      this.#pump();
    }
  }

  /** What an error that was not about one tenant means for those of the batch that have no outcome yet. */
  #settleAfter(error: unknown, place: PlaceState<V>, { batch, busyTries }: QueuedBatch, timedOut: boolean): void {
    const { book, cancel, errors } = this.#options;
    const rest = batch.tenants.filter((tenant) => !book.isSettled(tenant));
    if (cancel.aborted) {
      for (const tenant of rest) book.interrupted(tenant, error);
    } else if (!timedOut && this.#retryBusy(place, busyTries, error)) {
      place.queue.push({ batch: { ...batch, tenants: rest }, busyTries: busyTries + 1 });
    } else if (!timedOut && rest.length > 1 && errors.kind(error) === 'other') {
      const half = Math.ceil(rest.length / 2);
      for (const tenants of [rest.slice(0, half), rest.slice(half)]) {
        place.queue.unshift({ batch: { ...batch, tenants }, busyTries });
      }
    } else {
      for (const tenant of rest) this.#fail(tenant, error);
    }
  }

  /** A server without free connections gets fewer of ours, and the tenants another turn later. */
  #retryBusy(place: PlaceState<V>, tries: number, error: unknown): boolean {
    if (this.#options.errors.kind(error) !== 'too-many-connections') return false;
    if (tries >= maxBusyTries || this.#options.stop.aborted) return false;
    const { server } = place.place;
    const limit = this.#occupancy.halveServer(server);
    this.#options.notice(`server ${server} has no free connections: going on with ${limit} at once`);
    // Jitter, so that several runs that met at a full server do not meet again.
    place.notBefore = performance.now() + firstBusyPauseMs * 2 ** tries * (0.5 + Math.random() / 2);
    return true;
  }

  #fail(tenant: Tenant, error: unknown): void {
    this.#options.book.failed(tenant, error);
    this.#options.onFailed(tenant);
  }

  #task(signal: AbortSignal): Task<V> {
    const { book, stop } = this.#options;
    return {
      signal,
      stop,
      step: (tenant, step) => book.step(tenant, step),
      done: (tenant, value, options) => book.done(tenant, value, options?.finding),
      failed: (tenant, error) => this.#fail(tenant, error),
      notStarted: (tenant) => book.skipped(tenant, 'not-started'),
    };
  }

  #timeout(batch: Batch) {
    const { cancel, timeoutMs } = this.#options;
    if (timeoutMs === null) return { signal: cancel, clear: () => {}, expired: () => false };
    const controller = new AbortController();
    const timer = setTimeout(
      () => controller.abort(new Error('the time for this tenant is up')),
      timeoutMs * batch.tenants.length,
    );
    return {
      signal: AbortSignal.any([cancel, controller.signal]),
      clear: () => clearTimeout(timer),
      expired: () => controller.signal.aborted,
    };
  }
}
