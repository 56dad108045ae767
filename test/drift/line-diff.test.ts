import { expect, it } from 'vitest';
import { unifiedDiff } from '../../src/drift/line-diff.ts';
import { makeRandom } from '../support/random.ts';

it('shows a change with three lines around it, and where it is', () => {
  const before = ['1', '2', '3', '4', 'five', '6', '7', '8', '9'].join('\n');
  expect(unifiedDiff(before, before.replace('five', '5'))).toEqual([
    '@@ -2,7 +2,7 @@',
    ' 2',
    ' 3',
    ' 4',
    '-five',
    '+5',
    ' 6',
    ' 7',
    ' 8',
  ]);
});

it('has a hunk for each change that is far from the others', () => {
  const lines = Array.from({ length: 30 }, (_, index) => `line ${index}`);
  const after = lines.map((line) => (line === 'line 2' || line === 'line 25' ? `${line}!` : line));
  const diff = unifiedDiff(lines.join('\n'), after.join('\n'));
  expect(diff.filter((line) => line.startsWith('@@'))).toEqual(['@@ -1,6 +1,6 @@', '@@ -23,7 +23,7 @@']);
});

it('says nothing of equal texts', () => {
  expect(unifiedDiff('a\nb', 'a\nb')).toEqual([]);
});

it('leads from any text to any other', () => {
  const random = makeRandom(11);
  for (let round = 0; round < 300; round += 1) {
    const text = () =>
      Array.from({ length: random.between(0, 25) }, () => random.pick(['a', 'b', 'c', 'd'])).join('\n');
    const [before, after] = [text(), text()];
    expect(apply(before, unifiedDiff(before, after)), `${before}\n->\n${after}`).toBe(after);
  }
});

/** What patch(1) would make of it; fails where the diff does not fit. */
function apply(before: string, diff: readonly string[]): string {
  const lines = before.split('\n');
  const result: string[] = [];
  let at = 0;
  for (const line of diff) {
    const head = /^@@ -(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(line);
    if (head !== null) {
      while (at < Number(head[1]) - 1) result.push(lines[at++]!);
      expect(result.length).toBe(Number(head[3]) - 1);
    } else if (line.startsWith('+')) {
      result.push(line.slice(1));
    } else {
      expect(line.slice(1)).toBe(lines[at]);
      if (line.startsWith(' ')) result.push(lines[at]!);
      at += 1;
    }
  }
  return [...result, ...lines.slice(at)].join('\n');
}
