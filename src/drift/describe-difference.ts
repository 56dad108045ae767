import { listNames, plural } from '../words.ts';
import type { AttributeDifference, Difference } from './compare.ts';
import type { Fact, FactValue } from './fact.ts';
import { aspects, type FoldedDifference } from './fold-differences.ts';
import { unifiedDiff } from './line-diff.ts';

/** Longer values are shown as a diff below the line. */
const longestInline = 60;
const longestName = 80;

/** `lacks index tasks_due_idx on tasks`, `table invoices has row security off`. */
export function describeDifference(difference: Difference): string {
  switch (difference.change) {
    case 'missing':
      return `lacks ${nameObject(difference)}`;
    case 'extra':
      return `has ${extra(difference)}`;
    case 'changed':
      return describeChange(difference);
  }
}

/** The same of so many tenants: `5 lack index tasks_due_idx on tasks`, `1 where table invoices has row security off`. */
export function countDifference(difference: Difference, tenants: number): string {
  const isOne = tenants === 1;
  switch (difference.change) {
    case 'missing':
      return `${tenants} ${isOne ? 'lacks' : 'lack'} ${nameObject(difference)}`;
    case 'extra':
      return `${tenants} ${isOne ? 'has' : 'have'} ${extra(difference)}`;
    case 'changed':
      return `${tenants} where ${describeChange(difference)}`;
  }
}

function extra(difference: Difference): string {
  return `${pluralKind(difference.kind) === difference.kind ? 'extra' : 'an extra'} ${nameObject(difference)}`;
}

/** What went or came with it: `with 4 columns and 1 index`; empty: nothing. */
export function describeWithin({ within }: FoldedDifference): string {
  const kinds = [...Map.groupBy(within, ({ kind }) => kind)];
  const counted = kinds
    .filter(([kind]) => importance(kind) < otherKinds)
    .toSorted(([a], [b]) => importance(a) - importance(b))
    .map(([kind, members]) => plural(members.length, kind, pluralKind(kind)));
  return counted.length === 0 ? '' : `with ${listNames(counted, 4)}`;
}

/** Both definitions in lines: `-` as the reference has it, `+` as the tenants have it. Empty: the words say it all. */
export function definitionLines({ difference, within }: FoldedDifference): readonly string[] {
  const { change, reference, actual, attributes } = difference;
  if (change === 'changed') {
    const long = attributes.filter(isLong);
    return long.flatMap((attribute) => [...(long.length > 1 ? [`${attribute.name}:`] : []), ...diffLines(attribute)]);
  }
  const [sign, fact] = change === 'missing' ? ['-', reference] : ['+', actual];
  const members = within.filter(({ kind }) => importance(kind) < otherKinds).map(nameObject);
  const own = fact === null || members.length > 0 ? [] : factLines(fact);
  return [...own, ...members].map((line) => `${sign} ${line}`);
}

/** `column users.tmp (text)`, `index tasks_due_idx on tasks`, `function f(integer)`. */
export function nameObject({ kind, name, table, reference, actual }: Difference): string {
  const type = (actual ?? reference)?.attributes.type;
  const typed = kind === 'column' && typeof type === 'string' ? ` (${type})` : '';
  if (aspects.has(kind)) return kind === 'security label' ? `${kind} ${name}` : `${kind} of ${name}`;
  if (kind === name) return `the ${kind}`;
  if (kind === 'publication') return `publication ${name.replace(/: (?=[^:]*$)/, ' of ')}`;
  if (table === null || table === name) return `${kind} ${name}${typed}`;
  if (kind === 'column') return `column ${name}${typed}`;
  return `${kind} ${cut(withoutTable(name, table))} on ${table}`;
}

/** A trigger is `users.audit`; a constraint, which is known by what it says, `users: CHECK (…)`. */
function withoutTable(name: string, table: string): string {
  const prefix = [`${table}.`, `${table}: `].find((each) => name.startsWith(each)) ?? '';
  return name.slice(prefix.length);
}

function cut(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length <= longestName ? line : `${line.slice(0, longestName - 1)}…`;
}

/** Texts that PostgreSQL prints, and lists: what is shown by its lines and never in a sentence. */
function isLong({ reference, actual }: AttributeDifference): boolean {
  return [reference, actual].some((value) => {
    return (
      Array.isArray(value) || (typeof value === 'string' && (value.length > longestInline || value.includes('\n')))
    );
  });
}

function describeChange(difference: Difference): string {
  const { kind, name, attributes } = difference;
  const object = nameChanged(difference);
  const [only] = attributes;
  if (kind === 'column order') return `the order of the columns of ${name} differs`;
  if (kind === 'privileges') return `${object} differ`;
  if (only !== undefined && kind.endsWith(' name')) {
    return `${object} is called ${inline(only.actual)}, not ${inline(only.reference)}`;
  }
  return `${object} ${listNames(attributes.map(describeAttribute), 8)}`;
}

/** The type of a column stands in the words about what has changed of it. */
function nameChanged(difference: Difference): string {
  const kind = difference.kind.replace(/ name$/, '');
  return nameObject({ ...difference, kind, reference: null, actual: null });
}

/** Attributes that are words about the object itself: an index is valid, or it is not. */
const adjectives: ReadonlySet<string> = new Set([
  'clustered',
  'deferrable',
  'deferred',
  'enabled',
  'enforced',
  'leakproof',
  'populated',
  'ready',
  'strict',
  'valid',
  'validated',
]);

function describeAttribute(attribute: AttributeDifference): string {
  const { name, reference, actual } = attribute;
  if (isLong(attribute)) return `has another ${name}`;
  if (typeof actual === 'boolean' && typeof reference === 'boolean') {
    if (adjectives.has(name)) return `is ${actual ? '' : 'not '}${name}`;
    return `has ${name} ${inline(actual)}`;
  }
  // A trigger is disabled, and not something else.
  if (adjectives.has(name)) return `is ${inline(actual)}, not ${inline(reference)}`;
  return actual === null
    ? `has no ${name}, not ${inline(reference)}`
    : `has ${name} ${inline(actual)}, not ${inline(reference)}`;
}

function inline(value: FactValue): string {
  if (value === null) return 'none';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return value === '' ? 'empty' : String(value);
}

function diffLines({ reference, actual }: AttributeDifference): readonly string[] {
  if (isList(reference) && isList(actual)) {
    const lines = (sign: string, one: readonly string[], other: readonly string[]) =>
      one.filter((each) => !other.includes(each)).map((each) => `${sign} ${each}`);
    const changed = [...lines('-', reference, actual), ...lines('+', actual, reference)];
    if (changed.length > 0) return changed;
  }
  const [before, after] = [textOf(reference), textOf(actual)];
  if (before === null || after === null || !`${before}${after}`.includes('\n')) {
    const lines = (sign: string, text: string | null) => (text ?? 'none').split('\n').map((line) => `${sign} ${line}`);
    return [...lines('-', before), ...lines('+', after)];
  }
  return unifiedDiff(before, after);
}

function isList(value: FactValue): value is readonly string[] {
  return Array.isArray(value);
}

/** A list has a line for each of its members. */
function textOf(value: FactValue): string | null {
  if (value === null) return null;
  return typeof value === 'object' ? value.join('\n') : inline(value);
}

/** A definition speaks for itself; an object without one is told by what is set of it. */
function factLines({ attributes }: Fact): readonly string[] {
  const { definition } = attributes;
  if (typeof definition === 'string') return definition.split('\n');
  return Object.entries(attributes).flatMap(([name, value]) => {
    if (value === null || value === false || value === 0 || untold.has(name)) return [];
    const text = textOf(value) ?? '';
    if (text === '') return [];
    return text.includes('\n') ? [`${name}:`, ...text.split('\n').map((line) => `  ${line}`)] : [`${name}: ${text}`];
  });
}

/** What nearly all have, or the words above say already; it is in the json. */
const untold: ReadonlySet<string> = new Set([
  'access method',
  'inherited',
  'local',
  'owner',
  'persistence',
  'replica identity',
  'type',
]);

/** What people look for first. */
const kindOrder = ['column', 'constraint', 'index', 'trigger', 'policy', 'rule'];
const otherKinds = kindOrder.length;

function importance(kind: string): number {
  const at = kindOrder.indexOf(kind);
  return at === -1 ? otherKinds : at;
}

function pluralKind(kind: string): string {
  if (kind.endsWith('privileges') || kind.endsWith('statistics')) return kind;
  if (kind.endsWith('y')) return `${kind.slice(0, -1)}ies`;
  return kind.endsWith('x') ? `${kind}es` : `${kind}s`;
}
