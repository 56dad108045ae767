import { describe, expect, test } from 'vitest';
import { inList, proposalLines } from '../../src/completion/candidates.ts';
import { findCursor, readArguments, readFlag } from '../../src/completion/command-line.ts';

const flags = [
  { flags: '-t, --tenant <pattern...>', description: 'ids' },
  { flags: '--all', description: 'every tenant' },
  { flags: '-c, --config <file>', description: 'the inventory' },
  { flags: '-o, --output <format[=file]>', description: 'a format' },
  { flags: '--no-check-order', description: 'whatever the order' },
].map(readFlag);

/** `value of --tenant after acme`, `argument run`, `flag`: what the words say of the cursor. */
function place(line: string, ownArguments = ''): string {
  const found = findCursor(line.split(' '), flags, readArguments(ownArguments));
  const after = found.taken.length > 0 ? ` after ${found.taken.join(' ')}` : '';
  const what = [
    ...(found.valueOf === null ? [] : [`value of ${found.valueOf.long}${after}`]),
    ...(found.argument === null ? [] : [`argument ${found.argument.takes}${after}`]),
    ...(found.mayBeFlag ? ['flag'] : []),
  ];
  return `${what.join(' or ')}: ${found.prefix}|${found.text}`;
}

test('reads how flags and arguments are written', () => {
  expect(flags.map(({ short, long, takes, isMany }) => [short, long, takes, isMany])).toEqual([
    ['-t', '--tenant', 'pattern', true],
    [null, '--all', null, false],
    ['-c', '--config', 'file', false],
    ['-o', '--output', 'format[=file]', false],
    [null, '--no-check-order', null, false],
  ]);
  expect(readArguments('<run> [name...]')).toEqual([
    { takes: 'run', isMany: false },
    { takes: 'name', isMany: true },
  ]);
  expect(readFlag({ flags: '--canary <n|p%>', description: '' }).takes).toBe('n|p%');
});

describe('what stands at the cursor', () => {
  test.each([
    ['', 'flag: |'],
    ['--a', 'flag: |--a'],
    ['--tenant ', 'value of --tenant: |'],
    ['-t ac', 'value of --tenant: |ac'],
    ['-t acme e', 'value of --tenant after acme: |e'],
    ['-t acme --', 'flag: |--'],
    ['-t acme --all ', 'flag: |'],
    ['-c -t', 'value of --config: |-t'],
    ['-c --all ac', 'flag: |ac'],
    ['--config x ', 'flag: |'],
    ['--output=js', 'value of --output: --output=|js'],
    ['--output=json=fi', 'value of --output: --output=|json=fi'],
    ['--tenant=acme ', 'flag: |'],
    ['--unknown x ', 'flag: |'],
  ])('%s', (line, expected) => expect(place(line)).toBe(expected));

  test.each([
    ['', 'argument run or flag: |'],
    ['k3', 'argument run or flag: |k3'],
    ['k3f9 ', 'flag: |'],
    ['--all ', 'argument run or flag: |'],
    ['-t acme --all ', 'argument run or flag: |'],
    ['-- -x', 'argument run: |-x'],
    ['--', 'flag: |--'],
  ])('with an argument: %s', (line, expected) => expect(place(line, '<run>')).toBe(expected));

  test('any number of arguments', () => {
    expect(place('a b ', '<name...>')).toBe('argument name after a b or flag: |');
  });

  test('knows which flags were given', () => {
    const { given } = findCursor(['-t', 'acme', '--output=json', ''], flags, []);
    expect([...given]).toEqual(['--tenant', '--output']);
  });
});

test('the lines for the shell are whole words, and hold nothing that would part them', () => {
  const candidates = [
    { value: 'json', description: 'for\tprograms\nand more' },
    { value: 'js\nx' },
    { value: 'junit' },
    { value: 'json', description: 'twice' },
    { value: 'js' },
  ];
  expect(proposalLines(candidates, '--output=', 'js')).toBe('--output=json\ttwice\n--output=js\n:4\n');
  expect(proposalLines(candidates.slice(0, 1), '', '')).toBe('json\tfor programs and more\n:4\n');
  expect(proposalLines('files', '', '')).toBe(':0\n');
});

test('of a list only the last part is completed, and nothing twice', () => {
  const all = [{ value: 'a' }, { value: 'b' }];
  expect(inList(all, '').map(({ value }) => value)).toEqual(['a', 'b']);
  expect(inList(all, 'a,').map(({ value }) => value)).toEqual(['a,b']);
});
