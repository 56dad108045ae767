import { expect, test } from 'vitest';
import { hasWildcard, literalPrefix, matchGlob } from '../../src/fleet/glob.ts';

test.each<[string, string, readonly string[] | null]>([
  ['tenant_*', 'tenant_a', ['a']],
  ['tenant_*', 'tenant_', ['']],
  ['tenant_*', 'tenantXa', null],
  ['tenant_*', 'Tenant_a', null],
  ['*', '', ['']],
  ['*', 'anything', ['anything']],
  ['**', 'x', ['x']],
  ['*_*', 'eu_acme_2', ['eu', 'acme_2']],
  ['*_db', 'a_db_db', ['a_db']],
  ['a*b*c', 'a1b2b3c', ['1', '2b3']],
  ['t_??', 't_ab', []],
  ['t_??', 't_a', null],
  ['?', '😀', []],
  ['*', '*', ['*']],
  ['a*', 'ba', null],
  ['acme', 'acme', []],
  ['acme', 'acme2', null],
  ['a.c', 'abc', null],
  ['[ab]%_*', "[ab]%_'", ["'"]],
  ['é*', 'e\u0301x', null],
])('%s against %s', (pattern, name, matched) => {
  expect(matchGlob(pattern, name)).toEqual(matched);
});

test('a pattern made to be slow ends', () => {
  expect(matchGlob(`${'*a'.repeat(30)}b`, 'a'.repeat(2000))).toBeNull();
});

test.each([
  ['tenant_*', 'tenant_', true],
  ['t?_*', 't', true],
  ['*', '', true],
  ['acme', 'acme', false],
])('%s begins with %s', (pattern, prefix, wildcard) => {
  expect(literalPrefix(pattern)).toBe(prefix);
  expect(hasWildcard(pattern)).toBe(wildcard);
});
