import type { Difference } from '../compare.ts';
import type { Fact } from '../fact.ts';
import { definitionOf, setIndexMarks } from './constraints.ts';
import { bareName, isSet, textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import { type Changed, differsIn, type KindFix, refuseAttributes } from './kind-fix.ts';
import { setOwner } from './owners.ts';

export function isIndexRemade({ attributes }: Difference): boolean {
  return attributes.some(({ name }) => name === 'definition' || name === 'valid' || name === 'ready');
}

export const indexes: KindFix = {
  create: (index, scope) => {
    const twin = renamedFrom(index, scope);
    if (twin === null) createIndex(index, scope);
    else scope.add('rename', `ALTER INDEX ${twin.name} RENAME TO ${index.name}`);
  },
  drop: (index, scope) => {
    const isGone = ['table', 'materialized view'].some((kind) => scope.isDropped(kind, index.table ?? ''));
    const parent = textOf(index, 'attached to');
    if (isGone || renamedTo(index, scope) !== null || (parent !== null && isDroppedIndex(parent, scope))) return;
    scope.add('drop indexes', `DROP INDEX ${index.name}`);
  },
  change: changeIndex,
};

function createIndex(index: Fact, scope: FixScope): void {
  const tablespace = textOf(index, 'tablespace');
  const definition = definitionOf(index);
  // The storage stands before WHERE.
  const text = tablespace === null ? definition : definition.replace(/( WHERE .*)?$/s, ` TABLESPACE ${tablespace}$1`);
  scope.add('indexes', text);
  const parent = textOf(index, 'attached to');
  if (parent !== null && !isOfNewPartition(index, scope)) {
    scope.add('attach', `ALTER INDEX ${parent} ATTACH PARTITION ${index.name}`);
  }
  setIndexMarks(index, null, index.name, scope);
}

/** ATTACH PARTITION of the table brings its indexes along. */
function isOfNewPartition(index: Fact, scope: FixScope): boolean {
  return scope.isMissing('table', index.table ?? '');
}

/** Its parent takes it along. */
function isDroppedIndex(parent: string, scope: FixScope): boolean {
  return scope.isDropped('index', parent);
}

/** The same index under another name: it is renamed, and not built. */
function renamedFrom(index: Fact, scope: FixScope): Fact | null {
  return twinOf(index, 'actual', scope, (other) => scope.isExtra('index', other.name));
}

function renamedTo(index: Fact, scope: FixScope): Fact | null {
  const missing = (other: Fact) => scope.find('actual', 'index', other.name) === null;
  const twin = twinOf(index, 'reference', scope, missing);
  return twin !== null && renamedFrom(twin, scope) === index ? twin : null;
}

function twinOf(
  index: Fact,
  side: 'reference' | 'actual',
  scope: FixScope,
  isFree: (other: Fact) => boolean,
): Fact | null {
  const wanted = withoutName(index);
  const found = scope.factsOf(side, 'index', index.table ?? '').find((other) => {
    return other.name !== index.name && isFree(other) && withoutName(other) === wanted && isSet(other, 'valid');
  });
  return found ?? null;
}

function withoutName({ name, attributes }: Fact): string {
  return JSON.stringify({
    ...attributes,
    definition: String(attributes.definition).replace(` INDEX ${name} ON `, ' INDEX ON '),
  });
}

function changeIndex(difference: Changed, scope: FixScope): void {
  const { reference, actual } = difference;
  if (differsIn(difference, 'tablespace')) {
    scope.add(
      'settings',
      `ALTER INDEX ${reference.name} SET TABLESPACE ${textOf(reference, 'tablespace') ?? 'pg_default'}`,
    );
  }
  setIndexMarks(reference, actual, reference.name, scope);
  const table = scope.changeOf('table', reference.table ?? '');
  const isAttached = table?.attributes.some(({ name }) => name === 'inherits') ?? false;
  const parent = textOf(reference, 'attached to');
  if (differsIn(difference, 'attached to') && !isAttached) {
    if (parent !== null) scope.add('attach', `ALTER INDEX ${parent} ATTACH PARTITION ${reference.name}`);
    else refuseAttributes(difference, scope, ['attached to'], 'an index cannot be taken from its parent');
  }
  refuseAttributes(
    difference,
    scope,
    ['statistics targets'],
    'columns of an index are set by their number: write a migration',
  );
}

export const statisticsObjects: KindFix = {
  create: (object, scope) => {
    scope.add('indexes', `CREATE STATISTICS ${definitionOf(object)}`);
    const owner = textOf(object, 'owner');
    if (owner !== null) setStatistics(object, null, scope);
  },
  drop: (object, scope) => {
    if (!scope.isDropped('table', object.table ?? ''))
      scope.add('drop triggers', `DROP STATISTICS ${object.name}`, { drops: bareName(object.name) });
  },
  change: ({ reference, actual }, scope) => setStatistics(reference, actual, scope),
};

function setStatistics(reference: Fact, actual: Fact | null, scope: FixScope): void {
  const differs = (name: string) => textOf(reference, name) !== textOf(actual, name);
  if (differs('owner')) setOwner('STATISTICS', reference, scope);
  if (differs('statistics target')) {
    scope.add(
      'settings',
      `ALTER STATISTICS ${reference.name} SET STATISTICS ${textOf(reference, 'statistics target') ?? '-1'}`,
    );
  }
}
