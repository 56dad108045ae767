import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Fact } from '../fact.ts';
import { bareName, isSet, quoteLiteral, textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import { type Changed, differsIn, type KindFix, refuseAttributes } from './kind-fix.ts';
import { setOwner } from './owners.ts';

export const sequences: KindFix = {
  create: (sequence, scope) => {
    const kind = textOf(sequence, 'persistence') === 'unlogged' ? 'UNLOGGED SEQUENCE' : 'SEQUENCE';
    const text = `CREATE ${kind} ${sequence.name} ${parametersOf(sequence)}`;
    scope.add('sequences', text, { makes: bareName(sequence.name), names: '' });
    setOwner('SEQUENCE', sequence, scope);
    if (textOf(sequence, 'owned by') !== null) {
      ownedBy(sequence, scope);
      catchUp(sequence, scope);
    }
  },
  drop: (sequence, scope) => {
    // A column's own goes with it.
    if (sequence.table !== null && scope.isDropped('table', sequence.table)) return;
    if (scope.isDropped('column', textOf(sequence, 'owned by') ?? '')) return;
    scope.add('drop rest', `DROP SEQUENCE ${sequence.name}`);
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

/** It begins at its start, and the rows that are there have numbers already. */
function catchUp(sequence: Fact, scope: FixScope): void {
  const owner = textOf(sequence, 'owned by');
  if (owner === null || sequence.table === null || scope.isMissing('table', sequence.table)) return;
  const column = owner.slice(sequence.table.length + 1);
  const largest = `pg_catalog.max(${column})`;
  const name = quoteLiteral(sequence.name);
  scope.add(
    'sequence owners',
    `SELECT pg_catalog.setval(${name}, ${largest}) FROM ${sequence.table} HAVING ${largest} IS NOT NULL`,
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
