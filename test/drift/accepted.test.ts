import { expect, it } from 'vitest';
import { acceptDifferences, acceptsAny } from '../../src/drift/accepted.ts';
import { compareFacts } from '../../src/drift/compare.ts';
import type { AcceptedEntry } from '../../src/fleet/accepted-drift.ts';
import { fact, factSet } from '../support/facts.ts';

function entry(more: Partial<AcceptedEntry>): AcceptedEntry {
  const base = { tenants: ['*'], labels: [], kind: '*', name: '*', attribute: null };
  return { ...base, reason: 'agreed', until: '2027-01-31', at: 'a.yaml:3:5', ...more };
}

const before = factSet([
  fact('index', 'i', { definition: 'CREATE INDEX i ON t (a)', valid: true }, 't'),
  fact('column', 't.a', { type: 'text' }, 't'),
]);
const after = factSet([
  fact('index', 'i', { definition: 'CREATE INDEX i ON t (b)', valid: false }, 't'),
  fact('column', 't.tmp', { type: 'text' }, 't'),
]);
const differences = compareFacts(before, after);
const names = (list: readonly { readonly kind: string; readonly name: string }[]) =>
  list.map(({ kind, name }) => `${kind} ${name}`);

it('takes out what an entry names by kind and name, globs included', () => {
  const { open, accepted } = acceptDifferences(differences, [entry({ kind: 'column', name: 't.t*' })]);
  expect(names(open)).toEqual(['column t.a', 'index i']);
  expect(names(accepted.map(({ difference }) => difference))).toEqual(['column t.tmp']);
});

it('accepts an attribute and leaves what else differs of the object', () => {
  const { open, accepted } = acceptDifferences(differences, [entry({ kind: 'index', name: 'i', attribute: 'valid' })]);
  const index = open.find(({ kind }) => kind === 'index');
  expect(index?.attributes.map(({ name }) => name)).toEqual(['definition']);
  expect(index?.class).toBe('structural');
  expect(accepted.map(({ difference }) => difference.attributes.map(({ name }) => name))).toEqual([['valid']]);
});

it('takes two entries for two attributes of one object', () => {
  const both = ['valid', 'definition'].map((attribute) => entry({ kind: 'index', name: 'i', attribute }));
  const { open, accepted } = acceptDifferences(differences, both);
  expect(names(open)).toEqual(['column t.a', 'column t.tmp']);
  expect(accepted).toHaveLength(2);
});

it('never accepts by an attribute that an object is missing', () => {
  const one = entry({ kind: 'column', attribute: 'type' });
  expect(acceptDifferences(differences, [one]).accepted).toEqual([]);
  expect(acceptsAny(one, differences)).toBe(false);
});

it('changes nothing without entries', () => {
  expect(acceptDifferences(differences, [])).toEqual({ open: differences, accepted: [] });
});

it('accepts with a table that is extra what belongs to it', () => {
  const tmp = [fact('table', 'tmp', {}, 'tmp'), fact('column', 'tmp.a', { type: 'text' }, 'tmp')];
  const found = compareFacts(factSet([]), factSet([...tmp, fact('column', 'users.tmp', {}, 'users')]));
  const { open, accepted } = acceptDifferences(found, [entry({ kind: 'table', name: 'tmp' })]);
  expect(names(open)).toEqual(['column users.tmp']);
  expect(names(accepted.map(({ difference }) => difference))).toEqual(['table tmp', 'column tmp.a']);
});
