import type { Difference } from '../compare.ts';
import type { Fact } from '../fact.ts';
import type { FixScope } from './fix-scope.ts';

/** How objects of one kind are brought to the reference: each puts statements into the scope, or says why not. */
export interface KindFix {
  readonly create: (fact: Fact, scope: FixScope, difference: Difference) => void;
  readonly drop: (fact: Fact, scope: FixScope, difference: Difference) => void;
  /** Of an object that both have, and that is not made anew. */
  readonly change: (difference: Changed, scope: FixScope) => void;
}

export interface Changed extends Difference {
  readonly reference: Fact;
  readonly actual: Fact;
}

/** Whether an attribute is among those that differ. */
export function differsIn(difference: Difference, ...names: readonly string[]): boolean {
  return difference.attributes.some(({ name }) => names.includes(name));
}

/** Says of attributes that nothing here changes them. */
export function refuseAttributes(difference: Difference, scope: FixScope, names: readonly string[], why: string): void {
  const attributes = difference.attributes.filter(({ name }) => names.includes(name));
  if (attributes.length > 0)
    scope.refuse({ ...difference, attributes }, `${attributes.map(({ name }) => name).join(', ')}: ${why}`);
}
