import type { Fact } from '../fact.ts';
import { textOf } from './fact-values.ts';
import { roleSql } from './fill-in.ts';
import type { FixScope } from './fix-scope.ts';

/** Gives an object the owner that the reference says; `word` is what ALTER calls its kind. */
export function setOwner(word: string, reference: Fact, scope: FixScope, name = reference.name): void {
  const owner = textOf(reference, 'owner');
  if (owner !== null) scope.add('owners', `ALTER ${word} ${name} OWNER TO ${roleSql(owner)}`);
}
