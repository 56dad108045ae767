import { describe, expect, it } from 'vitest';
import { safeJson, safeText } from '../../src/output/safe-text.ts';
import { baseName, cutText, displayWidth, formatDuration, formatRate, padText } from '../../src/output/text.ts';
import { formatBytes, listNames, plural } from '../../src/words.ts';

describe('text', () => {
  it('counts', () => {
    expect([plural(0, 'tenant'), plural(1, 'tenant'), plural(2, 'tenant')]).toEqual([
      '0 tenants',
      '1 tenant',
      '2 tenants',
    ]);
    expect(plural(2, 'history', 'histories')).toBe('2 histories');
  });

  it('lists names', () => {
    expect(listNames([])).toBe('');
    expect(listNames(['a'])).toBe('a');
    expect(listNames(['a', 'b', 'c'])).toBe('a, b and c');
    expect(listNames(['a', 'b', 'c', 'd', 'e'])).toBe('a, b, c and 2 more');
  });

  it.each([
    [0, '0 ms'],
    [340.4, '340 ms'],
    [999.6, '1.0 s'],
    [1834, '1.8 s'],
    [9_960, '10 s'],
    [119_400, '119 s'],
    [720_000, '12 min'],
    [7_200_000, '2 h'],
    [11_100_000, '3 h 5 min'],
  ])('duration %d', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('rates and bytes', () => {
    expect([formatRate(25.3), formatRate(1.25), formatRate(0.05)]).toEqual(['25/s', '1.3/s', '3.0/min']);
    expect([formatBytes(0), formatBytes(512), formatBytes(999_600), formatBytes(1_430_000_000)]).toEqual([
      '0 B',
      '512 B',
      '1.0 MB',
      '1.4 GB',
    ]);
  });

  it('measures, cuts and pads by columns', () => {
    expect(displayWidth('日本')).toBe(4);
    expect(displayWidth('e\u0301🎉')).toBe(3);
    expect(cutText('abcdef', 6)).toBe('abcdef');
    expect(cutText('abcdefg', 6)).toBe('abcde…');
    expect(displayWidth(cutText('日本語日本語', 6))).toBeLessThanOrEqual(6);
    expect(cutText('abc', 0)).toBe('');
    expect(padText('日', 4)).toBe('日  ');
  });

  it('takes the last part of a path', () => {
    expect([baseName('a/b/c.sql'), baseName('c.sql'), baseName('a\\c.sql')]).toEqual(['c.sql', 'c.sql', 'c.sql']);
  });
});

describe('safeText', () => {
  it.each([
    ['colour', 'a\u001b[31mred', 'a\\x1b[31mred'],
    ['title of the window', '\u001b]0;pwned\u0007', '\\x1b]0;pwned\\x07'],
    ['8-bit CSI', '\u009b2J', '\\x9b2J'],
    ['lines', 'a\r\nb\tc', 'a\\r\\nb\\tc'],
    ['bidi override', 'acme\u202eexe', 'acme\\u{202e}exe'],
    ['zero width', 'ac\u200bme', 'ac\\u{200b}me'],
    ['line separator', 'a\u2028b', 'a\\u{2028}b'],
    ['lone surrogate', 'a\ud800b', 'a\\u{d800}b'],
    ['harmless letters', 'Zürich 日本 🎉 "q" \\', 'Zürich 日本 🎉 "q" \\'],
  ])('%s', (_name, text, safe) => {
    expect(safeText(text)).toBe(safe);
  });

  it('escapes in JSON without changing the value', () => {
    const value = { name: 'a\u009b2J\u202e\u{e0001}\u2028\u001b', big: 12n };
    const json = safeJson(value);
    expect(json).toMatch(/^[\x20-\x7e]+$/u);
    expect(JSON.parse(json)).toEqual({ name: value.name, big: 12 });
  });
});
