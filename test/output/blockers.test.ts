import { describe, expect, it } from 'vitest';
import type { Blocker, Outcome } from '../../src/fleet/outcome.ts';
import { blockedByLines, describeBlocker, waitedLine } from '../../src/output/blockers.ts';
import { blocker, done, failed } from './samples.ts';

const now = new Date('2026-11-22T10:15:00Z');

describe('describeBlocker', () => {
  const silent = { application: null, user: null, state: null, transactionStartedAt: null, queryStartedAt: null };

  it.each<[string, Partial<Blocker>, string]>([
    [
      'a person who forgot to commit',
      {},
      'pid 4711 (psql, user app, idle in transaction, transaction open 42 s, last query 40 s ago)',
    ],
    [
      'a tenant of ours at work',
      { application: 'tenantctl/k3f9/globex', user: 'deploy', state: 'active', tenant: 'globex' },
      'pid 4711 (tenantctl/k3f9/globex, user deploy, active, transaction open 42 s, query running 40 s), tenant globex',
    ],
    ['one of whom nothing may be seen', silent, 'pid 4711'],
    ['an empty name', { ...silent, application: '', user: 'app' }, 'pid 4711 (user app)'],
    ['a time that is none', { ...silent, user: 'app', queryStartedAt: 'soon' }, 'pid 4711 (user app)'],
    [
      'a clock that is behind',
      { ...silent, transactionStartedAt: '2026-11-22T10:16:00Z' },
      'pid 4711 (transaction open 0 ms)',
    ],
    ['a prepared transaction', { ...silent, pid: 0 }, 'a prepared transaction'],
    [
      'a hostile name',
      { ...silent, application: 'x\u001b[2J\n', tenant: '\u202e' },
      'pid 4711 (x\\x1b[2J\\n), tenant \\u{202e}',
    ],
  ])('%s', (_name, more, text) => {
    expect(describeBlocker(blocker(4711, more), now)).toBe(text);
  });

  it('tells times and no ages to those who read it later', () => {
    expect(describeBlocker(blocker(4711), null)).toBe(
      'pid 4711 (psql, user app, idle in transaction, transaction open since 2026-11-22T10:14:18Z, last query at 2026-11-22T10:14:20Z)',
    );
    expect(describeBlocker(blocker(4711, { state: 'active', transactionStartedAt: null }), null)).toBe(
      'pid 4711 (psql, user app, active, query running since 2026-11-22T10:14:20Z)',
    );
  });
});

it('names each blocker of many tenants once, a pid on two servers twice, and three at most', () => {
  const blocked = (id: string, pids: readonly number[], server = 'main'): Outcome => {
    return { ...failed(id, { message: 'no' }, { server }), blockedBy: pids.map((pid) => blocker(pid)) };
  };
  const pidsOf = (outcomes: readonly Outcome[]) => {
    return blockedByLines(outcomes).map((line) => /^blocked by: (pid \d+|\d+ more)/.exec(line)?.[1]);
  };
  expect(pidsOf([blocked('a', [1, 2]), blocked('b', [2, 1])])).toEqual(['pid 1', 'pid 2']);
  expect(pidsOf([blocked('a', [1]), blocked('b', [1], 'eu')])).toEqual(['pid 1', 'pid 1']);
  expect(pidsOf([blocked('a', [1, 2, 3, 4, 5])])).toEqual(['pid 1', 'pid 2', 'pid 3', '2 more']);
  expect(pidsOf([failed('a')])).toEqual([]);
});

it('tells in one line who had to wait and is done all the same', () => {
  const waited = (id: string, ...blockers: readonly Blocker[]): Outcome => ({ ...done(id), blockedBy: blockers });
  const five = ['a', 'b', 'c', 'd', 'e'].map((id) => waited(id, blocker(1)));
  expect(waitedLine([done('a'), waited('none'), { ...failed('f'), blockedBy: [blocker(1)] }], false)).toBeNull();
  expect(waitedLine([waited('a', blocker(1), blocker(2)), waited('b', blocker(3, { tenant: 'globex' }))], false)).toBe(
    '2 tenants had to wait for locks: a (pid 1 psql and 1 more) and b (pid 3 psql, tenant globex)',
  );
  expect(waitedLine(five, false)).toMatch(/^5 tenants had to wait for locks: a \(pid 1 psql\), .* and 2 more$/);
  expect(waitedLine(five, true)).toMatch(/, e \(pid 1 psql\)$/);
});
