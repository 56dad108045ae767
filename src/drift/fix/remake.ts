import type { Difference } from '../compare.ts';
import { type Fact, type FactSet, factKey } from '../fact.ts';
import { isPolicyRemade, isTriggerRemade } from './attached.ts';
import { isConstraintRemade } from './constraints.ts';
import { bareName, ownPart, textOf } from './fact-values.ts';
import type { FixInput } from './fix-scope.ts';
import { isIndexRemade } from './indexes.ts';
import { namesIn } from './mentions.ts';
import { isAggregateRemade, isFunctionRemade, routineName } from './routines.ts';
import { subjectsOf } from './subjects.ts';
import { isViewRemade } from './views.ts';

/** Kinds of which some changes mean another object in the place of the one that is there. */
const remaking: Readonly<Record<string, (difference: Difference) => boolean>> = {
  view: isViewRemade,
  'materialized view': isViewRemade,
  constraint: isConstraintRemade,
  index: isIndexRemade,
  trigger: isTriggerRemade,
  policy: isPolicyRemade,
  function: isFunctionRemade,
  procedure: isFunctionRemade,
  aggregate: isAggregateRemade,
  statistics: ({ attributes }) => attributes.some(({ name }) => name === 'definition'),
};

/** Kinds that can be taken away and made again because of what they stand on. */
const standing = ['view', 'materialized view', 'policy', 'trigger', 'constraint', 'index'];

export interface Remade {
  readonly keys: ReadonlySet<string>;
  /** The differences, with what goes and comes with objects that are made anew. */
  readonly differences: readonly Difference[];
}

/** Finds what can only be dropped and made anew, with all that stands on it, and on columns that change their type or go. */
export function findRemade(input: FixInput): Remade {
  const keys = new Set(
    input.differences
      .filter((each) => each.change === 'changed' && remaking[each.kind]?.(each) === true)
      .map(({ kind, name }) => factKey(kind, name)),
  );
  for (let before = -1; before < keys.size; ) {
    before = keys.size;
    for (const fact of input.actual.facts.values()) {
      const key = factKey(fact.kind, fact.name);
      const isBoth = standing.includes(fact.kind) && input.reference.facts.has(key);
      if (isBoth && !keys.has(key) && standsOnMoving(fact, keys, input)) keys.add(key);
    }
  }
  return { keys, differences: withAspects(input, keys) };
}

/** What a fact names. */
function namesOf(fact: Fact): ReadonlySet<string> {
  const texts = ['definition', 'using', 'with check'].map((name) => textOf(fact, name) ?? '');
  return namesIn(texts.join(' '));
}

function standsOnMoving(fact: Fact, remade: ReadonlySet<string>, { actual, differences }: FixInput): boolean {
  const names = namesOf(fact);
  const isView = fact.kind === 'view' || fact.kind === 'materialized view';
  const onRemade = [...remade].some((key) => {
    const [kind = '', name = ''] = key.split('\0');
    if (kind === 'view' || kind === 'materialized view') return isView && names.has(bareName(name));
    if (['function', 'procedure', 'aggregate'].includes(kind)) return names.has(bareName(routineName(name)));
    return kind === 'constraint' && isReferring(fact, actual.facts.get(key) ?? null);
  });
  return onRemade || differences.some((each) => isInTheWay(fact, isView, names, each));
}

/** A foreign key stands on the key of the other table. */
function isReferring(fact: Fact, key: Fact | null): boolean {
  const definition = textOf(fact, 'definition') ?? '';
  const isKey = /^(?:PRIMARY KEY|UNIQUE)/.test(textOf(key, 'definition') ?? '');
  return fact.kind === 'constraint' && isKey && definition.includes(` REFERENCES ${key?.table}(`);
}

/** A column that changes its type or goes, a table or function that goes. */
function isInTheWay(
  fact: Fact,
  isView: boolean,
  names: ReadonlySet<string>,
  { kind, change, attributes, actual }: Difference,
): boolean {
  if (actual === null) return false;
  if (kind === 'table') return isView && change === 'extra' && names.has(bareName(actual.name));
  if (kind !== 'column') return false;
  const isMoving = change === 'extra' || attributes.some(({ name }) => name === 'type' || name === 'collation');
  if (!isMoving || !names.has(bareName(ownPart(actual)))) return false;
  if (isView) return names.has(bareName(actual.table ?? ''));
  return fact.table === actual.table && (fact.kind === 'policy' || fact.kind === 'trigger');
}

const aspects = new Set(['comment', 'privileges']);

/** Of an object that is made anew, all that hangs on it is lost with it and has to come back. */
function withAspects(input: FixInput, remade: ReadonlySet<string>): readonly Difference[] {
  const known = new Map(input.differences.map((each) => [factKey(each.kind, each.name), each]));
  const relations = new Set(
    [...remade]
      .map((key) => key.split('\0'))
      .flatMap(([kind, name]) => (kind === 'view' || kind === 'materialized view' ? [name] : [])),
  );
  for (const fact of input.reference.facts.values()) {
    const key = factKey(fact.kind, fact.name);
    if (remade.has(key)) known.set(key, known.get(key) ?? asRemade(fact, input.actual));
    else if (relations.has(fact.table ?? '') || (aspects.has(fact.kind) && isAbout(fact, remade, input))) {
      known.set(key, { ...asRemade(fact, input.actual), change: 'missing', actual: null });
    }
  }
  return [...known.values()];
}

function isAbout(
  fact: Fact,
  remade: ReadonlySet<string>,
  sides: { readonly reference: FactSet; readonly actual: FactSet },
): boolean {
  return subjectsOf(fact.name, 'reference', sides).some(({ kind, name }) => remade.has(factKey(kind, name)));
}

function asRemade(fact: Fact, actual: FactSet): Difference {
  const { kind, name, table } = fact;
  return {
    ...{ kind, name, table, class: 'structural', change: 'changed', attributes: [] },
    ...{ reference: fact, actual: actual.facts.get(factKey(kind, name)) ?? null },
  };
}
