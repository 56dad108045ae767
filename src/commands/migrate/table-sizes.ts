import type { Context } from '../../context.ts';
import type { Place } from '../../fleet/place.ts';
import { placeKey, type Tenant } from '../../fleet/tenant.ts';
import type { RelationName } from '../../migrations/parse-tree.ts';
import { estimateTables, type TableEstimates } from '../../migrations/table-estimates.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { listNames } from '../../words.ts';
import { type Fleet, groupByPlace } from '../open-fleet.ts';
import { readFleet } from '../read-fleet.ts';

/**
 * Estimates of certain tables, for each tenant those of its database; one statement a database. What cannot be read is a
 * warning: the plan stands without it.
 */
export async function readTableSizes(
  context: Context,
  fleet: Fleet,
  wanted: ReadonlyMap<Tenant, readonly RelationName[]>,
): Promise<ReadonlyMap<Tenant, TableEstimates>> {
  const tenants = [...wanted.keys()];
  if (tenants.length === 0) return new Map();
  const places = groupByPlace(tenants).map((place) => estimatePlace(fleet, place, wanted));
  const outcomes = await readFleet(context, fleet, 'reading table sizes', tenants, places);
  const missing = new Map<string, string>();
  const sizes = new Map<Tenant, TableEstimates>();
  for (const outcome of outcomes) {
    const { tenant } = outcome;
    if (outcome.status === 'done') sizes.set(tenant, outcome.value);
    else missing.set(placeKey(tenant), `${tenant.server}/${tenant.database}`);
  }
  if (missing.size > 0) {
    const message = `sizes of tables could not be read in ${listNames([...missing.values()])}: hazards are told without them`;
    context.emit({ type: 'notice', level: 'warning', message });
  }
  return sizes;
}

function estimatePlace(
  fleet: Fleet,
  place: { readonly server: string; readonly database: string; readonly tenants: readonly Tenant[] },
  wanted: ReadonlyMap<Tenant, readonly RelationName[]>,
): Place<unknown, TableEstimates> {
  return {
    ...place,
    batches: () => [{ tenants: place.tenants }],
    work: async (_scope, { tenants }, task) => {
      const lists = new Set(tenants.map((tenant) => wanted.get(tenant) ?? []));
      const estimates = await fleet.pools.use(place.server, place.database, async (session) => {
        const [, read] = await Promise.all([
          prepareReader(session, applicationName(fleet.run, 'plan')),
          estimateTables(session, tenants, [...lists].flat()),
        ]);
        return read;
      });
      for (const tenant of tenants) task.done(tenant, estimates);
    },
  };
}
