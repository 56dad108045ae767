import { TenantError } from '../errors.ts';
import type { Batch, Place, Task } from '../fleet/place.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import type { SessionPools } from '../postgres/session-pools.ts';
import { prepareReader } from '../postgres/tenant-session.ts';
import { type KnownHistory, missingSchema } from './change-tenant.ts';
import type { MigrationFolder } from './folder.ts';
import {
  type FingerprintKind,
  findHistories,
  type HistoryFingerprint,
  type HistoryPlace,
  noHistory,
  readFingerprints,
  readHistories,
} from './history.ts';
import { compareToFolder, type Standing } from './plan.ts';

/** Tenants that one session reads: for fewer, another connection would cost more time than it saves. */
const tenantsPerBatch = 500;

/** What is known of a tenant before anything is done. */
export interface Survey extends KnownHistory {
  /** Shared by all tenants with the same history. */
  readonly standing: Standing;
}

type Scope = Map<string, HistoryPlace>;

/**
 * Reads where tenants stand: per database one look at the catalogue, then one row a tenant, and the names themselves
 * once for each distinct history of the fleet.
 */
export class Surveyor {
  readonly #folder: MigrationFolder;
  readonly #pools: SessionPools;
  readonly #applicationName: string;
  readonly #kind: FingerprintKind;
  readonly #standings = new Map<string, Promise<Standing>>();
  readonly #empty: Promise<Standing>;

  constructor(folder: MigrationFolder, pools: SessionPools, applicationName: string, kind: FingerprintKind) {
    this.#folder = folder;
    this.#kind = kind;
    this.#pools = pools;
    this.#applicationName = applicationName;
    this.#empty = Promise.resolve(compareToFolder([], folder));
  }

  /** The tenants of one database as work for the executor, which runs up to `perDatabase` batches of it side by side. */
  place(server: string, database: string, tenants: readonly Tenant[], perDatabase: number): Place<unknown, Survey> {
    const batches = cut(tenants, tenantsPerBatch);
    return {
      server,
      database,
      tenants,
      open: () => {
        const histories = this.#use(server, database, (session) => findHistories(session, tenants.map(tenantSchema)));
        // The batches that follow need sessions of their own; connecting takes as long as this answer.
        this.#pools.warm(server, database, Math.min(batches.length, perDatabase) - 1);
        return histories;
      },
      batches: () => batches,
      work: (scope, batch, task) => this.#work(server, database, scope as Scope, batch, task),
    };
  }

  #use<T>(server: string, database: string, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#pools.use(server, database, async (session) => {
      const [, result] = await Promise.all([prepareReader(session, this.#applicationName), work(session)]);
      return result;
    });
  }

  async #work(server: string, database: string, scope: Scope, batch: Batch, task: Task<Survey>): Promise<void> {
    const present = batch.tenants.filter((tenant) => {
      const exists = scope.get(tenantSchema(tenant))?.schemaExists ?? false;
      if (!exists) task.failed(tenant, missingSchema(tenant));
      return exists;
    });
    const fingerprints = await this.#use(server, database, (session) =>
      readFingerprints(session, present, scope, this.#kind),
    );
    const standings = await this.#standingsOf(server, database, scope, present, fingerprints);
    for (const tenant of present) {
      const standing = standings.get(tenant);
      const place = scope.get(tenantSchema(tenant));
      if (standing === undefined || place === undefined) throw new TenantError({ message: 'the history was not read' });
      task.done(tenant, { place, fingerprint: fingerprints.get(tenant) ?? noHistory, standing });
    }
  }

  /** Reads the names of those histories that no tenant before had; batches side by side share the answers. */
  async #standingsOf(
    server: string,
    database: string,
    scope: Scope,
    tenants: readonly Tenant[],
    fingerprints: ReadonlyMap<Tenant, HistoryFingerprint>,
  ): Promise<Map<Tenant, Standing>> {
    const answers = new Map<Tenant, Promise<Standing>>();
    const firstOfItsKind = new Map<string, Tenant>();
    for (const tenant of tenants) {
      const key = keyOf(fingerprints.get(tenant) ?? noHistory);
      if (key !== keyOf(noHistory) && !this.#standings.has(key) && !firstOfItsKind.has(key))
        firstOfItsKind.set(key, tenant);
    }
    if (firstOfItsKind.size > 0) this.#readNew(server, database, scope, firstOfItsKind);
    for (const tenant of tenants) {
      const key = keyOf(fingerprints.get(tenant) ?? noHistory);
      answers.set(tenant, key === keyOf(noHistory) ? this.#empty : this.#standings.get(key)!);
    }
    return new Map(await Promise.all([...answers].map(async ([tenant, answer]) => [tenant, await answer] as const)));
  }

  #readNew(server: string, database: string, scope: Scope, kinds: ReadonlyMap<string, Tenant>): void {
    const histories = this.#use(server, database, (session) => readHistories(session, [...kinds.values()], scope));
    for (const [key, tenant] of kinds) {
      const standing = histories.then((read) => compareToFolder(read.get(tenant) ?? [], this.#folder));
      this.#standings.set(key, standing);
      // A failed read is asked again by the next batch, which may reach it another way.
      standing.catch(() => this.#standings.delete(key));
    }
  }
}

function keyOf({ count, hash }: HistoryFingerprint): string {
  return `${count}:${hash}`;
}

function cut(tenants: readonly Tenant[], size: number): Batch[] {
  const batches: Batch[] = [];
  for (let start = 0; start < tenants.length; start += size) {
    batches.push({ tenants: tenants.slice(start, start + size) });
  }
  return batches;
}
