import { describe, expect, it } from 'vitest';
import type { Difference } from '../../src/drift/compare.ts';
import { compareFacts } from '../../src/drift/compare.ts';
import {
  countDifference,
  definitionLines,
  describeDifference,
  describeWithin,
} from '../../src/drift/describe-difference.ts';
import type { Fact } from '../../src/drift/fact.ts';
import { foldDifferences } from '../../src/drift/fold-differences.ts';
import { fact, factSet } from '../support/facts.ts';

function only(reference: Fact | null, actual: Fact | null): Difference {
  const of = (each: Fact | null) => factSet(each === null ? [] : [each]);
  const found = compareFacts(of(reference), of(actual));
  expect(found).toHaveLength(1);
  return found[0]!;
}

const dueIndex = fact('index', 'tasks_due_idx', { definition: 'CREATE INDEX tasks_due_idx ON tasks (due)' }, 'tasks');
const tmp = fact('column', 'users.tmp', { type: 'text', 'not null': true, local: true }, 'users');
const table = (more: Fact['attributes']) => fact('table', 'invoices', { 'row security': true, ...more }, 'invoices');
const check = 'users: CHECK ((age > 0))';

describe('a difference in words', () => {
  it.each([
    [only(dueIndex, null), 'lacks index tasks_due_idx on tasks'],
    [only(null, tmp), 'has an extra column users.tmp (text)'],
    [only(table({}), table({ 'row security': false })), 'table invoices has row security off'],
    [
      only(tmp, { ...tmp, attributes: { ...tmp.attributes, type: 'integer' } }),
      'column users.tmp has type integer, not text',
    ],
    [
      only(tmp, { ...tmp, attributes: { ...tmp.attributes, type: 'integer', 'not null': false } }),
      'column users.tmp has not null off and has type integer, not text',
    ],
    [only(fact('function', 'f(integer)', { language: null }), null), 'lacks function f(integer)'],
    [
      only(
        fact('view', 'v', { definition: 'SELECT 1\nFROM a' }, 'v'),
        fact('view', 'v', { definition: 'SELECT 2' }, 'v'),
      ),
      'view v has another definition',
    ],
    [only(fact('trigger', 'users.audit', {}, 'users'), null), 'lacks trigger audit on users'],
    [
      only(fact('index', 'i', { valid: true }, 't'), fact('index', 'i', { valid: false }, 't')),
      'index i on t is not valid',
    ],
    [
      only(fact('trigger', 't.a', { enabled: 'enabled' }, 't'), fact('trigger', 't.a', { enabled: 'disabled' }, 't')),
      'trigger a on t is disabled, not enabled',
    ],
    [
      only(fact('column', 't.a', { default: '5' }, 't'), fact('column', 't.a', { default: null }, 't')),
      'column t.a has no default, not 5',
    ],
    [only(fact('publication', 'pub: users', {}, 'users'), null), 'lacks publication pub of users'],
    [
      only(fact('schema', 'schema', { owner: 'a' }), fact('schema', 'schema', { owner: 'b' })),
      'the schema has owner b, not a',
    ],
    [only(fact('constraint', check, {}, 'users'), null), 'lacks constraint CHECK ((age > 0)) on users'],
    [
      only(
        fact('constraint name', check, { name: 'a' }, 'users'),
        fact('constraint name', check, { name: 'b' }, 'users'),
      ),
      'constraint CHECK ((age > 0)) on users is called b, not a',
    ],
    [
      only(
        fact('column order', 'users', { columns: ['a', 'b'] }, 'users'),
        fact('column order', 'users', { columns: ['b', 'a'] }, 'users'),
      ),
      'the order of the columns of users differs',
    ],
    [
      only(
        fact('privileges', 'table users', { grants: ['a'] }, 'users'),
        fact('privileges', 'table users', { grants: [] }, 'users'),
      ),
      'privileges of table users differ',
    ],
  ])('%#: %s', (difference, words) => {
    expect(describeDifference(difference)).toBe(words);
  });

  it.each([
    [only(dueIndex, null), 1, '1 lacks index tasks_due_idx on tasks'],
    [only(dueIndex, null), 5, '5 lack index tasks_due_idx on tasks'],
    [only(null, tmp), 1, '1 has an extra column users.tmp (text)'],
    [only(null, tmp), 2, '2 have an extra column users.tmp (text)'],
    [only(table({}), table({ 'row security': false })), 3, '3 where table invoices has row security off'],
  ])('%#: counted', (difference, tenants, words) => {
    expect(countDifference(difference, tenants)).toBe(words);
  });
});

describe('both definitions', () => {
  const lines = (difference: Difference) => definitionLines({ difference, within: [] });

  it('are what is missing, or what is extra', () => {
    expect(lines(only(dueIndex, null))).toEqual(['- CREATE INDEX tasks_due_idx ON tasks (due)']);
    expect(lines(only(null, tmp))).toEqual(['+ not null: on']);
  });

  it('are a diff where both have the object', () => {
    const body = (last: string) => fact('function', 'f()', { body: `BEGIN\n  RETURN ${last};\nEND` });
    expect(lines(only(body('1'), body('2')))).toEqual([
      '@@ -1,3 +1,3 @@',
      ' BEGIN',
      '-  RETURN 1;',
      '+  RETURN 2;',
      ' END',
    ]);
  });

  it('have a line for each member of a list that only one of them has', () => {
    const grants = (...list: string[]) => fact('privileges', 'table users', { grants: list }, 'users');
    const lists = only(grants('SELECT to a', 'SELECT to b'), grants('SELECT to a', 'SELECT to c'));
    expect(lines(lists)).toEqual(['- SELECT to b', '+ SELECT to c']);
  });

  it('show a list in another order as a diff', () => {
    const labels = (...list: string[]) => fact('enum', 'mood', { labels: list });
    expect(lines(only(labels('sad', 'happy'), labels('happy', 'sad')))).toEqual([
      '@@ -1,2 +1,2 @@',
      '-sad',
      ' happy',
      '+sad',
    ]);
  });

  it('are empty where the words say it all', () => {
    expect(lines(only(table({}), table({ 'row security': false })))).toEqual([]);
  });
});

describe('a table that is missing as a whole', () => {
  const facts = [
    fact('table', 'tmp', { owner: 'app' }, 'tmp'),
    fact('column', 'tmp.id', { type: 'integer' }, 'tmp'),
    fact('column', 'tmp.note', { type: 'text' }, 'tmp'),
    fact('index', 'tmp_idx', {}, 'tmp'),
    fact('privileges', 'table tmp', { grants: ['SELECT to app'] }, 'tmp'),
    fact('column', 'users.tmp', { type: 'text' }, 'users'),
    fact('function', 'f()'),
    fact('privileges', 'function f()', { grants: [] }),
    fact('privileges', 'function g()', { grants: [] }),
  ];
  const folded = foldDifferences(compareFacts(factSet([]), factSet(facts)));

  it('is one difference with what belongs to it', () => {
    expect(folded.map(({ difference }) => describeDifference(difference))).toEqual([
      'has an extra function f()',
      'has extra privileges of function g()',
      'has an extra table tmp',
      'has an extra column users.tmp (text)',
    ]);
    expect(describeWithin(folded[2]!)).toBe('with 2 columns and 1 index');
    expect(definitionLines(folded[2]!)).toEqual([
      '+ column tmp.id (integer)',
      '+ column tmp.note (text)',
      '+ index tmp_idx on tmp',
    ]);
  });
});
