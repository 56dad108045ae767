import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Fact } from '../fact.ts';
import { bareName, isSet, ownPart, quoteLiteral, textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import { type Changed, differsIn, type KindFix, refuseAttributes } from './kind-fix.ts';
import { setOwner } from './owners.ts';

export const sequences: KindFix = {
  create: (sequence, scope, difference) => {
    const users = usersOf(sequence, scope);
    const odd = users.find((column) => !isTakenAsIs(column));
    if (odd !== undefined) {
      const why = `column ${odd.name} makes something else of its numbers, so that the next one is not known: make it by hand`;
      scope.refuse(difference, why);
      return;
    }
    const kind = textOf(sequence, 'persistence') === 'unlogged' ? 'UNLOGGED SEQUENCE' : 'SEQUENCE';
    const text = `CREATE ${kind} ${sequence.name} ${parametersOf(sequence)}`;
    scope.add('sequences', text, { makes: bareName(sequence.name), names: '' });
    setOwner('SEQUENCE', sequence, scope);
    if (textOf(sequence, 'owned by') !== null) ownedBy(sequence, scope);
    catchUp(sequence, scope);
  },
  drop: (sequence, scope, difference) => {
    // A column's own goes with it.
    if (sequence.table !== null && scope.isDropped('table', sequence.table)) return;
    if (scope.isDropped('column', textOf(sequence, 'owned by') ?? '')) return;
    if (!scope.allowDrop) scope.refuse(difference, 'it knows which number comes next: --allow-drop', true);
    else scope.add('drop rest', `DROP SEQUENCE ${sequence.name}`, { loses: `the next number of ${sequence.name}` });
  },
  change: changeSequence,
};

function parametersOf(sequence: Fact): string {
  const [start, increment] = [textOf(sequence, 'start'), textOf(sequence, 'increment')];
  const [minimum, maximum] = [textOf(sequence, 'minimum'), textOf(sequence, 'maximum')];
  const limits = `START WITH ${start} INCREMENT BY ${increment} MINVALUE ${minimum} MAXVALUE ${maximum}`;
  return `AS ${textOf(sequence, 'type')} ${limits} CACHE ${textOf(sequence, 'cache')} ${isSet(sequence, 'cycle') ? 'CYCLE' : 'NO CYCLE'}`;
}

function ownedBy(sequence: Fact, scope: FixScope): void {
  scope.add('sequence owners', `ALTER SEQUENCE ${sequence.name} OWNED BY ${textOf(sequence, 'owned by') ?? 'NONE'}`);
}

/** Columns of tables with rows that take their numbers from it: its own, and others by their defaults. */
function usersOf(sequence: Fact, scope: FixScope): readonly Fact[] {
  return [...scope.reference.facts.values()].filter((fact) => {
    if (fact.kind !== 'column' || fact.table === null || scope.isMissing('table', fact.table)) return false;
    return fact.name === textOf(sequence, 'owned by') || sequenceIn(fact) === sequence.name;
  });
}

/** The sequence that a default takes numbers from. */
function sequenceIn(column: Fact): string | null {
  const [, literal] = /\bnextval\('((?:[^']|'')*)'/.exec(textOf(column, 'default') ?? '') ?? [];
  return literal?.replaceAll("''", "'") ?? null;
}

function isTakenAsIs(column: Fact): boolean {
  const fallback = textOf(column, 'default');
  const isNumber = /^(?:smallint|integer|bigint|numeric)\b/.test(textOf(column, 'type') ?? '');
  return isNumber && (fallback === null || /^\(?nextval\('(?:[^']|'')*'::regclass\)\)?(?:::\w+)?$/.test(fallback));
}

/** It begins at its start, and the rows that are there have numbers already; those beyond its limits are none of its. */
function catchUp(sequence: Fact, scope: FixScope): void {
  const isFalling = (textOf(sequence, 'increment') ?? '').startsWith('-');
  const [most, last] = isFalling ? ['least', 'min'] : ['greatest', 'max'];
  const limits = `BETWEEN ${textOf(sequence, 'minimum')} AND ${textOf(sequence, 'maximum')}`;
  const numbers = usersOf(sequence, scope).map((column) => {
    return `(SELECT pg_catalog.${last}(${ownPart(column)}) FROM ${column.table} WHERE ${ownPart(column)} ${limits})`;
  });
  if (numbers.length === 0) return;
  const number = numbers.length === 1 ? numbers[0] : `${most}(${numbers.join(', ')})`;
  scope.add(
    'sequence owners',
    `SELECT pg_catalog.setval(${quoteLiteral(sequence.name)}, n::bigint) FROM (SELECT ${number} AS n) m WHERE n IS NOT NULL`,
  );
}

function changeSequence(difference: Changed, scope: FixScope): void {
  const { reference, actual } = difference;
  const parameters = ['type', 'start', 'increment', 'minimum', 'maximum', 'cache', 'cycle'];
  if (differsIn(difference, ...parameters)) {
    scope.add('sequences', `ALTER SEQUENCE ${reference.name} ${parametersOf(reference)}`, { names: '' });
  }
  if (differsIn(difference, 'owned by')) {
    // While it is a column's own it has the owner of the table.
    if (textOf(actual, 'owned by') !== null)
      scope.add('drop constraints', `ALTER SEQUENCE ${reference.name} OWNED BY NONE`);
    if (textOf(reference, 'owned by') !== null) ownedBy(reference, scope);
  }
  if (differsIn(difference, 'owner') && (textOf(actual, 'owned by') === null || differsIn(difference, 'owned by'))) {
    setOwner('SEQUENCE', reference, scope);
  }
  refuseAttributes(difference, scope, ['persistence'], 'a sequence is made so once');
}

/** An identity's sequence. */
export const sequenceNames: KindFix = {
  create: () => {},
  drop: () => {},
  change: ({ reference, actual, name }, scope) => {
    if (scope.isMissing('column', name) || scope.find('actual', 'column', name) === null) return;
    const [from, to] = [textOf(actual, 'name') ?? '', textOf(reference, 'name') ?? ''];
    scope.add('rename', `ALTER SEQUENCE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`);
  },
};
