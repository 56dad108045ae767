import type { Difference } from '../compare.ts';
import { type Fact, type FactSet, factKey } from '../fact.ts';

/** Facts that are never accepted by themselves: the names of what goes by something else. */
const nameKinds = ['constraint name', 'sequence name'];

/**
 * What the tenant is to have: the reference, but as the tenant has it where somebody accepted that. So what is made anew
 * comes back with what was accepted of it.
 */
export function targetOf(reference: FactSet, accepted: readonly Difference[], actual: FactSet): FactSet {
  const facts = new Map(reference.facts);
  for (const { kind, name, change, attributes, actual: has } of accepted) {
    const key = factKey(kind, name);
    const known = facts.get(key);
    if (change === 'changed' && known !== undefined) {
      const taken = attributes.map((each) => [each.name, each.actual] as const);
      facts.set(key, { ...known, attributes: { ...known.attributes, ...Object.fromEntries(taken) } });
      continue;
    }
    put(facts, key, has ?? undefined);
    for (const each of nameKinds) put(facts, factKey(each, name), actual.facts.get(factKey(each, name)));
  }
  return { ...reference, facts };
}

function put(facts: Map<string, Fact>, key: string, fact: Fact | undefined): void {
  if (fact === undefined) facts.delete(key);
  else facts.set(key, fact);
}

/** Where nothing differs the tenant's own words stand: a word that is its name by chance only comes back as it was. */
export function withOwnWords(target: FactSet, differences: readonly Difference[], actual: FactSet): FactSet {
  const differing = new Set(differences.map(({ kind, name }) => factKey(kind, name)));
  const facts = [...target.facts].map(([key, fact]) => {
    return [key, differing.has(key) ? fact : (actual.facts.get(key) ?? fact)] as const;
  });
  return { ...target, facts: new Map(facts) };
}
