import { expect, it } from 'vitest';
import { readSequenceState } from '../../../src/backups/restore/row-sequences.ts';

it.each([
  ["SELECT pg_catalog.setval('tenant_acme.tasks_id_seq', 20, true);\n", '(20)::pg_catalog.int8', true],
  [`SELECT pg_catalog.setval('"a, 7, true);".down', -9223372036854775808, false);\n`, '(-9223372036854775808)', false],
])('reads where %j sets a sequence', (definition, last, called) => {
  expect(readSequenceState(definition)).toEqual({ last: expect.stringContaining(last), called });
});

it('reads nothing where there is none', () => {
  expect(readSequenceState('')).toBeNull();
});
