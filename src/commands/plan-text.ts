import type { ChangePlan } from '../migrations/change-tenant.ts';
import type { MigrationJob } from './migration-job.ts';
import { countTenants } from './migration-view.ts';

const namesShown = 12;

/** A plan for people: per group of tenants that stand alike, and not per tenant. */
export function describeJobs(environment: string, job: MigrationJob, shared: readonly MigrationJob[]): string[] {
  const lines = [`environment ${environment}: plan, nothing was changed`];
  for (const sharedJob of shared) {
    for (const [tenant, { plan }] of sharedJob.work) {
      lines.push(`shared schema ${tenant.schema} in ${tenant.server}/${tenant.database}, first of all:`);
      lines.push(...describeMigrations(sharedJob, plan));
    }
  }
  for (const [plan, count] of countPlans(job)) {
    lines.push(`${countTenants(count)} from ${plan.from ?? 'no history'} to ${plan.to ?? 'no history'}:`);
    lines.push(...describeMigrations(job, plan));
  }
  const still = job.settled.filter(({ status }) => status === 'done').length;
  if (still > 0) lines.push(`${countTenants(still)} with nothing to do`);
  return lines;
}

function countPlans(job: MigrationJob): readonly (readonly [ChangePlan, number])[] {
  const counts = new Map<ChangePlan, number>();
  for (const { plan } of job.work.values()) counts.set(plan, (counts.get(plan) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a);
}

function describeMigrations({ direction }: MigrationJob, { migrations }: ChangePlan): string[] {
  const sign = direction === 'up' ? '+' : '-';
  const shown = migrations.slice(0, namesShown).map((migration) => {
    const alone = migration.kind === 'sql' && !migration.sql.usesTransaction ? '  (no transaction)' : '';
    return `  ${sign} ${migration.displayPath}${alone}`;
  });
  const more = migrations.length - shown.length;
  return more > 0 ? [...shown, `  ${sign} … ${more} more`] : shown;
}
