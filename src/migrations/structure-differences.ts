import { listNames } from '../words.ts';
import type { StructureFact } from './structure.ts';

/** Where a schema is not what it should be. Definitions as PostgreSQL writes them, without the schema's name. */
export interface Difference {
  readonly kind: string;
  readonly name: string;
  /** Null: it should not be there. */
  readonly expected: string | null;
  /** Null: it is not there. */
  readonly found: string | null;
}

/** What a missing or additional table brings with it is not told again. */
export function compareStructures(
  expected: readonly StructureFact[],
  found: readonly StructureFact[],
): readonly Difference[] {
  const there = new Map(found.map((fact) => [keyOf(fact), fact]));
  const wanted = new Map(expected.map((fact) => [keyOf(fact), fact]));
  const tables = (facts: readonly StructureFact[]) =>
    new Set(facts.flatMap(({ kind, name, table }) => (table === null && kind !== 'function' ? [name] : [])));
  const [expectedTables, foundTables] = [tables(expected), tables(found)];
  const missing = expected.flatMap((fact): Difference[] => {
    const other = there.get(keyOf(fact));
    if (other?.definition === fact.definition) return [];
    if (other === undefined && fact.table !== null && !foundTables.has(fact.table)) return [];
    const { kind, name, definition } = fact;
    return [{ kind, name, expected: definition, found: other?.definition ?? null }];
  });
  const more = found.flatMap((fact): Difference[] => {
    if (wanted.has(keyOf(fact)) || (fact.table !== null && !expectedTables.has(fact.table))) return [];
    return [{ kind: fact.kind, name: fact.name, expected: null, found: fact.definition }];
  });
  return [...missing, ...more];
}

function keyOf({ kind, name }: StructureFact): string {
  return `${kind}\0${name}`;
}

/** `lacks index tasks_due_idx, has the additional table old and 3 more`. */
export function describeDifferences(differences: readonly Difference[], atMost = 3): string {
  return listNames(differences.map(describeDifference), atMost);
}

function describeDifference({ kind, name, expected, found }: Difference): string {
  if (found === null) return `lacks ${kind} ${name}`;
  if (expected === null) return `has the additional ${kind} ${name}`;
  // A column's definition is short enough to be told.
  return kind === 'column' ? `column ${name} is ${found}, not ${expected}` : `has another ${kind} ${name}`;
}
