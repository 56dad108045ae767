import { type DriftClass, type Fact, type FactSet, type FactValue, factKey } from './fact.ts';
import { classOf } from './fact-classes.ts';
import { hasStandIn } from './stand-ins.ts';

/** One attribute in which two facts differ; null: the fact has no such attribute, or it is null. */
export interface AttributeDifference {
  readonly name: string;
  readonly class: DriftClass;
  readonly reference: FactValue;
  readonly actual: FactValue;
}

/** One object in which a tenant differs from what it is held to. */
export interface Difference {
  readonly kind: string;
  readonly name: string;
  readonly table: string | null;
  /** The worst of what differs. */
  readonly class: DriftClass;
  /** `missing`: the reference has it and the tenant has not. */
  readonly change: 'missing' | 'extra' | 'changed';
  /** What differs, of an object that both have. */
  readonly attributes: readonly AttributeDifference[];
  readonly reference: Fact | null;
  readonly actual: Fact | null;
}

/** From the worst on. */
export const driftClasses: readonly DriftClass[] = ['broken', 'security', 'structural', 'cosmetic'];

/** What differs between two tenants of one major version, by relation, then kind and name, whatever order they came in. */
export function compareFacts(theirs: FactSet, own: FactSet): readonly Difference[] {
  const { reference, actual } = alignFacts(theirs, own);
  const keys = new Set([...reference.facts.keys(), ...actual.facts.keys()]);
  const differences = [...keys].flatMap((key) => {
    return compareFact(reference.facts.get(key) ?? null, actual.facts.get(key) ?? null, { reference, actual });
  });
  return differences.filter((difference) => !isImplied(difference)).toSorted(byPlace);
}

/** Every class that a difference has a part in: whoever asks for structural drift must see it beside a lost grant. */
export function classesOf(difference: Difference): ReadonlySet<DriftClass> {
  return new Set([difference.class, ...difference.attributes.map((attribute) => attribute.class)]);
}

/** The difference with some of its attributes only; null: none is left. */
export function withAttributes(difference: Difference, attributes: readonly AttributeDifference[]): Difference | null {
  if (attributes.length === 0) return null;
  return { ...difference, attributes, class: worstOf(attributes) };
}

/**
 * Names what goes by its definition as it stands, where that is how the other side has it: a check on `'active'` in the
 * tenant that is called so.
 */
export function alignFacts(reference: FactSet, actual: FactSet): Sides {
  const chance = new Set(reference.byChance);
  return { reference: alignTo(actual, reference, (key) => chance.has(key)), actual: alignTo(reference, actual) };
}

function alignTo(other: FactSet, own: FactSet, isFree = (_key: string) => true): FactSet {
  const renamed = new Map<string, Fact>();
  for (const [key, fact] of own.literal ?? []) {
    const literalKey = factKey(fact.kind, fact.name);
    const isTaken = literalKey === key || own.facts.has(literalKey) || other.facts.has(key);
    if (!isTaken && other.facts.has(literalKey) && isFree(key)) renamed.set(key, fact);
  }
  if (renamed.size === 0) return own;
  const facts = [...own.facts].map(([key, fact]) => {
    const now = renamed.get(key) ?? fact;
    return [factKey(now.kind, now.name), now] as const;
  });
  return { ...own, facts: new Map(facts) };
}

export interface Sides {
  readonly reference: FactSet;
  readonly actual: FactSet;
}

function compareFact(reference: Fact | null, actual: Fact | null, sides: Sides): readonly Difference[] {
  const fact = actual ?? reference;
  if (fact === null) return [];
  const { kind, name, table } = fact;
  const base = { kind, name, table, reference, actual };
  if (reference === null || actual === null) {
    const change = actual === null ? 'missing' : 'extra';
    return [{ ...base, class: classOf(kind, null), change, attributes: [] }];
  }
  const attributes = compareAttributes(reference, actual).filter(
    (attribute) => !isLiterallyEqual(attribute, factKey(kind, name), sides),
  );
  if (attributes.length === 0) return [];
  return [{ ...base, class: worstOf(attributes), change: 'changed', attributes }];
}

function compareAttributes(reference: Fact, actual: Fact): readonly AttributeDifference[] {
  const names = [...new Set([...Object.keys(reference.attributes), ...Object.keys(actual.attributes)])].toSorted();
  return names.flatMap((name) => {
    const values = { reference: attributeOf(reference, name), actual: attributeOf(actual, name) };
    if (isSame(values.reference, values.actual)) return [];
    return [{ name, class: classOf(reference.kind, name), ...values }];
  });
}

/**
 * A word that all tenants have may be the name of one of them, `active` or `1`, and is put aside there. What the reference
 * has as it stands is equal to what the tenant has as it stands; and so is what the reference itself has by chance only.
 */
function isLiterallyEqual({ name, reference }: AttributeDifference, key: string, sides: Sides): boolean {
  const { [name]: actual } = (sides.actual.literal?.get(key) ?? sides.actual.facts.get(key))?.attributes ?? {};
  const isChance = sides.reference.byChance?.includes(key) === true && mayBeChance(JSON.stringify(reference));
  const literal = isChance ? sides.reference.literal?.get(key)?.attributes[name] : reference;
  if (!isChance && hasStandIn(JSON.stringify(reference), ['schema', 'id'])) return false;
  return literal !== undefined && isSame(literal, actual ?? null);
}

/** What reaches into the schema of the reference is no chance. */
function mayBeChance(text: string): boolean {
  return !/\{schema\}\s*\./.test(text) && !(text.includes('{schema}') && text.includes('{id}'));
}

/**
 * What another difference says already: a constraint that is missing has no name either, and a column that is extra puts
 * no other in another order.
 */
function isImplied({ kind, change, attributes }: Difference): boolean {
  if (change !== 'changed') return kind.endsWith(' name');
  return kind === 'column order' && attributes.every(({ reference, actual }) => isOrderKept(reference, actual));
}

function isOrderKept(reference: FactValue, actual: FactValue): boolean {
  if (!isList(reference) || !isList(actual)) return false;
  const inBoth = (one: readonly string[], other: readonly string[]) => one.filter((each) => other.includes(each));
  return isSame(inBoth(reference, actual), inBoth(actual, reference));
}

function isList(value: FactValue): value is readonly string[] {
  return Array.isArray(value);
}

function attributeOf({ attributes }: Fact, name: string): FactValue {
  return Object.hasOwn(attributes, name) ? (attributes[name] ?? null) : null;
}

function isSame(one: FactValue, other: FactValue): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function worstOf(attributes: readonly AttributeDifference[]): DriftClass {
  const present = new Set(attributes.map((attribute) => attribute.class));
  return driftClasses.find((each) => present.has(each)) ?? 'structural';
}

function byPlace(a: Difference, b: Difference): number {
  return compareText(a.table ?? '', b.table ?? '') || compareText(a.kind, b.kind) || compareText(a.name, b.name);
}

/** By code units: the order must not depend on the machine's language. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
