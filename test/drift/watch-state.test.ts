import { describe, expect, it } from 'vitest';
import {
  type KnownDifference,
  type RememberedTenant,
  updateState,
  type WatchState,
} from '../../src/drift/watch-state.ts';
import { formatState, parseState } from '../../src/drift/watch-state-text.ts';

const now = new Date('2026-11-22T10:00:00Z');

const remembered: RememberedTenant = {
  place: '["main","saas","t",null]',
  cluster: { system: '7', timeline: 1, database: '16384', nextXid: '900' },
  mark: 'm',
  shape: { major: 15, shape: 's', structure: 's', facts: 2, unmodelled: [{ kind: 'x', count: 1 }], version: null },
  readAt: now.toISOString(),
  seenAt: now.toISOString(),
};

const known: KnownDifference = {
  key: 'k',
  classes: ['structural'],
  kind: 'column',
  name: 'users.nick',
  text: 'has an extra column users.nick (text)',
  since: now.toISOString(),
};

/** Words that every object of JavaScript knows, or that do something when they are set. */
const ids = ['constructor', 'toString', 'valueOf', '__proto__', 'hasOwnProperty'];

const state: WatchState = {
  program: '1.0.0',
  tenants: new Map(ids.map((id) => [id, remembered])),
  drift: new Map([['majority', new Map(ids.map((id) => [id, [known]]))]]),
};

it('comes back as it was written, whatever tenants are called', () => {
  expect(parseState(formatState(state))).toEqual(state);
  const update = { program: '1.0.0', against: 'toString', tenants: new Map(), drift: new Map([['valueOf', [known]]]) };
  const next = updateState(state, update, now);
  expect(parseState(formatState(next))?.drift.get('toString')?.get('valueOf')).toEqual([known]);
  expect(next.drift.get('majority')?.size).toBe(ids.length);
});

describe('a file', () => {
  const file = () => {
    const drift = new Map([['m', new Map([['a', [known]]])]]);
    return JSON.parse(formatState({ ...state, tenants: new Map([['a', remembered]]), drift }));
  };

  it.each<[string, string, unknown]>([
    ['of another form', 'schema', 'tenantctl/drift-watch/2'],
    ['without a program', 'program', undefined],
    ['whose tenants are a list', 'tenants', []],
    ['with a tenant that is a word', 'tenants.a', 'x'],
    ['with a tenant without a cluster', 'tenants.a.cluster', null],
    ['with a tenant without a shape', 'tenants.a.shape', undefined],
    ['with a shape whose kinds are no list', 'tenants.a.shape.unmodelled', {}],
    ['with a version that is a number', 'tenants.a.shape.version', 3],
    ['without drift', 'drift', undefined],
    ['with drift that is a word', 'drift.m', 'x'],
    ['with differences that are no list', 'drift.m.a', { length: 1 }],
    ['with a difference without a text', 'drift.m.a.0.text', undefined],
    ['with a class that nobody knows', 'drift.m.a.0.classes', ['odd']],
  ])('%s is damaged', (_, path, value) => {
    const text = file();
    expect(parseState(JSON.stringify(text))).not.toBeNull();
    const keys = path.split('.');
    const parent = keys.slice(0, -1).reduce((each, key) => each[key], text);
    parent[keys.at(-1) ?? ''] = value;
    expect(parseState(JSON.stringify(text))).toBeNull();
  });

  it.each(['', '{"schema":', 'null', '[]', '7'])('with the text %j is damaged', (text) => {
    expect(parseState(text)).toBeNull();
  });
});
