import type { Tenant } from '../../fleet/tenant.ts';
import { tenantSchema } from '../../fleet/tenant.ts';
import type { ChangePlan } from '../../migrations/change-tenant.ts';
import { CreatedObjects } from '../../migrations/created-objects.ts';
import type { Migration } from '../../migrations/folder.ts';
import { type Lane, lanesOf } from '../../migrations/lanes.ts';
import { isOwnSchema } from '../../migrations/schema-context.ts';
import { readSharedNames } from '../../migrations/shared-names.ts';
import type { Engine } from '../../migrations/tenant-work.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { type Fleet, groupByPlace } from '../open-fleet.ts';
import type { MigrationJob } from './migration-job.ts';

/** The lanes of each migration of a plan. */
export type LanesOfPlan = (plan: ChangePlan) => ReadonlyMap<Migration, ReadonlySet<Lane>>;

/**
 * Reads what a job's migrations do to their databases. A name without a schema may be that of a table which all tenants
 * share: each database is asked which names those are.
 */
export async function readLanes(fleet: Fleet, job: MigrationJob, { fake, inspector }: Engine): Promise<LanesOfPlan> {
  // Then only the histories are written.
  if (fake) return () => new Map();
  const tenants = Map.groupBy(job.work.keys(), (tenant) => job.work.get(tenant)?.plan);
  const sharedNames = job.isShared ? new Set<string>() : await sharedNamesOf(fleet, [...job.work.keys()]);
  return (plan) => {
    const schemas = new Set((tenants.get(plan) ?? []).map(tenantSchema));
    const context = { schemas, sharedNames };
    const created = new CreatedObjects(isOwnSchema(context));
    const lanes = (each: Migration) => lanesOf(each, job.direction, inspector, context, created);
    return new Map(plan.migrations.map((migration) => [migration, lanes(migration)]));
  };
}

async function sharedNamesOf(fleet: Fleet, tenants: readonly Tenant[]): Promise<ReadonlySet<string>> {
  // A tenant with a database of its own shares nothing.
  const places = groupByPlace(tenants.filter(({ schema }) => schema !== null));
  const names = await Promise.all(
    places.map(async ({ server, database, tenants: [first] }) => {
      if (first === undefined) return [];
      try {
        return await fleet.pools.use(server, database, async (session) => {
          const prepared = prepareReader(session, applicationName(fleet.run, 'lanes'));
          const [found] = await Promise.all([readSharedNames(session, first), prepared]);
          return found;
        });
      } catch {
        // Its tenants will tell why nothing can be asked there.
        return [];
      }
    }),
  );
  return new Set(names.flat());
}
