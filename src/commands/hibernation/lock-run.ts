import type { Context } from '../../context.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Fleet } from '../open-fleet.ts';
import { changeSleepers } from './change-sleepers.ts';
import type { HibernateOptions } from './hibernate-options.ts';
import type { PlannedSleep } from './hibernate-plan.ts';
import type { HibernateValue } from './hibernate-value.ts';
import { lockTenantDatabase } from './lock-tenant.ts';

/** Puts tenants to sleep where they are: each database is closed. One outcome for each. */
export function lockTenants(
  context: Context,
  fleet: Fleet,
  planned: readonly PlannedSleep[],
  options: HibernateOptions,
): Promise<Outcome<HibernateValue>[]> {
  const byTenant = new Map(planned.map((each) => [each.tenant, each]));
  return changeSleepers<HibernateValue>(
    context,
    fleet,
    {
      phase: 'locking',
      tenants: [...byTenant.keys()],
      // Its session, and the one inside that holds its lock.
      connections: 2,
      change: async (session, tenant, take) => {
        const { drainMs } = options;
        await lockTenantDatabase(session, { fleet, tenant, drainMs, stop: context.interrupts.stop }, take);
        const { sizeBytes, remarks } = byTenant.get(tenant)!;
        const sizes = { sizeBeforeBytes: sizeBytes, sizeAfterBytes: sizeBytes };
        return { how: 'lock', already: false, backup: null, ...sizes, phases: null, remarks };
      },
    },
    options,
  );
}
