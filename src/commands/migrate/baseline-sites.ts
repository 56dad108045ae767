import type { Context } from '../../context.ts';
import { placeKey, type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import type { BuildSite, InstalledExtension } from '../../migrations/baseline-build.ts';
import { toFailure } from '../../postgres/failure.ts';
import { createScratchDatabase, dropScratchDatabase, listExtensions } from '../../postgres/scratch-database.ts';
import type { Fleet } from '../open-fleet.ts';

/**
 * Where the migrations are tried out, each place standing in for a tenant. Tenants that are schemas: a schema in their
 * own database, so that what they share is there, made and rolled back in one transaction. Tenants with a database of
 * their own: an empty database on their server, which is dropped at the end. In their own one, files that say
 * `public.` would meet the very tables of the tenant.
 */
export class BuildSites {
  readonly #fleet: Fleet;
  readonly #emit: Context['emit'];
  readonly #byKey = new Map<string, { readonly site: Tenant; readonly model: Tenant }>();
  readonly #extensions = new Map<Tenant, readonly InstalledExtension[]>();
  readonly #problems = new Map<Tenant, string>();
  readonly #opened: Tenant[] = [];

  constructor(fleet: Fleet, tenants: readonly Tenant[], emit: Context['emit']) {
    this.#fleet = fleet;
    this.#emit = emit;
    const name = `tenantctl_scratch_${fleet.run.split('-').at(-1)}`;
    for (const model of tenants) {
      const key = keyOf(model);
      if (!this.#byKey.has(key)) this.#byKey.set(key, { site: standInFor(model, name), model });
    }
  }

  get all(): readonly Tenant[] {
    return [...this.#byKey.values()].map(({ site }) => site);
  }

  /** The place that stands in for a tenant. */
  of(tenant: Tenant): Tenant {
    return this.#entry(keyOf(tenant)).site;
  }

  /** Why a place could not be made ready. */
  problem(site: Tenant): string | undefined {
    return this.#problems.get(site);
  }

  describe(site: Tenant): BuildSite {
    return {
      schema: tenantSchema(site),
      makesSchema: site.schema !== null,
      searchPath: site.searchPath,
      extensions: this.#extensions.get(site) ?? [],
    };
  }

  /** False when it cannot be made ready: without the right to make a database, say. */
  async open(site: Tenant): Promise<boolean> {
    if (site.schema !== null) return true;
    const { server, database } = this.#modelOf(site);
    try {
      const extensions = await this.#fleet.pools.use(server, database, async (session) => {
        await createScratchDatabase(session, site.database);
        this.#opened.push(site);
        return listExtensions(session);
      });
      this.#extensions.set(site, extensions);
      return true;
    } catch (error) {
      this.#problems.set(site, `no database for trying them out: ${toFailure(error).message}`);
      return false;
    }
  }

  /** Drops the databases that were made. */
  async close(): Promise<void> {
    for (const site of this.#opened) {
      const { server, database } = this.#modelOf(site);
      try {
        await this.#fleet.pools.closeIdle(server, site.database);
        await this.#fleet.pools.use(server, database, (session) => dropScratchDatabase(session, site.database));
      } catch (error) {
        this.#emit({
          type: 'notice',
          level: 'warning',
          message: `database ${site.database} on server ${server} was left behind: ${toFailure(error).message}`,
          hint: 'it holds nothing of a tenant: drop it',
        });
      }
    }
  }

  #modelOf(site: Tenant): Tenant {
    return [...this.#byKey.values()].find((entry) => entry.site === site)?.model ?? site;
  }

  #entry(key: string): { readonly site: Tenant; readonly model: Tenant } {
    const entry = this.#byKey.get(key);
    if (entry === undefined) throw new Error('a tenant without a place to compare it with');
    return entry;
  }
}

function keyOf(tenant: Tenant): string {
  return tenant.schema === null ? tenant.server : placeKey(tenant);
}

function standInFor(model: Tenant, name: string): Tenant {
  const common = { server: model.server, labels: {}, role: null };
  if (model.schema === null) {
    return { ...common, id: `scratch:${model.server}`, database: name, schema: null, searchPath: model.searchPath };
  }
  const searchPath = model.searchPath.map((schema) => (schema === model.schema ? name : schema));
  return {
    ...common,
    id: `scratch:${model.server}/${model.database}`,
    database: model.database,
    schema: name,
    searchPath,
  };
}
