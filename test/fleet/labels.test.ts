import { expect, test } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { formatRequirement, meetsRequirement, parseLabelSelector } from '../../src/fleet/labels.ts';

const fleet = {
  gold: { tier: 'gold', region: 'eu' },
  free: { tier: 'free', region: 'us', constructor: 'x' },
  bare: {},
  empty: { tier: '', region: 'eu west' },
};

test.each([
  ['tier=gold', ['gold']],
  ['tier==gold', ['gold']],
  ['tier != free', ['gold', 'bare', 'empty']],
  ['region', ['gold', 'free', 'empty']],
  ['!region', ['bare']],
  ['tier=', ['empty']],
  ['tier!=free, region', ['gold', 'empty']],
  ['region=eu west', ['empty']],
  ['constructor', ['free']],
  ['__proto__', []],
  ['toString=x', []],
  ['tier=GOLD', []],
])('%s', (selector, names) => {
  const requirements = parseLabelSelector(selector);
  const met = Object.entries(fleet).filter(([, labels]) =>
    requirements.every((each) => meetsRequirement(labels, each)),
  );
  expect(met.map(([name]) => name)).toEqual(names);
});

test.each(['', ',', 'a,,b', '=x', '!a=b', 'a=b=c', 'a===b', '!', 'a b', 'tier in (a)', '!!a'])(
  '%j is a usage error',
  (text) => {
    expect(() => parseLabelSelector(text)).toThrow(UsageError);
  },
);

test('a requirement is written as it was read', () => {
  const parts = ['tier=gold', 'tier!=free', 'region', '!region'];
  expect(parseLabelSelector(parts.join(',')).map(formatRequirement)).toEqual(parts);
});
