import type { Session } from '../postgres/session.ts';
import { type Fact, type FactSet, factKey, type OwnNames } from './fact.ts';
import { executeFacts } from './fact-statements.ts';
import type { MappedSchema } from './hash-schemas.ts';
import { nameParameters } from './own-names.ts';

/**
 * All facts of one schema, inside the caller's transaction. Everything is sent before the first answer is awaited. They
 * are the rows that `hashSchemas` sums up, by the same SQL.
 */
export async function readFacts(session: Session, mapped: MappedSchema, own: OwnNames): Promise<FactSet> {
  // As they stand, too: that is how a fact is known that is equal to another tenant's after templating only.
  const [facts, literal] = await Promise.all([
    readRows(session, mapped, own, true),
    readRows(session, mapped, own, false),
  ]);
  const templated = [...facts].flatMap(([key, fact]) => {
    return JSON.stringify(literal.get(key)) === JSON.stringify(fact) ? [] : [key];
  });
  return { major: mapped.major, facts, unmodelled: mapped.unmodelled, templated };
}

async function readRows(
  session: Session,
  mapped: MappedSchema,
  own: OwnNames,
  isTemplating: boolean,
): Promise<ReadonlyMap<string, Fact>> {
  const names = nameParameters(own, isTemplating);
  const groups = await executeFacts<{ readonly facts: readonly Fact[] }>(session, mapped, names, 'rows');
  return byKey(groups.flatMap(({ facts }) => facts));
}

/**
 * Two constraints of a table may say the same, and nothing but their order in the catalogue tells them apart: they are
 * numbered in an order that all tenants share.
 */
function byKey(facts: readonly Fact[]): ReadonlyMap<string, Fact> {
  const map = new Map<string, Fact>();
  const sorted = facts
    .map((fact) => ({ fact, text: JSON.stringify(fact) }))
    .toSorted((a, b) => (a.text < b.text ? -1 : 1));
  for (const { fact } of sorted) {
    let { name } = fact;
    for (let n = 2; map.has(factKey(fact.kind, name)); n += 1) name = `${fact.name} (${n})`;
    map.set(factKey(fact.kind, name), { ...fact, name });
  }
  return map;
}
