import type { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { SleepWay } from '../../fleet/tenant-state.ts';
import { deleteTenantRow, readTenantRow } from '../../postgres/tenant-rows.ts';
import { Restorer } from '../backups/restore-job.ts';
import { readRestoreOptions } from '../backups/restore-options.ts';
import { requireTools } from '../backups/restore-tools.ts';
import type { Fleet } from '../open-fleet.ts';
import { changeSleepers } from './change-sleepers.ts';
import { endReceipts, endReceiptsOfOpened } from './end-receipts.ts';
import { untilCancelled, withoutOutcomes } from './later-outcomes.ts';
import { type Caught, catchUp } from './wake-migrations.ts';
import type { WakeOptions } from './wake-options.ts';
import type { PlannedWake } from './wake-plan.ts';
import { type Woken, wakeTenant } from './wake-tenant.ts';
import type { WakeValue } from './wake-value.ts';

export interface WakeMeans {
  readonly fleet: Fleet;
  /** Null: nobody is to be restored. */
  readonly repository: Repository | null;
  readonly options: WakeOptions;
  /** When the run began, by `performance.now()`. */
  readonly beganAt: number;
}

/** Wakes tenants that sleep in an archive or behind a closed door: one outcome for each. */
export async function runWakes(
  context: Context,
  planned: readonly PlannedWake[],
  means: WakeMeans,
): Promise<readonly Outcome<WakeValue>[]> {
  const { fleet } = means;
  const later = { ...context, emit: withoutOutcomes(context.emit) };
  const byTenant = new Map(planned.map((each) => [each.tenant, each]));
  const opened = await openTenants(later, byTenant, means);
  const seen = new Map(
    opened.flatMap((outcome) => (outcome.status === 'done' ? [[outcome.tenant, outcome.value.seenRun] as const] : [])),
  );
  const awake = [...seen.keys()];
  // Who never left its place may have missed some too.
  const caught = await catchUp(later, fleet, awake, means.options);
  const forgotten = await forgetTenants(later, seen, means);
  await endReceiptsOfOpened(
    later,
    fleet,
    awake.filter((tenant) => wasOnlyFenced(byTenant.get(tenant)!)),
    means.options,
  );
  return opened.map((outcome) => {
    if (outcome.status !== 'done') return outcome;
    const { tenant } = outcome;
    const end = forgotten.get(tenant);
    if (end !== undefined && end.status !== 'done') return end;
    return wokenOutcome(outcome, byTenant.get(tenant)!, caught.get(tenant) ?? { applied: [] }, means);
  });
}

/** A run that was killed may have kept a receipt for it, and was never to drop it. */
function wasOnlyFenced({ row, restore }: PlannedWake): boolean {
  return row.state === 'hibernating' && row.how === 'archive' && restore === null;
}

async function openTenants(
  context: Context,
  planned: ReadonlyMap<Tenant, PlannedWake>,
  { fleet, repository, options }: WakeMeans,
): Promise<readonly Outcome<Woken>[]> {
  const restores = [...planned.values()].flatMap(({ restore }) => restore ?? []);
  const restoring = { ...readRestoreOptions({}), ...options, ...options.repository };
  const restorer =
    repository === null || restores.length === 0
      ? null
      : new Restorer(context, fleet, repository, await requireTools(context, fleet, restores), restoring);
  return changeSleepers<Woken>(
    context,
    fleet,
    {
      phase: 'waking',
      tenants: [...planned.keys()],
      // Its session, and the program that restores or the one inside.
      connections: 2,
      change: (session, tenant, take) => {
        const { acceptsDifferences } = options;
        return wakeTenant(session, { fleet, planned: planned.get(tenant)!, restorer, acceptsDifferences }, take);
      },
    },
    options,
  );
}

/** They are active from here on: nothing is known of them any more. `seen`: the run that the row of each named. */
async function forgetTenants(
  context: Context,
  seen: ReadonlyMap<Tenant, string | null>,
  { fleet, repository, options }: WakeMeans,
): Promise<ReadonlyMap<Tenant, Outcome<null>>> {
  // A Ctrl-C during the migrations must not leave those half awake that are in use.
  const quiet = { ...context, interrupts: untilCancelled(context.interrupts) };
  const outcomes = await changeSleepers<null>(
    quiet,
    fleet,
    {
      phase: 'settling',
      tenants: [...seen.keys()],
      change: async (session, tenant) => {
        const row = await readTenantRow(session, tenant);
        // It may have been woken by others and put to sleep again since.
        if (row?.state !== 'waking' || row.step !== 'behind' || row.run !== seen.get(tenant)) return null;
        // First: a run that is killed in between comes here again.
        if (row.receipt !== null && repository !== null) await endReceipts(context, tenant, repository);
        await deleteTenantRow(session, tenant, row);
        return null;
      },
    },
    { ...options, maxFailures: null, maxSameCause: null },
  );
  return new Map(outcomes.map((outcome) => [outcome.tenant, outcome]));
}

function wokenOutcome(
  { tenant, durationMs, value: woken }: Extract<Outcome<Woken>, { status: 'done' }>,
  { row }: PlannedWake,
  caught: Caught,
  means: WakeMeans,
): Outcome<WakeValue> {
  if ('error' in caught) {
    const detail = ['it is awake, in use, and behind', caught.error.detail].filter((line) => line !== undefined);
    const error = { ...caught.error, detail: detail.join('\n'), hint: caught.error.hint ?? 'then: tenantctl migrate' };
    return { tenant, status: 'failed', step: 'migrating', error, durationMs };
  }
  const value: WakeValue = {
    how: row.how as SleepWay,
    asleepSince: row.since.toISOString(),
    ...promiseOf(means),
    migrations: caught.applied,
    compared: woken.compared,
    remarks: woken.remarks,
  };
  return { tenant, status: 'done', value, durationMs, finding: woken.differs };
}

/** How long it took, and whether that is what the inventory promises. */
function promiseOf({ fleet, beganAt }: WakeMeans): Pick<WakeValue, 'durationMs' | 'rtoMs' | 'withinRto'> {
  const durationMs = Math.round(performance.now() - beganAt);
  const { rtoMs } = fleet.inventory.backups;
  return { durationMs, rtoMs, withinRto: rtoMs === null ? null : durationMs <= rtoMs };
}
