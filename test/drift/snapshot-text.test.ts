import { describe, expect, it } from 'vitest';
import { type Fact, type FactSet, type FactValue, factKey } from '../../src/drift/fact.ts';
import { parseSnapshot } from '../../src/drift/parse-snapshot.ts';
import { formatSnapshot } from '../../src/drift/snapshot-text.ts';
import { UsageError } from '../../src/errors.ts';
import { safeText } from '../../src/output/safe-text.ts';
import { makeRandom, type Random, testSeeds } from '../support/random.ts';

function factSet(facts: readonly Fact[], more: Partial<FactSet> = {}): FactSet {
  const byKey = new Map(facts.map((fact) => [factKey(fact.kind, fact.name), fact]));
  return { major: 15, facts: byKey, unmodelled: [], templated: [], ...more };
}

const users: Fact = {
  kind: 'table',
  name: 'users',
  table: 'users',
  attributes: { owner: '{role}', 'row security': false },
};
const email: Fact = {
  kind: 'column',
  name: 'users.email',
  table: 'users',
  attributes: { type: 'character varying(200)', 'not null': true, default: null, statistics: 100 },
};
const touch: Fact = {
  kind: 'function',
  name: 'touch(integer, text)',
  table: null,
  attributes: {
    definition: 'BEGIN\n  NEW.at = now();\n\n\tRETURN NEW; \nEND',
    labels: ['a', '', 'null'],
    settings: [],
  },
};
const sample = factSet([email, users, touch], {
  unmodelled: [{ kind: 'text search parser', count: 2 }],
  templated: [factKey('function', 'touch(integer, text)')],
});

const text = String.raw`facts 1, postgresql 15
# What a tenant consists of, without its own names. Written by drift snapshot.

not looked at: 2 "text search parser"

function: "touch(integer, text)" (templated)
  definition: |
    | BEGIN
    |   NEW.at = now();
    |
    "\tRETURN NEW; "
    | END
  labels:
    - a
    - ""
    - "null"
  settings: []

column: users.email of users
  default: null
  not null: true
  statistics: 100
  type: character varying(200)

table: users of users
  owner: {role}
  row security: false

end
`;

describe('a snapshot', () => {
  it('is a text for people, one object a block, in one order', () => {
    expect(formatSnapshot(sample)).toBe(text);
    expect(formatSnapshot(factSet([touch, users, email], sample))).not.toBe('');
    expect(formatSnapshot({ ...sample, facts: new Map([...sample.facts].reverse()) })).toBe(text);
  });

  it('reads back as it was', () => {
    expect(parseSnapshot(text, 'x.facts')).toEqual(sample);
  });

  it('reads back after a checkout on Windows, with a mark in front, blank lines and remarks', () => {
    const handled = `\uFEFF${text.replace('column:', '\n# looked at by two people\n\ncolumn:').replaceAll('\n', '\r\n')}\r\n`;
    expect(parseSnapshot(handled, 'x.facts')).toEqual(sample);
  });

  it.each(testSeeds(40))('reads back exactly, and has nothing that a terminal acts on (seed %i)', (seed) => {
    const random = makeRandom(seed);
    const facts = factSet(
      Array.from({ length: 8 }, () => randomFact(random)),
      { major: random.between(12, 18) },
    );
    const all = {
      ...facts,
      templated: [...facts.facts.keys()].filter(() => random.chance(0.3)).sort(),
      unmodelled: [{ kind: randomText(random), count: random.between(0, 999) }],
    };
    const written = formatSnapshot(all);
    // Nor anything that an editor takes away.
    for (const line of written.split('\n')) expect(safeText(line).trimEnd()).toBe(line);
    const read = parseSnapshot(written, 'x.facts');
    expect({ ...read, templated: read.templated.toSorted() }).toEqual(all);
    expect([...read.facts.keys()].sort()).toEqual([...all.facts.keys()].sort());
    expect(formatSnapshot(read)).toBe(written);
  });
});

/** Each of them could be taken for something else. */
const odd = [
  ...[
    '',
    ' ',
    'null',
    'true',
    '12',
    '-1',
    '1e3',
    '[]',
    '|',
    '| x',
    '- x',
    '"',
    '"x"',
    '#x',
    'end',
    'a of b',
    'a: b',
    ':',
  ],
  ...[
    'x (templated)',
    '\n',
    'a\nb',
    'a\n',
    '\na',
    'a\r\nb',
    '\t',
    'a ',
    ' a',
    '\\',
    '\\n',
    '{schema}',
    '__proto__',
    'é',
    '👍',
  ],
  ...[
    '\u0000',
    '\u001b[31m',
    '\u0085',
    '\u00a0',
    '\u2028',
    '\u202e',
    '\ufeff',
    '\u200b',
    'constructor',
    'not looked at',
  ],
];

function randomText(random: Random): string {
  const parts = Array.from({ length: random.between(1, 3) }, () => random.pick(odd));
  return parts.join(random.pick(['', ' ', '\n', 'x']));
}

function randomValue(random: Random): FactValue {
  const kind = random.between(0, 5);
  if (kind === 0) return random.pick([true, false, null]);
  if (kind === 1) return random.pick([0, -1, 2.5, 1e21, 100]);
  if (kind === 2) return Array.from({ length: random.between(0, 3) }, () => randomText(random));
  return randomText(random);
}

function randomFact(random: Random): Fact {
  const names = Array.from({ length: random.between(0, 4) }, () =>
    random.pick(['type', 'not null', randomText(random)]),
  );
  return {
    kind: random.pick(['column', 'column order', randomText(random)]),
    name: random.pick(['users', randomText(random)]),
    table: random.pick([null, 'users', randomText(random)]),
    attributes: Object.fromEntries(names.map((name) => [name, randomValue(random)])),
  };
}

describe('a damaged or foreign snapshot is refused with its line', () => {
  const lines = text.split('\n');
  const damaged = (from: string, to: string) => text.replace(from, to);
  it.each<[string, string, string]>([
    ['another file', '{"facts":[]}', 'x.facts:1: this is no snapshot'],
    ['an empty file', '', 'x.facts:1: this is no snapshot'],
    ['a format of later', damaged('facts 1,', 'facts 2,'), 'x.facts:1: the snapshot has format 2'],
    ['cut off between two objects', lines.slice(0, 18).join('\n'), 'x.facts:18: the file ends before'],
    ['cut off within one', lines.slice(0, 19).join('\n'), 'x.facts:19: the file ends before'],
    ['a line of git’s', damaged('column:', '<<<<<<< HEAD\ncolumn:'), 'x.facts:19: no object begins'],
    [
      'an object twice',
      damaged('table: users', 'column: users.email'),
      'x.facts:25: the column users.email is there twice',
    ],
    ['an attribute twice', damaged('  not null: true', '  default: null'), 'x.facts:21: default is there twice'],
    ['an attribute without a value', damaged('null: true', 'null: '), 'x.facts:21: no value'],
    ['a number that is none', damaged('100', '1oo'), 'x.facts:22: no value'],
    ['quotes that do not close', damaged('"null"', '"null'), 'x.facts:16: no line of a value'],
    ['an item without its dash', damaged('- a', 'a'), 'x.facts:14: no line of a value'],
    [
      'a list without items',
      damaged('    - a\n    - ""\n    - "null"\n', ''),
      'x.facts:13: lines of a value are missing',
    ],
    ['a line without its bar', damaged('| BEGIN', 'BEGIN'), 'x.facts:8: no line of a value'],
    ['other indentation', damaged('  owner', '   owner'), 'x.facts:26: no attribute'],
    ['something behind the end', `${text}table: more\n`, 'x.facts:30: something follows'],
  ])('%s', (_, broken, message) => {
    expect(broken).not.toBe(text);
    const read = () => parseSnapshot(broken, 'x.facts');
    expect(read).toThrow(UsageError);
    expect(read).toThrow(message);
  });
});
