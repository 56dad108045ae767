import type { Interrupts } from '../context.ts';
import { type Failure, TenantError } from '../errors.ts';
import { causeKey } from './cause.ts';
import type { WavePlan } from './cut-waves.ts';
import type { EventListener } from './events.ts';
import { Occupancy, type RunLimits } from './limits.ts';
import { Outages } from './outages.ts';
import type { Outcome } from './outcome.ts';
import { OutcomeBook } from './outcome-book.ts';
import type { Batch, ErrorReader, Place } from './place.ts';
import type { Tenant } from './tenant.ts';
import { Wave } from './wave.ts';

/** When a run stops starting tenants. Null: never for that reason. */
export interface FailurePolicy {
  readonly maxFailures: number | null;
  /** This many tenants failed for one cause: the next would too. */
  readonly maxSameCause: number | null;
}

/** A wave that has ended, and where the run stands. */
export interface EndedWave {
  readonly name: string;
  /** From 1 on, the canary included. */
  readonly number: number;
  readonly count: number;
  /** All that are done so far in this run. */
  readonly done: readonly Tenant[];
}

/** Called when a wave has ended and another one is to come: a soak, a health check. */
export type AfterWave = (wave: EndedWave) => Promise<string | null>;

export interface FleetRun<V> {
  /** What the run does, for progress: `migrating`. */
  readonly phase: string;
  /** All tenants in the order of selection; each must live in one of the places. */
  readonly tenants: readonly Tenant[];
  /** They are worked on in this order; all in one wave when it is not said. */
  readonly waves?: readonly WavePlan[];
  /** Its answer is why the run must not go on; null: it may. */
  readonly afterWave?: AfterWave;
  readonly places: readonly Place<unknown, V>[];
  readonly limits: RunLimits;
  readonly policy: FailurePolicy;
  /** Milliseconds that a server may be away before its tenants fail; for work that asks to be tried again. */
  readonly outageMs?: number;
  readonly timeoutMs: number | null;
  readonly errors: ErrorReader;
  readonly interrupts: Interrupts;
  readonly emit: EventListener;
}

/**
 * Works through a fleet and never rejects: one outcome per tenant, in the order of selection.
 * A tenant that was not begun when the run stopped is `skipped` (`not-started`), one in the middle `interrupted`.
 */
export async function runFleet<V>(run: FleetRun<V>): Promise<Outcome<V>[]> {
  const emit = guarded(run.emit);
  const book = new OutcomeBook<V>(emit, run.errors);
  const brake = new AbortController();
  const stop = AbortSignal.any([run.interrupts.stop, run.interrupts.cancel, run.interrupts.abandon, brake.signal]);
  const failures = new FailureCounter(run.policy, (reason) => {
    emit({ type: 'notice', level: 'warning', message: reason });
    brake.abort(reason);
  });

  emit({ type: 'phase', name: run.phase, servers: countByServer(run.tenants) });
  const occupancy = new Occupancy(run.limits);
  const outages = new Outages(run.outageMs ?? 0);
  const cancel = AbortSignal.any([run.interrupts.cancel, run.interrupts.abandon]);
  const abandoned = aborted(run.interrupts.abandon);
  const notice = (message: string) => emit({ type: 'notice', level: 'warning', message });
  const waves = run.waves ?? [{ name: '', tenants: run.tenants, mustSucceed: false }];
  for (const [index, plan] of waves.entries()) {
    if (stop.aborted) break;
    if (plan.name !== '') emit({ type: 'notice', level: 'info', message: describeWave(plan) });
    const wave = new Wave<V>({
      places: restrictPlaces(run.places, new Set(plan.tenants), waves.length > 1),
      occupancy,
      outages,
      book,
      errors: run.errors,
      stop,
      cancel,
      timeoutMs: run.timeoutMs,
      onFailed: (tenant, failure) => failures.add(tenant, failure),
      notice,
    });
    await Promise.race([wave.run(), abandoned]);
    if (index === waves.length - 1 || stop.aborted) continue;
    const isDone = (tenant: Tenant) => book.get(tenant)?.status === 'done';
    if (plan.mustSucceed && !plan.tenants.every(isDone)) {
      failures.stop(`the ${plan.name} did not succeed: the other tenants were not started`);
      continue;
    }
    const done = run.tenants.filter(isDone);
    const reason = await run.afterWave?.({ name: plan.name, number: index + 1, count: waves.length, done });
    // When it was stopped meanwhile, the operator is the reason.
    if (typeof reason === 'string' && !stop.aborted) failures.stop(reason);
  }
  const outcomes = settleTheRest(run.tenants, book, stop, brake.signal);
  emit({ type: 'phase-ended', name: run.phase });
  return outcomes;
}

class FailureCounter {
  readonly #policy: FailurePolicy;
  readonly #stop: (reason: string) => void;
  readonly #causes = new Map<string, number>();
  #failures = 0;
  #stopped = false;

  constructor(policy: FailurePolicy, stop: (reason: string) => void) {
    this.#policy = policy;
    this.#stop = stop;
  }

  stop(reason: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stop(reason);
  }

  add(tenant: Tenant, failure: Failure): void {
    const { maxFailures, maxSameCause } = this.#policy;
    this.#failures += 1;
    const cause = causeKey(failure, tenant);
    const sameCause = (this.#causes.get(cause) ?? 0) + 1;
    this.#causes.set(cause, sameCause);
    if (maxSameCause !== null && sameCause >= maxSameCause) {
      this.stop(`${sameCause} tenants failed for one cause: no further tenant is started (--max-same-cause)`);
    } else if (maxFailures !== null && this.#failures >= Math.max(1, maxFailures)) {
      this.stop(`${this.#failures} tenants failed: no further tenant is started (--max-failures)`);
    }
  }
}

function describeWave({ name, tenants }: WavePlan): string {
  return `${name}: ${tenants.length === 1 ? '1 tenant' : `${tenants.length} tenants`}`;
}

function restrictPlaces<V>(
  places: readonly Place<unknown, V>[],
  tenants: ReadonlySet<Tenant>,
  partial: boolean,
): readonly Place<unknown, V>[] {
  if (!partial) return places;
  return places
    .map((place) => ({
      server: place.server,
      database: place.database,
      tenants: place.tenants.filter((tenant) => tenants.has(tenant)),
      heldConnections: place.heldConnections ?? 0,
      open: async (signal: AbortSignal) => place.open?.(signal),
      batches: (scope: unknown) =>
        place
          .batches(scope)
          .map((batch) => ({ ...batch, tenants: batch.tenants.filter((tenant) => tenants.has(tenant)) }))
          .filter((batch) => batch.tenants.length > 0),
      mayRunBeside: (batch: Batch, running: Iterable<Batch>) => place.mayRunBeside?.(batch, running) ?? true,
      work: place.work.bind(place),
      close: async (scope: unknown) => place.close?.(scope),
    }))
    .filter((place) => place.tenants.length > 0);
}

function settleTheRest<V>(
  tenants: readonly Tenant[],
  book: OutcomeBook<V>,
  stop: AbortSignal,
  brake: AbortSignal,
): Outcome<V>[] {
  const because = brake.aborted ? String(brake.reason) : undefined;
  return tenants.map((tenant) => {
    const settled = book.get(tenant);
    if (settled !== undefined) return settled;
    if (book.isStarted(tenant)) book.leave(tenant);
    else if (stop.aborted) book.skipped(tenant, 'not-started', because);
    else book.failed(tenant, new TenantError({ message: 'no batch held this tenant', code: 'internal' }));
    const outcome = book.get(tenant);
    if (outcome === undefined) throw new Error(`tenant ${tenant.id} has no outcome`);
    return outcome;
  });
}

function countByServer(tenants: readonly Tenant[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { server } of tenants) counts.set(server, (counts.get(server) ?? 0) + 1);
  return counts;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** A listener that throws must not hurt a migration. */
function guarded(emit: EventListener): EventListener {
  return (event) => {
    try {
      emit(event);
    } catch {
      // The run matters more than its picture.
    }
  };
}
