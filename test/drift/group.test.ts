import { expect, it } from 'vitest';
import { groupByShape } from '../../src/drift/group.ts';
import { scanned } from '../support/facts.ts';

it('puts tenants of one shape together, the largest group first', () => {
  const groups = groupByShape([
    scanned('odd', { shape: 'x' }),
    scanned('a'),
    scanned('other', { shape: 'y' }),
    scanned('b'),
  ]);
  expect(groups.map(({ shape, members }) => [shape, members.map(({ tenant }) => tenant.id)])).toEqual([
    ['usual', ['a', 'b']],
    ['x', ['odd']],
    ['y', ['other']],
  ]);
});

it.each([
  ['major', { major: 16 }],
  ['version', { version: '0002_tasks' }],
  ['version', { version: null }],
])('never puts tenants of another %s into one group, even with an equal hash', (_, shape) => {
  expect(groupByShape([scanned('a'), scanned('b', shape)])).toHaveLength(2);
});

it('has no group without tenants', () => {
  expect(groupByShape([])).toEqual([]);
});
