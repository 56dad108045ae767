import type { Context } from '../../context.ts';
import type { Failure } from '../../errors.ts';
import type { Place } from '../../fleet/place.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { TenantCheck } from '../../migrations/check-texts.ts';
import { type Complaint, TenantChecker } from '../../migrations/tenant-checks.ts';
import { applicationName } from '../../postgres/tenant-session.ts';
import { type Fleet, groupByPlace } from '../open-fleet.ts';
import { readFleet } from '../read-fleet.ts';

/** A check that runs longer is one that a live database should not have. */
const statementTimeoutMs = 30_000;

/** What the checks have to say, with the tenant. */
export type TenantComplaint = Complaint & { readonly tenant: Tenant };

/** Checks to be made, by tenant. */
export type ChecksByTenant = ReadonlyMap<Tenant, readonly TenantCheck[]>;

/**
 * Makes checks on many tenants, within the limits of the run. Changes nothing, and never rejects: a tenant whose checks
 * could not be made is complained of. When the operator has stopped the run there may be tenants that nothing is known of.
 */
export async function checkFleet(
  context: Context,
  fleet: Fleet,
  phase: string,
  checks: ChecksByTenant,
): Promise<readonly TenantComplaint[]> {
  const tenants = [...checks].flatMap(([tenant, own]) => (own.length > 0 ? [tenant] : []));
  const checker = new TenantChecker({
    pools: fleet.pools,
    applicationName: ({ id }) => applicationName(fleet.run, id),
    statementTimeoutMs,
    checksOf: (tenant) => checks.get(tenant) ?? [],
  });
  const places = groupByPlace(tenants).map((place): Place<unknown, readonly Complaint[]> => {
    const perDatabase = fleet.limits.perDatabase.get(place.server) ?? fleet.limits.fleet.perDatabase;
    return checker.place(place.server, place.database, place.tenants, perDatabase);
  });
  const outcomes = await readFleet(context, fleet, phase, tenants, places);
  return outcomes.flatMap((outcome) => {
    const { tenant } = outcome;
    if (outcome.status === 'done') return outcome.value.map((complaint) => ({ ...complaint, tenant }));
    const failure = 'error' in outcome && outcome.error !== undefined ? outcome.error : notMade;
    return (checks.get(tenant) ?? []).map((check) => ({ check, failure, tenant }));
  });
}

const notMade: Failure = { message: 'the check was not made', code: 'not-started' };
