import type { DriftClass, Fact, FactSet, FactValue } from './fact.ts';
import { classOf } from './fact-classes.ts';

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
export function compareFacts(reference: FactSet, actual: FactSet): readonly Difference[] {
  const keys = new Set([...reference.facts.keys(), ...actual.facts.keys()]);
  const differences = [...keys].flatMap((key) => {
    return compareFact(reference.facts.get(key) ?? null, actual.facts.get(key) ?? null);
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

function compareFact(reference: Fact | null, actual: Fact | null): readonly Difference[] {
  const fact = actual ?? reference;
  if (fact === null) return [];
  const { kind, name, table } = fact;
  const base = { kind, name, table, reference, actual };
  if (reference === null || actual === null) {
    const change = actual === null ? 'missing' : 'extra';
    return [{ ...base, class: classOf(kind, null), change, attributes: [] }];
  }
  const attributes = compareAttributes(reference, actual);
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
