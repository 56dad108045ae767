import type { Tenant } from '../../fleet/tenant.ts';
import type { ChangePlan } from '../../migrations/change-tenant.ts';
import type { MigrationJob } from './migration-job.ts';
import type { UpJobs } from './up-jobs.ts';

/** Tenants that stand alike and have one plan, or one shared schema. */
export interface PlanGroup {
  readonly job: MigrationJob;
  readonly plan: ChangePlan;
  readonly tenants: readonly Tenant[];
}

/** In the order in which they are shown: shared schemas first, one by one, then tenants, the largest group first. */
export function groupJobs({ tenants, shared }: UpJobs): readonly PlanGroup[] {
  const ofShared = shared.flatMap((job) =>
    [...job.work].map(([tenant, { plan }]): PlanGroup => ({ job, plan, tenants: [tenant] })),
  );
  const byPlan = new Map<ChangePlan, Tenant[]>();
  for (const [tenant, { plan }] of tenants.work) {
    const members = byPlan.get(plan);
    if (members === undefined) byPlan.set(plan, [tenant]);
    else members.push(tenant);
  }
  const groups = [...byPlan].map(([plan, members]): PlanGroup => ({ job: tenants, plan, tenants: members }));
  return [...ofShared, ...groups.sort((a, b) => b.tenants.length - a.tenants.length)];
}
