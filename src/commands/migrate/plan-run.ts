import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { noSelection } from '../../fleet/selection.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { listNames, plural } from '../../words.ts';
import type { Fleet } from '../open-fleet.ts';
import { selectByPlan } from './check-plan.ts';
import type { MigrationOptions } from './migration-options.ts';
import type { PlanFile } from './plan-file.ts';

/** A plan says whom and how far; flags that say it as well can only contradict it. */
export function refuseBesidePlan({ selection, fromRun, to, count, fake, checkOrder }: MigrationOptions): void {
  const { all, tenants, labels, servers, databases, except, shard } = selection;
  const selects = [tenants, labels, servers, databases, except].some(({ length }) => length > 0);
  if (all || selects || shard !== null || fromRun !== null) {
    throw new UsageError('--plan names the tenants itself', { hint: 'leave the selection out' });
  }
  if (to !== null || count !== null || fake || !checkOrder) {
    throw new UsageError('--plan says itself what is run', {
      hint: 'leave --to, --count, --fake and --no-check-order out, or make another plan with them',
    });
  }
}

/** The options of the run that a plan is for. Nobody is looked for beside its tenants. */
export function optionsOfPlan({ target }: PlanFile, { selection }: MigrationOptions) {
  const { to, count, checkOrder } = target;
  return {
    selection: { ...noSelection, all: true, allowEmpty: selection.allowEmpty },
    to,
    count,
    checkOrder,
    sweep: false,
  };
}

/** The plan's tenants among those that are there; says who is not in it, and who is not there any more. */
export function fleetOfPlan(context: Context, fleet: Fleet, plan: PlanFile): Fleet {
  const { tenants, bornSince, leftOut, gone } = selectByPlan(plan, fleet.inventory.environment, fleet.selected);
  const tell = (ids: readonly string[], what: string) => {
    if (ids.length === 0) return;
    const message = `${plural(ids.length, 'tenant')} ${what}: ${listNames(ids)}`;
    context.emit({ type: 'notice', level: 'warning', message });
  };
  tell(bornSince, 'not in the plan, left alone');
  tell(leftOut, 'that the plan could not plan for, left alone');
  tell(gone, 'of the plan not there any more');
  const isPlanned = new Set<Tenant>(tenants);
  return {
    ...fleet,
    tenants: fleet.tenants.filter((tenant) => isPlanned.has(tenant)),
    rejected: fleet.rejected.filter(({ tenant }) => isPlanned.has(tenant)),
    selected: tenants,
  };
}
