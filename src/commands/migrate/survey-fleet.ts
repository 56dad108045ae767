import path from 'node:path';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Place } from '../../fleet/place.ts';
import { placeKey, type Tenant } from '../../fleet/tenant.ts';
import { type MigrationFolder, readFolder } from '../../migrations/folder.ts';
import type { FingerprintKind } from '../../migrations/history.ts';
import { limitFolder } from '../../migrations/plan.ts';
import { type Survey, Surveyor } from '../../migrations/survey.ts';
import { applicationName } from '../../postgres/tenant-session.ts';
import { type Fleet, groupByPlace, type OpenOptions, withFleet } from '../open-fleet.ts';
import { oweMigrations } from '../owed.ts';
import { readFleet } from '../read-fleet.ts';

/** Tenants, or shared schemas, that one migrations folder is for. */
export interface Surveyed {
  readonly folder: MigrationFolder;
  readonly tenants: readonly Tenant[];
  readonly outcomes: readonly Outcome<Survey>[];
  readonly isShared: boolean;
}

/** A fleet and the folder of its migrations, which is read once a run. `files`: only those that have these names. */
export async function withMigrations<T>(
  context: Context,
  options: OpenOptions & { readonly files?: readonly string[] | null },
  work: (fleet: Fleet, folder: MigrationFolder) => Promise<T>,
): Promise<T> {
  let folder: MigrationFolder | null = null;
  const known = (inventory: Inventory) => {
    return limitTo(options.files ?? null, tenantFolder(context, inventory));
  };
  const beside = (inventory: Inventory) => {
    folder = known(inventory);
  };
  return withFleet(context, { ...options, beside }, (fleet) => {
    const files = folder ?? known(fleet.inventory);
    const names = files.migrations.map(({ name }) => name);
    return work(oweMigrations(fleet, names), files);
  });
}

function limitTo(files: readonly string[] | null, folder: MigrationFolder): MigrationFolder {
  return files === null ? folder : limitFolder(folder, new Set(files));
}

function tenantFolder(context: Context, inventory: Inventory): MigrationFolder {
  if (inventory.migrations === null) {
    throw new UsageError(`${inventory.file} names no migrations folder`, { hint: 'add `migrations: ./migrations`' });
  }
  return readFolder(inventory.migrations, context.cwd);
}

/** Reads where tenants stand. The phase is shown; a tenant's reading is no outcome of the command, so it is not. */
export async function surveyTenants(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  tenants: readonly Tenant[],
  kind: FingerprintKind = 'as-set',
): Promise<Surveyed> {
  const surveyor = new Surveyor(folder, fleet.pools, applicationName(fleet.run, 'survey'), kind);
  const places = groupByPlace(tenants).map((place): Place<unknown, Survey> => {
    const perDatabase = fleet.limits.perDatabase.get(place.server) ?? fleet.limits.fleet.perDatabase;
    return surveyor.place(place.server, place.database, place.tenants, perDatabase);
  });
  const outcomes = await readFleet(context, fleet, 'reading histories', tenants, places);
  return { folder, tenants, outcomes, isShared: false };
}

/**
 * What the tenants' databases share and has a migrations folder of its own, each surveyed like a tenant. `files`: only
 * those that have these names.
 */
export async function surveyShared(
  context: Context,
  fleet: Fleet,
  files: readonly string[] | null = null,
): Promise<readonly Surveyed[]> {
  const places = new Set(fleet.tenants.map(placeKey));
  const byFolder = new Map<string, Tenant[]>();
  for (const shared of fleet.inventory.shared) {
    if (!places.has(placeKey(shared))) continue;
    const folder = path.resolve(shared.migrations);
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), sharedTenant(shared)]);
  }
  return Promise.all(
    [...byFolder].map(async ([folder, tenants]) => {
      const known = limitTo(files, readFolder(folder, context.cwd));
      const surveyed = await surveyTenants(context, fleet, known, tenants);
      return { ...surveyed, isShared: true };
    }),
  );
}

/** The `shared` key of a json report: what became of the shared schemas among these outcomes; no key without any. */
export function sharedEntries(
  shared: readonly Tenant[],
  outcomes: readonly Outcome[],
): { readonly shared?: readonly Record<string, unknown>[] } {
  const known = new Set(shared);
  const entries = outcomes.flatMap(({ tenant: { server, database, schema }, ...rest }, index) =>
    known.has(outcomes[index]!.tenant) ? [{ server, database, schema, ...rest }] : [],
  );
  return entries.length === 0 ? {} : { shared: entries };
}

/** A shared schema stands in for a tenant: it is locked, surveyed and migrated in the same way. */
function sharedTenant({ server, database, schema }: Inventory['shared'][number]): Tenant {
  return {
    id: `shared:${server}/${database}/${schema}`,
    server,
    database,
    schema,
    labels: {},
    searchPath: schema === 'public' ? ['public'] : [schema, 'public'],
    role: null,
  };
}
