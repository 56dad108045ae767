import type { Failure } from '../errors.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { Tenant } from '../fleet/tenant.ts';

/** Selected tenants that discovery could not use. */
export function rejectFailed(selected: readonly Tenant[], failures: ReadonlyMap<Tenant, Failure>): Outcome<never>[] {
  return selected.flatMap((tenant) => {
    const error = failures.get(tenant);
    return error === undefined ? [] : [{ tenant, status: 'failed', step: 'discovery', error, durationMs: 0 }];
  });
}

/** Selected tenants on servers that are left out. */
export function rejectSkipped(tenants: readonly Tenant[]): Outcome<never>[] {
  return tenants.map((tenant) => ({
    tenant,
    status: 'skipped',
    reason: 'not-started',
    because: `server ${tenant.server} cannot be reached`,
    durationMs: 0,
  }));
}
