import type { Context } from '../../context.ts';
import type { FactSet, TenantShape } from '../../drift/fact.ts';
import { type PlaceAccess, scanPlace } from '../../drift/scan-place.ts';
import { factsReader, shapeReader } from '../../drift/schema-readers.ts';
import { StoppedError, TenantError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { historyTable } from '../../migrations/history.ts';
import { applicationName } from '../../postgres/tenant-session.ts';
import { type Fleet, groupByPlace } from '../open-fleet.ts';
import { readFleet } from '../read-fleet.ts';
import { BlockerWatch } from '../watch-blockers.ts';

/**
 * Reads the shapes of tenants, in order of `tenants`. Progress counts them; a tenant's reading is no outcome of the command
 * yet, so it is not shown. One that is locked, missing or cannot be reached has an outcome that says so.
 */
export function scanFleet(context: Context, fleet: Fleet, tenants: readonly Tenant[]): Promise<Outcome<TenantShape>[]> {
  const access = placeAccess(fleet, tenants);
  const places = groupByPlace(tenants).map((place) => scanPlace({ ...place, reader: shapeReader, ...access }));
  return readFleet(context, fleet, 'reading catalogues', tenants, places);
}

/** Reads all facts of one tenant. Rejects with what is wrong with it, after some tries when it is locked. */
export async function readTenantFacts(context: Context, fleet: Fleet, tenant: Tenant): Promise<FactSet> {
  const { server, database } = tenant;
  const place = scanPlace({
    server,
    database,
    tenants: [tenant],
    reader: factsReader,
    ...placeAccess(fleet, [tenant]),
  });
  const [outcome] = await readFleet({ ...context, emit: () => {} }, fleet, 'reading facts', [tenant], [place]);
  if (outcome?.status === 'done') return outcome.value;
  if (outcome?.status === 'failed') throw new TenantError(outcome.error);
  throw new StoppedError('stopped before all facts were read');
}

type Access = Pick<PlaceAccess, 'pools' | 'applicationName' | 'historyTable' | 'nameBlocker'>;

/** How the tenants' databases are reached, whatever is read there. */
export function placeAccess(fleet: Fleet, tenants: readonly Tenant[]): Access {
  const name = applicationName(fleet.run, 'drift');
  const watch = new BlockerWatch(fleet.pools, name, tenants);
  return {
    pools: fleet.pools,
    applicationName: name,
    historyTable,
    nameBlocker: (holder, beside) => watch.name(holder, beside),
  };
}
