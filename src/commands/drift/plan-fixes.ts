import type { Context } from '../../context.ts';
import { acceptDifferences } from '../../drift/accepted.ts';
import { compareFacts } from '../../drift/compare.ts';
import type { FactSet } from '../../drift/fact.ts';
import { type FixPlan, planFix, scriptOf } from '../../drift/fix/plan-fix.ts';
import type { Reference } from '../../drift/reference.ts';
import type { Fleet } from '../open-fleet.ts';
import type { DriftGroup } from './find-drift.ts';
import type { FixOptions } from './fix-options.ts';
import { type FixReview, reviewFixes } from './review-fix.ts';
import { readTenantFacts } from './scan-fleet.ts';

/** What is to be done with the tenants of one group. */
export interface GroupFix {
  readonly group: DriftGroup;
  readonly plan: FixPlan;
  readonly review: FixReview;
  /** Plans anew for a tenant of the group as it is now. */
  readonly planFor: (actual: FactSet) => FixPlan;
}

/** Plans a fix for each group that differs, with what of it can hurt; in the order of the groups. */
export async function planFixes(
  context: Context,
  fleet: Fleet,
  groups: readonly DriftGroup[],
  reference: Reference,
  options: Pick<FixOptions, 'allowDrop'>,
): Promise<readonly GroupFix[]> {
  const planned: Omit<GroupFix, 'review'>[] = [];
  for (const group of groups.filter(({ differences }) => differences.length > 0)) {
    context.interrupts.stop.throwIfAborted();
    planned.push(await planGroup(context, fleet, group, reference, options));
  }
  const texts = planned.map(({ plan, group }) => ({ text: scriptOf(plan), tenants: group.members.map(tenantOf) }));
  const reviews = await reviewFixes(context, fleet, texts);
  return planned.map((each, index) => ({ ...each, review: reviews[index]! }));
}

const tenantOf = ({ tenant }: DriftGroup['members'][number]) => tenant;

async function planGroup(
  context: Context,
  fleet: Fleet,
  group: DriftGroup,
  reference: Reference,
  { allowDrop }: Pick<FixOptions, 'allowDrop'>,
): Promise<Omit<GroupFix, 'review'>> {
  const [first] = group.members;
  const held = first === undefined ? { why: 'nobody is in it' } : reference.factsFor(first);
  if (first === undefined || 'why' in held) throw new Error('a group was compared with nothing');
  const [expected, actual] = await Promise.all([held.facts(), readTenantFacts(context, fleet, first.tenant)]);
  const entries = group.accepted.map(({ entry }) => entry);
  const planFor = (facts: FactSet) => {
    const { accepted } = acceptDifferences(compareFacts(expected, facts), entries);
    const alone = accepted.map(({ difference }) => difference);
    return planFix({ reference: expected, actual: facts, accepted: alone, allowDrop });
  };
  return { group, plan: planFor(actual), planFor };
}
