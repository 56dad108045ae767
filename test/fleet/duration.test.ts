import { expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../src/fleet/duration.ts';

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['15min', 900_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['24h', 86_400_000],
  ['30d', 2_592_000_000],
  ['1.5h', 5_400_000],
  ['0', 0],
  ['0s', 0],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', '30', ' 30s', '30 s', '30s\n', '-1s', '1h30min', '1e3s', '30S', 's', '.5s', '٣s', '9999999999999999s'])(
  '%j is no duration',
  (text) => {
    expect(parseDuration(text)).toBeNull();
  },
);

test.each([
  [0, '0ms'],
  [12.4, '12ms'],
  [999, '999ms'],
  [1000, '1s'],
  [12_345, '12.3s'],
  [59_949, '59.9s'],
  [59_999, '1min'],
  [125_000, '2min 5s'],
  [3_599_999, '1h'],
  [5_400_000, '1h 30min'],
  [86_399_999, '1d'],
  [273_600_000, '3d 4h'],
])('%d ms is written %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
