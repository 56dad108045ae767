import type { Failure } from '../errors.ts';
import type { EventListener } from './events.ts';
import type { Outcome, SkipReason } from './outcome.ts';
import type { ErrorReader } from './place.ts';
import type { Tenant } from './tenant.ts';

interface Open {
  startedAt: number;
  step: string | null;
}

/** Keeps exactly one outcome per tenant. The first word about a tenant stands; later ones are ignored. */
export class OutcomeBook<V> {
  readonly #outcomes = new Map<Tenant, Outcome<V>>();
  readonly #open = new Map<Tenant, Open>();
  readonly #emit: EventListener;
  readonly #errors: ErrorReader;

  constructor(emit: EventListener, errors: ErrorReader) {
    this.#emit = emit;
    this.#errors = errors;
  }

  isSettled(tenant: Tenant): boolean {
    return this.#outcomes.has(tenant);
  }

  /** Begun and not settled: in the middle. */
  isStarted(tenant: Tenant): boolean {
    return this.#open.has(tenant);
  }

  get(tenant: Tenant): Outcome<V> | undefined {
    return this.#outcomes.get(tenant);
  }

  start(tenant: Tenant): void {
    if (this.#open.has(tenant)) return;
    this.#open.set(tenant, { startedAt: performance.now(), step: null });
    this.#emit({ type: 'started', tenant });
  }

  /** It got no turn after all: unless a step was named, nothing of it was touched. */
  giveBack(tenant: Tenant): void {
    if (this.#open.get(tenant)?.step === null) this.#open.delete(tenant);
  }

  step(tenant: Tenant, step: string): void {
    const open = this.#open.get(tenant);
    if (open === undefined || this.isSettled(tenant)) return;
    open.step = step;
    this.#emit({ type: 'step', tenant, step });
  }

  done(tenant: Tenant, value: V, finding: boolean | undefined): void {
    const outcome = { tenant, status: 'done', value, durationMs: this.#elapsed(tenant) } as const;
    this.#settle(finding === undefined ? outcome : { ...outcome, finding });
  }

  /** Null when an earlier word about this tenant stands. */
  failed(tenant: Tenant, error: unknown): Failure | null {
    if (this.isSettled(tenant)) return null;
    const failure = this.#errors.toFailure(error, tenant);
    const step = this.#open.get(tenant)?.step ?? null;
    this.#settle({ tenant, status: 'failed', step, error: failure, durationMs: this.#elapsed(tenant) });
    return failure;
  }

  interrupted(tenant: Tenant, error?: unknown): void {
    const step = this.#open.get(tenant)?.step ?? null;
    const outcome = { tenant, status: 'interrupted', step, durationMs: this.#elapsed(tenant) } as const;
    this.#settle(error === undefined ? outcome : { ...outcome, error: this.#errors.toFailure(error, tenant) });
  }

  skipped(tenant: Tenant, reason: SkipReason, because?: string): void {
    const outcome = { tenant, status: 'skipped', reason, durationMs: 0 } as const;
    this.#settle(because === undefined ? outcome : { ...outcome, because });
  }

  #elapsed(tenant: Tenant): number {
    const open = this.#open.get(tenant);
    return open === undefined ? 0 : Math.round(performance.now() - open.startedAt);
  }

  #settle(outcome: Outcome<V>): void {
    if (this.isSettled(outcome.tenant)) return;
    this.#outcomes.set(outcome.tenant, outcome);
    this.#open.delete(outcome.tenant);
    this.#emit({ type: 'settled', outcome });
  }
}
