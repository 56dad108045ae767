import { alignFacts, compareFacts, type Difference } from '../compare.ts';
import { describeDifference } from '../describe-difference.ts';
import { type FactSet, factKey } from '../fact.ts';
import { foldDifferences } from '../fold-differences.ts';
import { hasStandIn } from '../stand-ins.ts';
import { policies, publications, rules, triggers } from './attached.ts';
import { casts } from './casts.ts';
import { columns, viewColumns } from './columns.ts';
import { comments } from './comments.ts';
import { constraintNames, constraints } from './constraints.ts';
import { type FixInput, FixScope, type Unsupported } from './fix-scope.ts';
import { indexes, statisticsObjects } from './indexes.ts';
import { findKept, keyOf, refuseUsed } from './kept.ts';
import type { Changed, KindFix } from './kind-fix.ts';
import { orderStatements } from './order-statements.ts';
import { setOwner } from './owners.ts';
import { defaultPrivileges, privileges } from './privileges.ts';
import { findRemade } from './remake.ts';
import { aggregates, functions, procedures } from './routines.ts';
import { sequenceNames, sequences } from './sequences.ts';
import type { FixStatement } from './statement.ts';
import { tables } from './tables.ts';
import { targetOf, withOwnWords } from './target.ts';
import { compositeTypes, domainConstraints, domains, enums, rangeTypes } from './types.ts';
import { materializedViews, views } from './views.ts';

/** What brings a tenant to the reference. */
export interface FixPlan {
  /** In the order in which they run. */
  readonly statements: readonly FixStatement[];
  /** What stays as it is, each with the reason. */
  readonly unsupported: readonly Unsupported[];
  /** All that differs and nobody accepted. */
  readonly differences: readonly Difference[];
  /** Those of them that are left with what is in `unsupported`: of a table that stays, its columns. */
  readonly kept: readonly Difference[];
}

const schema: KindFix = {
  create: () => {},
  drop: () => {},
  change: ({ reference }, scope) => setOwner('SCHEMA', reference, scope, '"{schema}"'),
};

const kinds: Readonly<Record<string, KindFix>> = {
  schema,
  cast: casts,
  table: tables,
  column: columns,
  'view column': viewColumns,
  constraint: constraints,
  'constraint name': constraintNames,
  index: indexes,
  statistics: statisticsObjects,
  sequence: sequences,
  'sequence name': sequenceNames,
  view: views,
  'materialized view': materializedViews,
  trigger: triggers,
  rule: rules,
  policy: policies,
  publication: publications,
  function: functions,
  procedure: procedures,
  aggregate: aggregates,
  enum: enums,
  domain: domains,
  'domain constraint': domainConstraints,
  'composite type': compositeTypes,
  'range type': rangeTypes,
  privileges,
  'default privileges': defaultPrivileges,
  comment: comments,
};

/** Kinds that a fix can do something about, at least when one is missing or extra. */
export const fixableKinds: ReadonlySet<string> = new Set(Object.keys(kinds));

/** Of one tenant, or of several that look the same. */
export interface PlanInput {
  readonly reference: FactSet;
  readonly actual: FactSet;
  /** What of the differences somebody lets pass: it is left alone. */
  readonly accepted: readonly Difference[];
  /** May what holds data be dropped? */
  readonly allowDrop: boolean;
}

/** Makes SQL of differences. What it cannot do is in the plan too, never left out. */
export function planFix({ accepted, allowDrop, ...sides }: PlanInput): FixPlan {
  const { reference, actual } = alignFacts(targetOf(sides.reference, accepted, sides.actual), sides.actual);
  const differences = compareFacts(reference, actual);
  const target = withOwnWords(reference, differences, actual);
  const refused = new Map<string, Unsupported>();
  // What is refused may be what something else was planned for: its views need not be made anew, its types must stay.
  for (;;) {
    const kept = findKept(differences, new Set(refused.keys()));
    const keptKeys = new Set(kept.map(keyOf));
    const open = differences.filter((each) => !keptKeys.has(keyOf(each)));
    const scope = attempt({ reference: target, actual, differences: open, allowDrop });
    const users = [
      ...accepted.map((each) => ({ difference: each, needsDrop: false })),
      ...kept.map((each) => ({ difference: each, needsDrop: refused.get(keyOf(each))?.needsDrop ?? !allowDrop })),
      ...scope.unsupported,
    ].flatMap(({ difference, needsDrop }) =>
      difference.actual === null ? [] : [{ fact: difference.actual, needsDrop }],
    );
    const wholly = scope.unsupported.filter(({ difference }) => open.includes(difference));
    const more = [...wholly, ...refuseUsed(open, users)].filter(({ difference }) => !refused.has(keyOf(difference)));
    if (more.length === 0) {
      const unsupported = [...refused.values(), ...scope.unsupported];
      return { statements: orderStatements(scope.statements), unsupported, differences, kept };
    }
    for (const each of more) if (!refused.has(keyOf(each.difference))) refused.set(keyOf(each.difference), each);
  }
}

function attempt(input: FixInput): FixScope {
  const { keys, differences } = findRemade(input);
  const scope = new FixScope({ ...input, differences }, keys);
  for (const difference of differences) {
    const { kind, change, name, reference, actual } = difference;
    const fix = kinds[kind];
    if (fix === undefined) refuseKind(difference, scope);
    else if (isByChance(difference, input)) scope.refuse(difference, byChance);
    else if (keys.has(factKey(kind, name)) && reference !== null) {
      if (actual !== null) fix.drop(actual, scope, difference);
      fix.create(reference, scope, difference);
    } else if (change === 'missing' && reference !== null) fix.create(reference, scope, difference);
    else if (change === 'extra' && actual !== null) fix.drop(actual, scope, difference);
    else fix.change(difference as Changed, scope);
  }
  return scope;
}

const byChance =
  'a word in it is the name of the tenant that is the reference, and nothing proves that others are to have theirs';

/** Would a word be put in that is the reference's name, perhaps by chance? */
function isByChance({ kind, name, change, attributes }: Difference, { reference }: FixInput): boolean {
  if (change === 'extra' || reference.byChance === undefined || reference.byChance.length === 0) return false;
  const isPart = (key: string) => kind === 'table' && change === 'missing' && reference.facts.get(key)?.table === name;
  const isWhole = change === 'missing' || kind !== 'column' || attributes.some((each) => each.name === 'type');
  return reference.byChance.some((key) => {
    if (key !== factKey(kind, name)) return isPart(key) && key.startsWith('column\0');
    return isWhole || attributes.some((each) => hasStandIn(JSON.stringify(each.reference)));
  });
}

function refuseKind(difference: FixInput['differences'][number], scope: FixScope): void {
  const { kind, table, change } = difference;
  if (kind !== 'column order') {
    scope.refuse(difference, 'nothing is written for objects of this kind');
    return;
  }
  const isWhole = change !== 'changed' || scope.isMissing('table', table ?? '');
  if (!isWhole) scope.refuse(difference, 'only a table made anew has its columns in another order');
}

/** The plan as one text, in which the tenant's own names may have stand-ins. */
export function scriptOf({ statements }: FixPlan): string {
  return statements.map(({ text }) => `${text};\n`).join('');
}

export function isLosing({ statements }: FixPlan): boolean {
  return statements.some(({ loses }) => loses !== null);
}

/** Is nothing left as it is but what is cosmetic? */
export function isWhole(plan: FixPlan): boolean {
  return listLeft(plan).every((difference) => difference.class === 'cosmetic');
}

/** What the plan leaves as it is, in words. */
export function leftOf(plan: FixPlan): readonly string[] {
  return listLeft(plan).map(describeDifference);
}

/** Where nothing is run, whatever differs is left, told or not. */
function listLeft(plan: FixPlan): readonly Difference[] {
  const told = plan.unsupported.map(({ difference }) => difference);
  return plan.statements.length > 0 ? told : [...told, ...fold(plan.differences.filter((each) => !isTold(each, plan)))];
}

/** Differences in words. */
export function describeLeft(differences: readonly Difference[]): readonly string[] {
  return fold(differences).map(describeDifference);
}

function fold(differences: readonly Difference[]): readonly Difference[] {
  return foldDifferences(differences).map(({ difference }) => difference);
}

/** Did the plan say of all of it that it stays? */
export function isTold({ kind, name, change, attributes }: Difference, { kept, unsupported }: FixPlan): boolean {
  const told = [...kept, ...unsupported.map(({ difference }) => difference)].filter((each) => {
    return each.kind === kind && each.name === name && each.change === change;
  });
  const names = new Set(told.flatMap((each) => each.attributes.map((attribute) => attribute.name)));
  return told.length > 0 && attributes.every((attribute) => names.has(attribute.name));
}
