import type { Tenant } from '../../fleet/tenant.ts';

/** Which tenants of a database have not been dumped once, and which must be dumped again by themselves. */
export class DumpTries {
  readonly #pending: Set<Tenant>;
  readonly #least = new Map<Tenant, number>();
  readonly #agains = new Map<Tenant, number>();
  readonly #conflicts = new Map<Tenant, number>();
  readonly #lockedTries = new Map<Tenant, number>();
  readonly #failuresAtOnce = new Map<Tenant, number>();

  constructor(tenants: readonly Tenant[]) {
    this.#pending = new Set(tenants);
  }

  /** The number that its snapshot must have at least. */
  least(tenants: readonly Tenant[]): number {
    return Math.max(0, ...tenants.map((tenant) => this.#least.get(tenant) ?? 0));
  }

  /** It is done, or waits for a turn of its own under a later snapshot. */
  settle(tenant: Tenant): void {
    this.#pending.delete(tenant);
  }

  /** Under a later snapshot than that one; false when it had such a turn before. */
  again(tenant: Tenant, snapshot: number, most: number): boolean {
    const before = this.#agains.get(tenant) ?? 0;
    if (before >= most) return false;
    this.#agains.set(tenant, before + 1);
    this.#least.set(tenant, snapshot + 1);
    this.settle(tenant);
    return true;
  }

  /** Counts attempts that a standby may have cancelled, for it must replay what they still read. */
  conflict(tenants: readonly Tenant[]): number {
    const tries = 1 + Math.max(0, ...tenants.map((tenant) => this.#conflicts.get(tenant) ?? 0));
    for (const tenant of tenants) this.#conflicts.set(tenant, tries);
    return tries;
  }

  /** Counts how often somebody else had a lock that keeps pg_dump out. */
  locked(tenant: Tenant): number {
    const tries = (this.#lockedTries.get(tenant) ?? 0) + 1;
    this.#lockedTries.set(tenant, tries);
    return tries;
  }

  /** Counts how often its pg_dump ended before it wrote anything. */
  failedAtOnce(tenant: Tenant): number {
    const tries = (this.#failuresAtOnce.get(tenant) ?? 0) + 1;
    this.#failuresAtOnce.set(tenant, tries);
    return tries;
  }

  /** A later snapshot may be taken when nobody needs the first one any more. */
  mayRunNow(tenants: readonly Tenant[], snapshot: number): boolean {
    return this.least(tenants) <= snapshot || this.#pending.size === 0;
  }
}
