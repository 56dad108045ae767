import { describe, expect, it } from 'vitest';
import { CopyRows } from '../../../src/backups/archive/copy-rows.ts';
import { makeRandom, type Random, testSeeds } from '../../support/random.ts';

function count(text: string, random: Random | null = null) {
  const bytes = Buffer.from(`before${text}after`);
  const rows = new CopyRows();
  const end = bytes.length - 5;
  for (let at = 6; at < end; ) {
    const to = random === null ? end : Math.min(end, at + random.between(0, 4));
    rows.add(bytes, at, to);
    at = to;
  }
  return rows.end();
}

const good: readonly (readonly [text: string, rows: number])[] = [
  ['\\.\n\n\n', 0],
  ['1\n\\.\n\n\n', 1],
  ['\n\n\\.\n\n\n', 2],
  ['x.\n\\.\n\n\n', 1],
  ['a\\\\.\n\\\\.\n.\n\\N\nx\\.\n\\.y\n\\.\n\n\n', 6],
];

const bad = [
  '',
  '1\n',
  '\n\n\n',
  '\\.',
  '\\.\n',
  '\\.\n\n',
  '\\.\n\n\n\n',
  '\\.\n\nx',
  '\\.\nx\n\n',
  '\\.\n1\n\\.\n\n\n',
  '1\\.\n\n\n',
  '1\n\\.x\n\n\n',
];

describe('rows of COPY text', () => {
  it.each(good)('%j has %i', (text, rows) => {
    expect(count(text)).toEqual({ rows });
  });

  it.each(bad)('%j is not whole', (text) => {
    expect(count(text)).toEqual({ problem: expect.any(String) });
  });

  it.each(testSeeds(20))('are the same however the text is cut (seed %i)', (seed) => {
    const random = makeRandom(seed);
    for (const [text, rows] of good) expect(count(text, random)).toEqual({ rows });
    for (const text of bad) expect(count(text, random)).toEqual({ problem: expect.any(String) });
  });
});
