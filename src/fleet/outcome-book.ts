import type { Failure } from '../errors.ts';
import type { EventListener } from './events.ts';
import type { Blocker, Outcome, SkipReason } from './outcome.ts';
import type { ErrorReader, RetryFacts } from './place.ts';
import type { Tenant } from './tenant.ts';

interface Open {
  readonly startedAt: number;
  step: string | null;
  attempts: number;
  inQueue: boolean;
  /** What it was put back after came to its work, and failed. */
  wasAttempt: boolean;
  /** Why it waits for another attempt; null while it is worked on. */
  failedBy: Failure | null;
  /** The attempts so far left nothing behind. */
  isUntouched: boolean;
  /** The last that were seen. */
  blockedBy: readonly Blocker[];
  isBlocked: boolean;
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
    const open = this.#open.get(tenant);
    if (open === undefined) {
      const startedAt = performance.now();
      const fresh = {
        step: null,
        attempts: 1,
        inQueue: false,
        wasAttempt: false,
        failedBy: null,
        blockedBy: [],
        isBlocked: false,
      };
      this.#open.set(tenant, { startedAt, isUntouched: true, ...fresh });
    } else {
      if (!open.inQueue) return;
      if (open.wasAttempt) open.attempts += 1;
      open.inQueue = false;
      open.wasAttempt = false;
      open.failedBy = null;
    }
    this.#emit({ type: 'started', tenant });
  }

  /** Back in the queue; with an error: the one that ended its attempt. */
  putBack(tenant: Tenant, error?: unknown, { isUntouched = true, isAttempt = true }: RetryFacts = {}): void {
    const open = this.#open.get(tenant);
    if (open === undefined) return;
    open.inQueue = true;
    open.isUntouched = isUntouched;
    if (error !== undefined) open.failedBy = this.#errors.toFailure(error, tenant);
    open.wasAttempt = error !== undefined && isAttempt;
    this.#emit({ type: 'put-back', tenant });
  }

  /** Says who keeps it waiting; who was the last is told with its outcome. */
  blocked(tenant: Tenant, blockers: readonly Blocker[]): void {
    const open = this.#open.get(tenant);
    if (open === undefined || (blockers.length === 0 && !open.isBlocked)) return;
    open.isBlocked = blockers.length > 0;
    if (open.isBlocked) open.blockedBy = blockers;
    this.#emit({ type: 'blocked', tenant, blockers });
  }

  /** It got no turn after all: unless a step was named, nothing of it was touched. */
  giveBack(tenant: Tenant): void {
    const open = this.#open.get(tenant);
    if (open === undefined) return;
    if (open.step === null && open.attempts === 1) this.#open.delete(tenant);
    else open.inQueue = true;
    this.#emit({ type: 'put-back', tenant });
  }

  /** The run ends before it does: it was in the middle, or it waited and nothing of it stays. */
  leave(tenant: Tenant, error?: unknown): void {
    const { failedBy = null, isUntouched = false } = this.#open.get(tenant) ?? {};
    if (failedBy === null || !isUntouched) this.interrupted(tenant, error);
    else this.skipped(tenant, 'not-started', `it waited for another try: ${failedBy.message}`);
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

  #settle(bare: Outcome<V>): void {
    if (this.isSettled(bare.tenant)) return;
    const { attempts = 1, blockedBy = [] } = this.#open.get(bare.tenant) ?? {};
    const outcome = {
      ...bare,
      ...(attempts > 1 ? { attempts } : {}),
      ...(blockedBy.length > 0 ? { blockedBy } : {}),
    };
    this.#outcomes.set(outcome.tenant, outcome);
    this.#open.delete(outcome.tenant);
    this.#emit({ type: 'settled', outcome });
  }
}
