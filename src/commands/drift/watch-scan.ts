import type { Context } from '../../context.ts';
import type { TenantShape } from '../../drift/fact.ts';
import { type TenantMark, watchPlace } from '../../drift/watch-place.ts';
import type { RememberedTenant, WatchState } from '../../drift/watch-state.ts';
import { isSameCluster } from '../../drift/watermark.sql.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { type Fleet, groupByPlace } from '../open-fleet.ts';
import { readFleet } from '../read-fleet.ts';
import { placeAccess, scanFleet } from './scan-fleet.ts';

export interface WatchScan {
  /** In order of `tenants`; those that nothing has happened to have their remembered shape. */
  readonly outcomes: readonly Outcome<TenantShape>[];
  /** What to remember of each tenant that there is an answer for, by id. */
  readonly remembered: ReadonlyMap<string, RememberedTenant>;
  /** Those whose catalogue was read in full. */
  readonly scanned: ReadonlySet<Tenant>;
}

/** Scans those tenants that changed since they were remembered, and those that were read in full before `trustSinceMs`. */
export async function scanChanged(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  { state, trustSinceMs }: { readonly state: WatchState | null; readonly trustSinceMs: number },
): Promise<WatchScan> {
  // Before the scan: what changes in between is scanned once more the next time.
  const marks = await readMarks(context, fleet, tenants);
  const unchanged = new Map<Tenant, RememberedTenant>();
  for (const tenant of tenants) {
    const known = state?.program === context.version ? state.tenants.get(tenant.id) : undefined;
    const mark = marks.get(tenant);
    if (known === undefined || mark === undefined || !holds(known, tenant, mark)) continue;
    if (Date.parse(known.readAt) >= trustSinceMs) unchanged.set(tenant, known);
  }
  const changed = tenants.filter((tenant) => !unchanged.has(tenant));
  const read = new Map((await scanFleet(context, fleet, changed)).map((outcome) => [outcome.tenant, outcome]));
  const outcomes = tenants.map((tenant): Outcome<TenantShape> => {
    const known = unchanged.get(tenant);
    const outcome = known === undefined ? read.get(tenant) : remember(tenant, known, marks.get(tenant));
    if (outcome === undefined) throw new Error(`tenant ${tenant.id} was not scanned`);
    return outcome;
  });
  const remembered = outcomes.flatMap((outcome) => {
    const { tenant } = outcome;
    const known = unchanged.get(tenant);
    const mark = marks.get(tenant);
    if (outcome.status !== 'done' || mark === undefined || mark.cluster === null) return [];
    const now = context.now().toISOString();
    const entry: RememberedTenant = {
      place: placeOf(tenant),
      cluster: mark.cluster,
      mark: mark.mark,
      shape: outcome.value,
      readAt: known?.readAt ?? now,
      seenAt: now,
    };
    return [[tenant.id, entry] as const];
  });
  return { outcomes, remembered: new Map(remembered), scanned: new Set(changed) };
}

async function readMarks(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
): Promise<ReadonlyMap<Tenant, TenantMark>> {
  const access = placeAccess(fleet, tenants);
  const places = groupByPlace(tenants).map((place) => watchPlace({ ...place, ...access }));
  const outcomes = await readFleet(context, fleet, 'looking for changes', tenants, places);
  return new Map(outcomes.flatMap((it) => (it.status === 'done' ? [[it.tenant, it.value] as const] : [])));
}

function holds(known: RememberedTenant, tenant: Tenant, mark: TenantMark): boolean {
  return known.place === placeOf(tenant) && known.mark === mark.mark && isSameCluster(known.cluster, mark.cluster);
}

/** A migration that writes rows alone leaves the catalogue as it was: the history says where the tenant is now. */
function remember(tenant: Tenant, known: RememberedTenant, mark: TenantMark | undefined): Outcome<TenantShape> {
  const value = { ...known.shape, version: mark?.version ?? null };
  return { tenant, status: 'done', value, durationMs: 0 };
}

/** All that a tenant's shape was read by: another schema, id or role makes other facts its own. */
function placeOf({ server, database, schema, role }: Tenant): string {
  return JSON.stringify([server, database, schema, role]);
}
