import { describeDifference } from '../describe-difference.ts';
import { factKey } from '../fact.ts';
import { policies, publications, rules, triggers } from './attached.ts';
import { casts } from './casts.ts';
import { columns, viewColumns } from './columns.ts';
import { comments } from './comments.ts';
import { constraintNames, constraints } from './constraints.ts';
import { type FixInput, FixScope, type Unsupported } from './fix-scope.ts';
import { indexes, statisticsObjects } from './indexes.ts';
import type { Changed, KindFix } from './kind-fix.ts';
import { orderStatements } from './order-statements.ts';
import { setOwner } from './owners.ts';
import { defaultPrivileges, privileges } from './privileges.ts';
import { findRemade } from './remake.ts';
import { aggregates, functions, procedures } from './routines.ts';
import { sequenceNames, sequences } from './sequences.ts';
import type { FixStatement } from './statement.ts';
import { tables } from './tables.ts';
import { compositeTypes, domainConstraints, domains, enums, rangeTypes } from './types.ts';
import { materializedViews, views } from './views.ts';

/** What brings a tenant to the reference. */
export interface FixPlan {
  /** In the order in which they run. */
  readonly statements: readonly FixStatement[];
  /** What stays as it is, each with the reason. */
  readonly unsupported: readonly Unsupported[];
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

/** Makes SQL of differences. What it cannot do is in the plan too, never left out. */
export function planFix(input: FixInput): FixPlan {
  const { keys, differences } = findRemade(input);
  const scope = new FixScope({ ...input, differences: withoutKept(input, differences) }, keys);
  for (const difference of differences) {
    const { kind, change, name, table, reference, actual } = difference;
    const fix = kinds[kind];
    scope.workOn(difference, () => {
      if (fix === undefined) refuseKind(difference, scope);
      else if (isKept(input, difference)) return;
      else if (keys.has(factKey(kind, name)) && reference !== null) {
        if (actual !== null) fix.drop(actual, scope, difference);
        fix.create(reference, scope, difference);
      } else if (change === 'missing' && reference !== null) fix.create(reference, scope, difference);
      else if (change === 'extra' && actual !== null) fix.drop(actual, scope, difference);
      else fix.change({ ...difference, table } as Changed, scope);
    });
  }
  return { statements: orderStatements(scope.statements), unsupported: scope.unsupported };
}

/** It belongs to a table that is extra and stays: that one is told. */
function isKept(
  { allowDrop, differences }: FixInput,
  { kind, table, change }: FixInput['differences'][number],
): boolean {
  if (allowDrop || change !== 'extra' || kind === 'table' || table === null) return false;
  return differences.some((each) => each.kind === 'table' && each.change === 'extra' && each.name === table);
}

function withoutKept(input: FixInput, differences: FixInput['differences']): FixInput['differences'] {
  return differences.filter((each) => !isKept(input, each));
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
export function isWhole({ unsupported }: FixPlan): boolean {
  return unsupported.every(({ difference }) => difference.class === 'cosmetic');
}

/** What the plan leaves as it is, in words. */
export function leftOf({ unsupported }: FixPlan): readonly string[] {
  return unsupported.map(({ difference }) => describeDifference(difference));
}
