import type { Session } from '../postgres/session.ts';
import { type Fact, type FactSet, factKey, type OwnNames } from './fact.ts';
import { executeFacts } from './fact-statements.ts';
import type { MappedSchema } from './hash-schemas.ts';
import { isTelling, nameParameters } from './own-names.ts';
import { replaceStandIns, withStandIns } from './stand-ins.ts';

/** Where roles stand: their names are names, and no text of which something was put aside. */
const roleAttributes: ReadonlySet<string> = new Set(['owner', 'grants', 'roles']);

/**
 * All facts of one schema, inside the caller's transaction. Everything is sent before the first answer is awaited. They
 * are the rows that `hashSchemas` sums up, by the same SQL.
 */
export async function readFacts(session: Session, mapped: MappedSchema, own: OwnNames): Promise<FactSet> {
  // As they stand, too: that is how a fact is known that is equal to another tenant's after templating only.
  const [facts, asTheyStand] = await Promise.all([
    readRows(session, mapped, own, true),
    readRows(session, mapped, own, false),
  ]);
  const literal = new Map<string, Fact>();
  const [templated, byChance]: [string[], string[]] = [[], []];
  for (const [key, fact] of facts) {
    // What goes by its definition has another name then.
    const name = replaceStandIns(fact.name, (each) => own[each] ?? '');
    const other = asTheyStand.get(key) ?? asTheyStand.get(factKey(fact.kind, name));
    if (JSON.stringify(other) === JSON.stringify(fact)) continue;
    if (other !== undefined) literal.set(key, other);
    const attributes = Object.keys(fact.attributes).filter((each) => {
      return JSON.stringify(fact.attributes[each]) !== JSON.stringify(other?.attributes[each]);
    });
    const texts = attributes.map((each) => JSON.stringify(fact.attributes[each]));
    const isChance = [fact.name, ...texts].some((text) => isByChance(text, own));
    if (isChance) byChance.push(key);
    if (isChance || attributes.some((name) => !roleAttributes.has(name))) templated.push(key);
  }
  return { major: mapped.major, facts, unmodelled: mapped.unmodelled, templated, literal, byChance };
}

/** Before a dot it is the schema, whatever it is called. */
function isByChance(text: string, { schema, id }: OwnNames): boolean {
  return (!isTelling(schema) && /\{schema\}(?!\s*\.)/.test(text)) || (!isTelling(id) && text.includes('{id}'));
}

async function readRows(
  session: Session,
  mapped: MappedSchema,
  own: OwnNames,
  isTemplating: boolean,
): Promise<ReadonlyMap<string, Fact>> {
  const names = nameParameters(own, isTemplating);
  const groups = await executeFacts<{ readonly facts: readonly Fact[] }>(session, mapped, names, 'rows');
  return byKey(groups.flatMap(({ facts }) => facts.map(withStandIns)));
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
