import { type Failure, TenantError } from '../errors.ts';
import { formatDuration } from './duration.ts';
import type { Occupancy } from './limits.ts';
import type { OutcomeBook } from './outcome-book.ts';
import type { Batch, ErrorReader, Place, Task } from './place.ts';
import { placeKey, type Tenant } from './tenant.ts';

/** Attempts to get a connection from a server that has none left, before its tenants fail. */
const maxBusyTries = 6;
const firstBusyPauseMs = 250;
/** How the server says that it ended a statement because we asked it to. */
const queryCanceled = '57014';
/** A longer timer would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

interface QueuedBatch {
  readonly batch: Batch;
  readonly busyTries: number;
  /** Why it is here again. */
  readonly error?: unknown;
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
  /** Shared by the waves of a run. */
  readonly occupancy: Occupancy;
  readonly book: OutcomeBook<V>;
  readonly errors: ErrorReader;
  readonly stop: AbortSignal;
  readonly cancel: AbortSignal;
  /** Milliseconds for each tenant of a batch; null: no limit of ours. */
  readonly timeoutMs: number | null;
  readonly onFailed: (tenant: Tenant, failure: Failure) => void;
  readonly notice: (message: string) => void;
}

/**
 * Works through the places of one wave: a pump that starts whatever has room, each time something ends.
 * Resolves when every tenant is settled, or when `stop` was given and what ran has ended.
 */
export class Wave<V> {
  readonly #options: WaveOptions<V>;
  /** Those that are not closed yet. */
  #places: PlaceState<V>[];
  readonly #occupancy: Occupancy;
  readonly #finished = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WaveOptions<V>) {
    this.#options = options;
    this.#occupancy = options.occupancy;
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
    this.#places = this.#places.filter(({ state }) => state !== 'closed');
    if (this.#places.length === 0) this.#finished.resolve();
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

  /** What was not begun is left alone; a batch that failed and was to be tried again was in the middle. */
  #dropQueue(place: PlaceState<V>): void {
    const { book } = this.#options;
    for (const { batch, error } of place.queue.splice(0)) {
      for (const tenant of batch.tenants) if (book.isStarted(tenant)) book.interrupted(tenant, error);
    }
    if (place.state === 'waiting') place.state = 'closed';
  }

  async #open(place: PlaceState<V>): Promise<void> {
    place.state = 'opening';
    const { server, tenants } = place.place;
    const halvings = this.#occupancy.halvings(server);
    this.#occupancy.take(server, place.key, 1);
    try {
      place.scope = await place.place.open?.(this.#options.cancel);
      // From here on it is closed again, whatever happens.
      place.state = 'open';
      place.queue = place.place.batches(place.scope).map((batch) => ({ batch, busyTries: 0 }));
    } catch (error) {
      if (place.state === 'opening') {
        const again = this.#retryBusy(place, place.busyTries, halvings, error);
        place.state = again ? 'waiting' : 'closed';
        place.busyTries += 1;
      }
      // When running work is being cancelled, none of them was begun.
      if (place.state !== 'waiting' && !this.#options.cancel.aborted) this.#failAll(tenants, error);
    } finally {
      this.#occupancy.giveBack(server, place.key, 1);
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
    const { book, cancel } = this.#options;
    const { server } = place.place;
    const halvings = this.#occupancy.halvings(server);
    this.#occupancy.take(server, place.key, connections);
    place.running += 1;
    const timeout = this.#timeout(batch);
    try {
      for (const tenant of batch.tenants) book.start(tenant);
      await place.place.work(place.scope, batch, this.#task(timeout.signal));
      if (!cancel.aborted) this.#failAll(batch.tenants, forgotten());
    } catch (error) {
      this.#settleAfter(error, place, queued, { halvings, timedOut: timeout.expired() });
    } finally {
      timeout.clear();
      place.running -= 1;
      this.#occupancy.giveBack(server, place.key, connections);
      this.#pump();
    }
  }

  /** What an error that was not about one tenant means for those of the batch that have no outcome yet. */
  #settleAfter(
    error: unknown,
    place: PlaceState<V>,
    { batch, busyTries }: QueuedBatch,
    { halvings, timedOut }: { readonly halvings: number; readonly timedOut: boolean },
  ): void {
    const { book, cancel, errors } = this.#options;
    const rest = batch.tenants.filter((tenant) => !book.isSettled(tenant));
    if (rest.length === 0) return;
    if (this.#retryBusy(place, busyTries, halvings, error)) {
      for (const tenant of rest) book.giveBack(tenant);
      place.queue.push({ batch: { ...batch, tenants: rest }, busyTries: busyTries + 1, error });
    } else if (cancel.aborted) {
      for (const tenant of rest) book.interrupted(tenant, error);
    } else if (rest.length > 1 && errors.kind(error) === 'other') {
      place.queue.unshift(...halve(rest).map((tenants) => ({ batch: { ...batch, tenants }, busyTries, error })));
    } else {
      for (const tenant of rest) this.#fail(tenant, timedOut ? this.#timedOut(batch, tenant, error) : error);
    }
  }

  /** A server without free connections gets fewer of ours, and the tenants another turn later. */
  #retryBusy(place: PlaceState<V>, tries: number, halvings: number, error: unknown): boolean {
    const { errors, notice, stop } = this.#options;
    if (errors.kind(error) !== 'too-many-connections') return false;
    // Back to the queue that is dropped then: nothing of them was touched.
    if (stop.aborted) return true;
    if (tries >= maxBusyTries) return false;
    const { server } = place.place;
    const limit = this.#occupancy.halveServer(server, halvings);
    if (limit !== null) notice(`server ${server} has no free connections: going on with ${limit} at once`);
    // Jitter, so that several runs that met at a full server do not meet again.
    place.notBefore = performance.now() + firstBusyPauseMs * 2 ** tries * (0.5 + Math.random() / 2);
    return true;
  }

  #fail(tenant: Tenant, error: unknown): void {
    const failure = this.#options.book.failed(tenant, error);
    if (failure !== null) this.#options.onFailed(tenant, failure);
  }

  /** Those that have an outcome keep it. */
  #failAll(tenants: readonly Tenant[], error: unknown): void {
    for (const tenant of tenants) this.#fail(tenant, error);
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
    const delayMs = Math.min(timeoutMs * batch.tenants.length, longestTimerMs);
    const timer = setTimeout(() => controller.abort(this.#timeoutError(batch)), delayMs);
    return {
      signal: AbortSignal.any([cancel, controller.signal]),
      clear: () => clearTimeout(timer),
      expired: () => controller.signal.aborted,
    };
  }

  #timeoutError(batch: Batch): TenantError {
    return new TenantError(this.#timeoutFailure(batch));
  }

  /** Why it ended is the timeout; where it stood, and what it left behind, only the error knows. */
  #timedOut(batch: Batch, tenant: Tenant, cause: unknown): TenantError {
    const { sqlState, ...known } = this.#options.errors.toFailure(cause, tenant);
    const failure = {
      ...known,
      ...(sqlState === undefined || sqlState === queryCanceled ? {} : { sqlState }),
      ...this.#timeoutFailure(batch),
    };
    return new TenantError(failure, { cause });
  }

  #timeoutFailure(batch: Batch): Failure {
    return {
      message: `gave up after ${formatDuration((this.#options.timeoutMs ?? 0) * batch.tenants.length)}`,
      code: 'timeout',
      hint: 'find out what took so long, or run the same command again with a longer --timeout',
    };
  }
}

function forgotten(): TenantError {
  return new TenantError({ message: 'the work ended without a word about this tenant', code: 'internal' });
}

function halve(tenants: readonly Tenant[]): readonly (readonly Tenant[])[] {
  const middle = Math.ceil(tenants.length / 2);
  return [tenants.slice(0, middle), tenants.slice(middle)];
}
