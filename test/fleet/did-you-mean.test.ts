import { expect, test } from 'vitest';
import { closest } from '../../src/fleet/did-you-mean.ts';

test.each([
  ['enviroment', 'environment'],
  ['serevrs', 'servers'],
  ['SERVERS', 'servers'],
  ['cafe\u0301', 'caf\u00e9'],
  ['x', null],
  ['rollout', null],
  ['', null],
])('%s means %s', (text, expected) => {
  expect(closest(text, ['environment', 'servers', 'shared', 'caf\u00e9'])).toBe(expected);
});
