import { type Failure, TenantError } from '../errors.ts';
import { halve, type QueuedBatch } from './batch-queue.ts';
import { formatDuration } from './duration.ts';
import type { Occupancy } from './limits.ts';
import type { Outages } from './outages.ts';
import type { OutcomeBook } from './outcome-book.ts';
import type { Batch, ErrorReader, Pause, Place, RetryFacts, Task } from './place.ts';
import { beginPlace, type PlaceState } from './place-state.ts';
import type { Tenant } from './tenant.ts';
import { limitTime, timedOut } from './time-limit.ts';

/** Attempts to get a connection from a server that has none left, before its tenants fail. */
const maxBusyTries = 6;
const firstBusyPauseMs = 250;
const forgotten = { message: 'the work ended without a word about this tenant', code: 'internal' };
export interface WaveOptions<V> {
  readonly places: readonly Place<unknown, V>[];
  /** Shared by the waves of a run. */
  readonly occupancy: Occupancy;
  readonly outages: Outages;
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
    this.#places = options.places.toSorted((a, b) => b.tenants.length - a.tenants.length).map(beginPlace);
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
      if (place.state === 'open' && place.queue.isEmpty && place.running.size === 0) void this.#close(place);
      if (stopped || place.state === 'closed') continue;
      wakeAt = Math.min(wakeAt, this.#startWhatFits(place, now));
    }
    this.#wakeAt(wakeAt, now);
    this.#places = this.#places.filter(({ state }) => state !== 'closed');
    if (this.#places.length === 0) this.#finished.resolve();
  }

  /** Returns when more could start for no other reason than that time has passed. */
  #startWhatFits(place: PlaceState<V>, now: number): number {
    const { server } = place.place;
    const mayStartAt = () => Math.max(place.notBefore, this.#options.outages.mayStartAt(server, now));
    const hasRoom = (connections = 1) => this.#occupancy.hasRoom(server, place.key, connections);
    if (mayStartAt() > now) return mayStartAt();
    const mayOpen = () => this.#occupancy.hasRoomToOpen(server, place.key, place.place.heldConnections ?? 0);
    if (place.state === 'waiting' && mayOpen()) void this.#open(place);
    while (place.state === 'open' && mayStartAt() <= now) {
      const next = place.queue.take(now, (batch) => {
        return hasRoom(batch.connections) && (place.place.mayRunBeside?.(batch, place.running) ?? true);
      });
      if (next === null) break;
      void this.#work(place, next);
    }
    return Math.max(place.queue.nextDueAt(), mayStartAt());
  }

  #wakeAt(time: number, now: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    // What has been possible until now waits for something else than time.
    this.#timer = Number.isFinite(time) && time > now ? setTimeout(() => this.#pump(), Math.ceil(time - now)) : null;
  }

  /** What was not begun is left alone; a batch that failed and was to be tried again was in the middle. */
  #dropQueue(place: PlaceState<V>): void {
    const { book } = this.#options;
    for (const { batch, error } of place.queue.drain()) {
      for (const tenant of batch.tenants) if (book.isStarted(tenant)) book.leave(tenant, error);
    }
    if (place.state === 'waiting') place.state = 'closed';
  }

  async #open(place: PlaceState<V>): Promise<void> {
    place.state = 'opening';
    const { server, tenants, heldConnections: held = 0 } = place.place;
    const halvings = this.#occupancy.halvings(server);
    const connections = Math.max(1, held);
    this.#occupancy.take(server, place.key, connections);
    let isOpen = false;
    try {
      place.scope = await place.place.open?.(this.#options.cancel);
      // From here on it is closed again, whatever happens.
      place.state = 'open';
      isOpen = true;
      place.queue.push(...place.place.batches(place.scope).map((batch) => ({ batch, busyTries: 0 })));
    } catch (error) {
      if (place.state === 'opening') {
        const again = this.#retryBusy(place, place.busyTries, halvings, error);
        place.state = again ? 'waiting' : 'closed';
        place.busyTries += 1;
      }
      // When the run is being stopped, none of them was begun.
      if (place.state !== 'waiting' && !this.#options.stop.aborted) this.#failAll(tenants, error);
    } finally {
      this.#occupancy.giveBack(server, place.key, connections);
      // Held until it is closed; that takes no turn of the fleet's.
      if (isOpen) this.#occupancy.hold(server, place.key, held);
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
      const { server, heldConnections: held = 0 } = place.place;
      this.#occupancy.hold(server, place.key, -held);
      this.#pump();
    }
  }

  async #work(place: PlaceState<V>, queued: QueuedBatch): Promise<void> {
    const { batch } = queued;
    const { book, cancel, timeoutMs, outages } = this.#options;
    const { server } = place.place;
    const connections = batch.connections ?? 1;
    const began = { halvings: this.#occupancy.halvings(server), outageTries: outages.tries(server) };
    this.#occupancy.take(server, place.key, connections);
    place.running.add(batch);
    const limit = limitTime(timeoutMs, batch, cancel);
    const endOfTry = outages.begin(server);
    const putBack = new Set<Tenant>();
    try {
      for (const tenant of batch.tenants) book.start(tenant);
      await place.place.work(place.scope, batch, this.#task(place, batch, putBack, limit.signal, began.outageTries));
      const unsaid = batch.tenants.filter((tenant) => !putBack.has(tenant) && !book.isSettled(tenant));
      if (unsaid.length > 0 && !cancel.aborted) this.#failAll(unsaid, new TenantError(forgotten));
    } catch (error) {
      const isTimeUp = limit.isOver();
      this.#settleAfter(error, place, queued, putBack, { ...began, isTimeUp });
    } finally {
      limit.clear();
      endOfTry();
      place.running.delete(batch);
      this.#occupancy.giveBack(server, place.key, connections);
      this.#pump();
    }
  }

  /** What an error that was not about one tenant means for those of the batch that have no outcome yet. */
  #settleAfter(
    error: unknown,
    place: PlaceState<V>,
    queued: QueuedBatch,
    putBack: ReadonlySet<Tenant>,
    { halvings, isTimeUp }: { readonly halvings: number; readonly isTimeUp: boolean },
  ): void {
    const { book, cancel, errors, timeoutMs } = this.#options;
    const { batch, busyTries } = queued;
    const rest = batch.tenants.filter((tenant) => !book.isSettled(tenant) && !putBack.has(tenant));
    if (rest.length === 0) return;
    if (errors.kind(error) === 'other') this.#reached(place);
    if (this.#retryBusy(place, busyTries, halvings, error)) {
      for (const tenant of rest) book.giveBack(tenant);
      place.queue.push({ batch: { ...batch, tenants: rest }, busyTries: busyTries + 1, error });
    } else if (cancel.aborted) {
      for (const tenant of rest) book.interrupted(tenant, error);
    } else if (rest.length > 1 && errors.kind(error) === 'other') {
      place.queue.unshift(...halve(queued, rest, error));
    } else {
      const reason = (tenant: Tenant) => timedOut(timeoutMs ?? 0, batch, errors.toFailure(error, tenant), error);
      for (const tenant of rest) this.#fail(tenant, isTimeUp ? reason(tenant) : error);
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

  #task(place: PlaceState<V>, batch: Batch, putBack: Set<Tenant>, signal: AbortSignal, outageTries: number): Task<V> {
    const { book, stop } = this.#options;
    const requeue = (tenant: Tenant, again: Batch, dueAt: number, error?: unknown, facts: RetryFacts = {}) => {
      if (book.isSettled(tenant)) return;
      putBack.add(tenant);
      book.putBack(tenant, error, facts);
      // The queue was dropped when the run was stopped.
      if (stop.aborted) book.leave(tenant, error);
      else place.queue.pushLater({ batch: again, busyTries: 0, error }, dueAt);
    };
    return {
      signal,
      stop,
      step: (tenant, step) => book.step(tenant, step),
      done: (tenant, value, options) => {
        this.#reached(place);
        book.done(tenant, value, options?.finding);
      },
      failed: (tenant, error) => this.#fail(tenant, error),
      notStarted: (tenant) => book.skipped(tenant, 'not-started'),
      retry: (tenant, error, pause, facts) => {
        const dueAt = this.#endOfPause(place, pause, outageTries, error);
        if (dueAt === null) this.#fail(tenant, error);
        else requeue(tenant, { ...batch, tenants: [tenant] }, dueAt, error, facts);
      },
      goOn: (tenant, lanes) => {
        this.#reached(place);
        requeue(tenant, { ...batch, tenants: [tenant], lanes }, performance.now());
      },
      blocked: (tenant, blockers) => book.blocked(tenant, blockers),
    };
  }

  /** Null: the server has been away for too long. */
  #endOfPause(place: PlaceState<V>, pause: Pause, outageTries: number, error: unknown): number | null {
    const now = performance.now();
    const { server } = place.place;
    if (pause.of === 'tenant') {
      this.#reached(place);
      return now + pause.ms;
    }
    const { outages, notice, errors } = this.#options;
    const pauseMs = outages.lost(server, outageTries, now);
    if (pauseMs !== null && pauseMs > 0) {
      const reason = errors.toFailure(error, place.place.tenants[0] as Tenant).message;
      notice(`server ${server}: ${reason}; trying again in ${formatDuration(Math.ceil(pauseMs))}`);
    }
    return pauseMs === null ? null : now;
  }

  #reached(place: PlaceState<V>): void {
    this.#options.outages.over(place.place.server);
  }
}
