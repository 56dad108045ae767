import type { Blocker } from '../fleet/outcome.ts';
import type { Tenant } from '../fleet/tenant.ts';
import { tenantKey } from '../postgres/advisory-locks.ts';
import { type Backend, findBlockers } from '../postgres/blockers.ts';
import type { SessionPools } from '../postgres/session-pools.ts';
import { prepareReader } from '../postgres/tenant-session.ts';

/** A statement that waits for less than this is not worth a look, and nobody would read who it was. */
const lookAfterMs = 500;
const lookEveryMs = 1000;

interface Watched {
  readonly tenant: Tenant;
  readonly pid: number;
  readonly since: number;
  readonly onBlocked: (blockers: readonly Blocker[]) => void;
}

/**
 * Looks, while tenants are worked on, for those whose statement waits for another session, and says for whom. It takes
 * one connection of the server's limit, and waits for it like everybody else.
 */
export class BlockerWatch {
  readonly #pools: SessionPools;
  readonly #applicationName: string;
  readonly #name: (backend: Backend, beside: Tenant) => Blocker;
  readonly #watched = new Set<Watched>();
  readonly #looking = new Set<string>();
  #timer: NodeJS.Timeout | null = null;

  constructor(pools: SessionPools, applicationName: string, tenants: readonly Tenant[]) {
    this.#pools = pools;
    this.#applicationName = applicationName;
    this.#name = blockerNames(tenants);
  }

  /** Watches a tenant's backend until the returned function is called. */
  watch(tenant: Tenant, pid: number, onBlocked: Watched['onBlocked']): () => void {
    const watched = { tenant, pid, since: performance.now(), onBlocked };
    this.#watched.add(watched);
    this.#timer ??= setTimeout(() => this.#look(), lookAfterMs);
    return () => {
      this.#watched.delete(watched);
      if (this.#watched.size > 0 || this.#timer === null) return;
      clearTimeout(this.#timer);
      this.#timer = null;
    };
  }

  /** The name of a blocker in this run. */
  name(backend: Backend, beside: Tenant): Blocker {
    return this.#name(backend, beside);
  }

  #look(): void {
    this.#timer = setTimeout(() => this.#look(), lookEveryMs);
    const now = performance.now();
    const places = new Map<string, Watched[]>();
    for (const watched of this.#watched) {
      if (now - watched.since < lookAfterMs) continue;
      const key = JSON.stringify([watched.tenant.server, watched.tenant.database]);
      places.set(key, [...(places.get(key) ?? []), watched]);
    }
    for (const [key, waiting] of places) {
      if (this.#looking.has(key)) continue;
      this.#looking.add(key);
      // A look that fails tells nothing, and hurts nobody.
      void this.#lookAt(waiting)
        .catch(() => {})
        .finally(() => this.#looking.delete(key));
    }
  }

  async #lookAt(waiting: readonly Watched[]): Promise<void> {
    const { server, database } = waiting[0]!.tenant;
    const found = await this.#pools.use(server, database, async (session) => {
      const pids = waiting.map(({ pid }) => pid);
      const [, blockers] = await Promise.all([
        prepareReader(session, this.#applicationName),
        findBlockers(session, pids),
      ]);
      return blockers;
    });
    for (const watched of waiting) {
      if (!this.#watched.has(watched)) continue;
      watched.onBlocked((found.get(watched.pid) ?? []).map((backend) => this.#name(backend, watched.tenant)));
    }
  }
}

/** Tells which tenant a backend works on by the advisory locks it holds: its application_name may say anything. */
function blockerNames(tenants: readonly Tenant[]): (backend: Backend, beside: Tenant) => Blocker {
  let ids: Map<string, string> | null = null;
  const keyIn = ({ server, database }: Tenant, key: string) => JSON.stringify([server, database, key]);
  return ({ keys, ...backend }, beside) => {
    ids ??= new Map(tenants.map((tenant) => [keyIn(tenant, tenantKey(tenant.schema)), tenant.id]));
    const known = ids;
    return {
      pid: backend.pid,
      application: backend.application === '' ? null : backend.application,
      user: backend.user,
      state: backend.state,
      transactionStartedAt: backend.transactionStartedAt?.toISOString() ?? null,
      queryStartedAt: backend.queryStartedAt?.toISOString() ?? null,
      tenant: keys.map((key) => known.get(keyIn(beside, key))).find((id) => id !== undefined) ?? null,
    };
  };
}
