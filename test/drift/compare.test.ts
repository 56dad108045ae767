import { describe, expect, it } from 'vitest';
import { classesOf, compareFacts } from '../../src/drift/compare.ts';
import { fact, factSet } from '../support/facts.ts';

const users = fact('table', 'users', { 'row-level security': false }, 'users');
const email = fact('column', 'users.email', { type: 'text', 'not null': true, default: null }, 'users');
const index = fact('index', 'users_email_idx', { definition: 'CREATE INDEX …', valid: true }, 'users');

describe('comparing facts', () => {
  it('finds nothing where all are equal, whatever order they came in', () => {
    const list = fact('privileges', 'users', { grants: ['a=r', 'b=w'] }, 'users');
    expect(compareFacts(factSet([users, email, list]), factSet([list, { ...email }, users]))).toEqual([]);
  });

  it('tells missing from extra', () => {
    const found = compareFacts(factSet([users, index]), factSet([users, email]));
    expect(found).toMatchObject([
      { kind: 'column', name: 'users.email', change: 'extra', reference: null, actual: email, attributes: [] },
      { kind: 'index', name: 'users_email_idx', change: 'missing', reference: index, actual: null },
    ]);
  });

  it('names each attribute that differs with both values', () => {
    const other = fact('column', 'users.email', { type: 'citext', 'not null': true, default: "''::citext" }, 'users');
    const [found] = compareFacts(factSet([email]), factSet([other]));
    expect(found).toMatchObject({ change: 'changed', class: 'structural' });
    expect(found?.attributes.map(({ name, reference, actual }) => [name, reference, actual])).toEqual([
      ['default', null, "''::citext"],
      ['type', 'text', 'citext'],
    ]);
  });

  it('takes null, empty text and an empty list for three things', () => {
    const of = (value: string | null | readonly string[]) => factSet([fact('function', 'f()', { settings: value })]);
    expect(compareFacts(of(null), of(''))).toHaveLength(1);
    expect(compareFacts(of(''), of([]))).toHaveLength(1);
    expect(compareFacts(of([]), of([]))).toHaveLength(0);
  });

  it('takes an attribute that one of them lacks for one that is null', () => {
    const short = fact('column', 'users.email', { type: 'text', 'not null': true }, 'users');
    expect(compareFacts(factSet([email]), factSet([short]))).toEqual([]);
  });

  it('is stable: the same two give the same list, from either insertion order', () => {
    const some = ['c', 'a', 'b'].map((name) => fact('index', name, {}, 'users'));
    const names = (facts: typeof some) => compareFacts(factSet([]), factSet(facts)).map(({ name }) => name);
    expect(names(some)).toEqual(['a', 'b', 'c']);
    expect(names(some.toReversed())).toEqual(['a', 'b', 'c']);
  });
});

describe('the class of a difference', () => {
  it('is the worst of its attributes, and none of them is hidden by it', () => {
    const before = fact('index', 'i', { definition: 'CREATE INDEX i ON t (a)', valid: true }, 't');
    const after = fact('index', 'i', { definition: 'CREATE INDEX i ON t (b)', valid: false }, 't');
    const [found] = compareFacts(factSet([before]), factSet([after]));
    expect(found?.class).toBe('broken');
    expect([...classesOf(found!)].toSorted()).toEqual(['broken', 'structural']);
  });
});

describe('what another difference says already', () => {
  const order = (...columns: string[]) => factSet([fact('column order', 'users', { columns }, 'users')]);

  it('is the order of columns around one that is extra, and not another order', () => {
    expect(compareFacts(order('a', 'b'), order('a', 'tmp', 'b'))).toEqual([]);
    expect(compareFacts(order('a', 'b', 'c'), order('c', 'a'))).toHaveLength(1);
  });

  it('is the name of a constraint that is missing, and not another name', () => {
    const name = (text: string) => fact('constraint name', 'users: CHECK (a)', { name: text }, 'users');
    expect(compareFacts(factSet([name('a')]), factSet([]))).toEqual([]);
    expect(compareFacts(factSet([name('a')]), factSet([name('b')]))).toHaveLength(1);
  });
});
