import type { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import type { EventListener, RunEvent } from '../../fleet/events.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { mayPass, RepeatableError } from '../../migrations/repeatable.ts';
import { changeTenants } from '../change-tenants.ts';
import type { Fleet } from '../open-fleet.ts';
import { connectionsOfRestore, Restorer } from './restore-job.ts';
import type { RestoreOptions } from './restore-options.ts';
import type { RestorePlan } from './restore-plan.ts';
import type { ToolsFor } from './restore-tools.ts';
import type { RestoreValue } from './restore-value.ts';

/** Restores what was planned: one outcome for each tenant of the plan. */
export async function runRestores(
  context: Context,
  fleet: Fleet,
  repository: Repository,
  { planned }: RestorePlan,
  tools: ToolsFor,
  options: RestoreOptions,
): Promise<Outcome<RestoreValue>[]> {
  // The executor knows tenants by where the work is done, the report by who they are.
  const tenantOf = new Map([...planned].map(([tenant, { workplace }]) => [workplace, tenant]));
  const emit = underOwnName(context.emit, (workplace) => tenantOf.get(workplace) ?? workplace);
  const restorer = new Restorer(context, fleet, repository, tools, options);
  const outcomes = await changeTenants<RestoreValue>(
    { ...context, emit },
    fleet,
    {
      phase: 'restoring',
      tenants: [...tenantOf.keys()],
      connections: connectionsOfRestore,
      change: async (session, workplace, take) => {
        const plan = planned.get(tenantOf.get(workplace)!)!;
        try {
          return await restorer.restore(session, plan, take);
        } catch (error) {
          // Nothing stays of an attempt that failed, so that it may be made again.
          throw mayPass(error) ? new RepeatableError(error, { committing: null, mayRepeat: true }) : error;
        }
      },
    },
    options,
  );
  return outcomes.map((outcome) => ({ ...outcome, tenant: tenantOf.get(outcome.tenant) ?? outcome.tenant }));
}

/** Events about where a tenant is worked on, told of the tenant itself. */
export function underOwnName(emit: EventListener, nameOf: (workplace: Tenant) => Tenant): EventListener {
  return (event: RunEvent) => {
    if ('tenant' in event) emit({ ...event, tenant: nameOf(event.tenant) });
    else if (event.type === 'settled') {
      emit({ ...event, outcome: { ...event.outcome, tenant: nameOf(event.outcome.tenant) } });
    } else emit(event);
  };
}
