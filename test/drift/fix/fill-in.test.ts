import { describe, expect, it } from 'vitest';
import { fillIn, roleSql } from '../../../src/drift/fix/fill-in.ts';
import { isWidening } from '../../../src/drift/fix/widening.ts';

const own = { schema: `o'"dd`, id: 'seven', role: 'Owner "7"' };

describe('own names', () => {
  it('are quoted as their place wants it', () => {
    const text = `SET x TO "{schema}"; SELECT '{schema}', $b$ {schema}.t -- it's {schema}\n '{schema}' $b$`;
    expect(fillIn({ text }, own)).toBe(
      `SET x TO "o'""dd"; SELECT 'o''"dd', $b$ "o'""dd".t -- it's o'"dd\n 'o''"dd' $b$`,
    );
  });

  it('are not put where a text has braces by itself', () => {
    const text = `ALTER TABLE a OWNER TO ${roleSql('{role}')}; SELECT "{=id}" #>> '{=id}', $$ '{==id}' $$`;
    expect(fillIn({ text }, own)).toBe(`ALTER TABLE a OWNER TO "Owner ""7"""; SELECT "{id}" #>> '{id}', $$ '{=id}' $$`);
  });

  it('are asked for where a tenant has none', () => {
    expect(() => fillIn({ text: roleSql('{role}') }, { ...own, role: null })).toThrow(/this tenant has none/);
  });

  it('keep what a backslash is for', () => {
    const odd = { ...own, schema: String.raw`a\'b` };
    expect(fillIn({ text: String.raw`select E'\'{schema}', '{schema}'` }, odd)).toBe(
      String.raw`select E'\'a\\''b', 'a\''b'`,
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
