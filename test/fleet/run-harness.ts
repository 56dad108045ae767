import { vi } from 'vitest';
import type { Interrupts } from '../../src/context.ts';
import { TenantError } from '../../src/errors.ts';
import type { RunEvent } from '../../src/fleet/events.ts';
import type { Outcome } from '../../src/fleet/outcome.ts';
import type { Batch, ErrorReader, Place } from '../../src/fleet/place.ts';
import { type FleetRun, runFleet } from '../../src/fleet/run.ts';
import type { Tenant } from '../../src/fleet/tenant.ts';

/** The database cannot be reached. */
export class ConnectionLost extends Error {}
/** The server has no connection left: PostgreSQL's 53300. */
export class NoConnectionLeft extends Error {}

/** What src/postgres tells the executor about errors, without PostgreSQL. */
export const errorReader: ErrorReader = {
  kind: (error) => {
    if (error instanceof ConnectionLost) return 'connection';
    return error instanceof NoConnectionLeft ? 'too-many-connections' : 'other';
  },
  toFailure: (error) => (error instanceof TenantError ? error.failure : { message: (error as Error).message }),
};

export function makeTenants(
  count: number,
  where: { server?: string; database?: string; prefix?: string } = {},
): Tenant[] {
  const { server = 'main', database = 'saas', prefix = 't' } = where;
  return Array.from({ length: count }, (_, index): Tenant => {
    const id = `${prefix}${index}`;
    return { id, server, database, schema: `tenant_${id}`, labels: {}, searchPath: [`tenant_${id}`], role: null };
  });
}

/** A place whose batches hold one tenant each, unless said otherwise; what is not said does nothing. */
export function makePlace(
  tenants: readonly Tenant[],
  parts: Pick<Place, 'work'> & Partial<Place> & { readonly size?: number },
): Place {
  const { size = 1, ...rest } = parts;
  return {
    server: tenants[0]?.server ?? 'main',
    database: tenants[0]?.database ?? 'saas',
    tenants,
    batches: () => cut(tenants, size),
    ...rest,
  };
}

export function cut(tenants: readonly Tenant[], size: number): Batch[] {
  const batches: Batch[] = [];
  for (let start = 0; start < tenants.length; start += size) {
    batches.push({ tenants: tenants.slice(start, start + size) });
  }
  return batches;
}

/** The three steps of an interruption, by hand. Each implies the ones before it, as with real signals. */
export class Brakes {
  readonly #stop = new AbortController();
  readonly #cancel = new AbortController();
  readonly #abandon = new AbortController();
  readonly interrupts: Interrupts = {
    stop: this.#stop.signal,
    cancel: this.#cancel.signal,
    abandon: this.#abandon.signal,
  };

  stop(): void {
    this.#stop.abort();
  }

  cancel(): void {
    this.stop();
    this.#cancel.abort();
  }

  abandon(): void {
    this.cancel();
    this.#abandon.abort();
  }
}

export interface StartedRun {
  readonly events: readonly RunEvent[];
  readonly brakes: Brakes;
  readonly outcomes: Promise<Outcome[]>;
}

type RunOptions = Partial<Omit<FleetRun<unknown>, 'policy' | 'places' | 'limits'>> & {
  readonly policy?: Partial<FleetRun<unknown>['policy']>;
  readonly limits?: Partial<FleetRun<unknown>['limits']['fleet']>;
  readonly perServer?: ReadonlyMap<string, number>;
  readonly perDatabase?: ReadonlyMap<string, number>;
  /** Looks at each event, and may throw. */
  readonly listen?: (event: RunEvent, brakes: Brakes) => void;
};

/** Starts a run over places; limits are wide and nothing brakes unless said otherwise. */
export function startRun(places: readonly Place[], options: RunOptions = {}): StartedRun {
  const { policy, limits, perServer = new Map(), perDatabase = new Map(), listen, ...rest } = options;
  const events: RunEvent[] = [];
  const brakes = new Brakes();
  const outcomes = runFleet<unknown>({
    phase: 'testing',
    tenants: places.flatMap(({ tenants }) => tenants),
    places,
    limits: { fleet: { concurrency: 1000, perServer: 1000, perDatabase: 1000, ...limits }, perServer, perDatabase },
    policy: { maxFailures: null, maxSameCause: null, ...policy },
    timeoutMs: null,
    errors: errorReader,
    interrupts: brakes.interrupts,
    emit: (event) => {
      events.push(event);
      listen?.(event, brakes);
    },
    ...rest,
  });
  return { events, brakes, outcomes };
}

/** `{ t0: 'done', t1: 'failed' }` */
export function statuses(outcomes: readonly Outcome[]): Record<string, string> {
  return Object.fromEntries(outcomes.map(({ tenant, status }) => [tenant.id, status]));
}

/** How many outcomes there are of each status. */
export function tally(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of outcomes) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

export function outcomeOf(outcomes: readonly Outcome[], id: string): Outcome {
  const outcome = outcomes.find(({ tenant }) => tenant.id === id);
  if (outcome === undefined) throw new Error(`no outcome for ${id}`);
  return outcome;
}

/** What the run warned of. */
export function notices(events: readonly RunEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'notice' && event.level === 'warning' ? [event.message] : []));
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Never ends by itself; rejects when `signal` is aborted. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Fakes the executor's clock; setImmediate stays real. Call `vi.useRealTimers()` after the test. */
export function fakeClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
}

/** Lets the faked clock run from timer to timer until the promise is settled. */
export async function runClockUntil<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  const mark = () => {
    settled = true;
  };
  promise.then(mark, mark);
  while (!settled) {
    await nextTurn();
    if (!settled) await vi.advanceTimersToNextTimerAsync();
  }
  return promise;
}
