import type { Context } from '../context.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { Place, Task } from '../fleet/place.ts';
import { runFleet } from '../fleet/run.ts';
import type { Tenant } from '../fleet/tenant.ts';
import type { TakeOptions } from '../migrations/take-tenant.ts';
import { keepCancelling } from '../postgres/cancelling.ts';
import { LockWaitStopped } from '../postgres/lock-wait.ts';
import type { Session } from '../postgres/session.ts';
import { applicationName } from '../postgres/tenant-session.ts';
import type { MigrationOptions } from './migration-options.ts';
import { type Fleet, groupByPlace } from './open-fleet.ts';
import { resolveShare } from './read-options.ts';
import { errorReader } from './survey-fleet.ts';

export interface ChangeRun<V> {
  /** For progress: `migrating`. */
  readonly phase: string;
  readonly tenants: readonly Tenant[];
  /** Changes one tenant on a session that is its own while this runs. */
  readonly change: (session: Session, tenant: Tenant, options: TakeOptions) => Promise<V>;
}

/** Changes tenants one at a time, many side by side: one outcome for each. */
export async function changeTenants<V>(
  context: Context,
  fleet: Fleet,
  { phase, tenants, change }: ChangeRun<V>,
  options: MigrationOptions,
): Promise<Outcome<V>[]> {
  const places = groupByPlace(tenants).map(
    (group): Place<unknown, V> => ({
      ...group,
      batches: () => group.tenants.map((tenant) => ({ tenants: [tenant] })),
      work: async (_scope, batch, task) => {
        for (const tenant of batch.tenants) await changeOne(fleet, tenant, task, options, change);
      },
    }),
  );
  return runFleet<V>({
    phase,
    tenants,
    places,
    limits: fleet.limits,
    policy: {
      maxFailures: resolveShare(options.maxFailures, tenants.length),
      maxSameCause: options.maxSameCause,
      canary: resolveShare(options.canary, tenants.length) ?? 0,
    },
    timeoutMs: options.timeoutMs,
    errors: errorReader,
    interrupts: context.interrupts,
    emit: context.emit,
  });
}

async function changeOne<V>(
  fleet: Fleet,
  tenant: Tenant,
  task: Task<V>,
  options: MigrationOptions,
  change: ChangeRun<V>['change'],
): Promise<void> {
  const { timeouts } = fleet.inventory;
  try {
    const value = await fleet.pools.use(tenant.server, tenant.database, async (session) => {
      let stopCancelling = () => {};
      const cancel = () => {
        stopCancelling = keepCancelling(session);
      };
      task.signal.addEventListener('abort', cancel, { once: true });
      try {
        task.signal.throwIfAborted();
        return await change(session, tenant, {
          applicationName: applicationName(fleet.run, tenant.id),
          lockTimeoutMs: options.lockTimeoutMs ?? timeouts.lockMs,
          statementTimeoutMs: timeouts.statementMs,
          lockWaitMs: options.lockWaitMs,
          stop: task.stop,
          signal: task.signal,
          onStep: (step) => task.step(tenant, step),
        });
      } finally {
        task.signal.removeEventListener('abort', cancel);
        stopCancelling();
      }
    });
    task.done(tenant, value);
  } catch (error) {
    // When the tenant's own time was up it has failed, although it had only waited.
    if (!(error instanceof LockWaitStopped && task.stop.aborted)) throw error;
    task.notStarted(tenant);
  }
}
