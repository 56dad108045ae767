import { describe, expect, it } from 'vitest';
import { fillIn, roleSql } from '../../../src/drift/fix/fill-in.ts';
import { isWidening } from '../../../src/drift/fix/widening.ts';

const own = { schema: `o'"dd`, id: 'seven', role: 'Owner "7"' };

describe('own names', () => {
  it('are quoted as their place wants it', () => {
    const text = `SET x TO "{schema}"; SELECT '{schema}', $b$ {id} '{id}' $b$`;
    expect(fillIn({ text, isTemplated: true }, own)).toBe(`SET x TO "o'""dd"; SELECT 'o''"dd', $b$ seven 'seven' $b$`);
  });

  it('are put into names only, where the text is not templated', () => {
    const text = `ALTER TABLE a OWNER TO ${roleSql('{role}')}; SELECT x #>> '{id}', $$ '{id}' $$`;
    expect(fillIn({ text, isTemplated: false }, own)).toBe(
      `ALTER TABLE a OWNER TO "Owner ""7"""; SELECT x #>> '{id}', $$ '{id}' $$`,
    );
  });
});

describe('a type', () => {
  it.each([
    ['integer', 'bigint', true],
    ['bigint', 'integer', false],
    ['character varying(10)', 'character varying(20)', true],
    ['character varying(20)', 'character varying(10)', false],
    ['character varying(20)', 'text', true],
    ['text', 'character varying(20)', false],
    ['numeric(8,1)', 'numeric(10,2)', true],
    ['numeric(10,2)', 'numeric(10,4)', false],
    ['numeric', 'numeric(10,2)', false],
    ['text', 'integer', false],
  ])('%s fits %s: %s', (from, to, expected) => {
    expect(isWidening(from, to)).toBe(expected);
  });
});
