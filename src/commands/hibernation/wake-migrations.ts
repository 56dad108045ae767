import type { Context } from '../../context.ts';
import type { Failure } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { ChangeResult } from '../../migrations/change-tenant.ts';
import { readFolder } from '../../migrations/folder.ts';
import { toFailure } from '../../postgres/failure.ts';
import { prepareEngine, runJob } from '../migrate/migration-job.ts';
import { readMigrationOptions } from '../migrate/migration-options.ts';
import { askHealth } from '../migrate/rollout.ts';
import { planTenants } from '../migrate/up-jobs.ts';
import type { Fleet } from '../open-fleet.ts';
import type { WakeOptions } from './wake-options.ts';

/** What became of the migrations that a tenant had missed: their names, or why they were not run. */
export type Caught = { readonly applied: readonly string[] } | { readonly error: Failure };

/**
 * Runs what the tenants have missed, as `migrate up` does. Whatever speaks against that, a file that was edited for one,
 * is told of each of them: they are awake, and behind.
 */
export async function catchUp(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  options: WakeOptions,
): Promise<ReadonlyMap<Tenant, Caught>> {
  const { migrations } = fleet.inventory;
  if (migrations === null || !options.migrates || tenants.length === 0) {
    return new Map(tenants.map((tenant) => [tenant, { applied: [] }]));
  }
  try {
    const migrating = { ...readMigrationOptions({}), ...options, canary: null };
    const folder = readFolder(migrations, context.cwd);
    const job = await planTenants(context, fleet, folder, tenants, migrating);
    const engine = await prepareEngine(job, false);
    const done = job.work.size === 0 ? [] : await runJob(context, fleet, job, engine, migrating);
    return new Map([...job.settled, ...done].map((outcome) => [outcome.tenant, caughtOf(outcome)]));
  } catch (error) {
    const failure = toFailure(error);
    return new Map(tenants.map((tenant) => [tenant, { error: failure }]));
  }
}

function caughtOf(outcome: Outcome<ChangeResult>): Caught {
  if (outcome.status === 'done') return { applied: outcome.value.applied ?? [] };
  const error = 'error' in outcome ? outcome.error : undefined;
  return { error: error ?? { message: 'the migrations that it has missed were not run', code: 'not-started' } };
}

/** The health checks of the inventory's `rollout`, on those that are awake; null: they are well, or none is set up. */
export function askHealthOfWoken(context: Context, fleet: Fleet, done: readonly Tenant[]): Promise<string | null> {
  return askHealth(context, fleet, fleet.inventory.rollout, { name: '', number: 1, count: 1, done });
}
