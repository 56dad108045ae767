import { describe, expect, test } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { parseLabelSelector } from '../../src/fleet/labels.ts';
import {
  idsFromText,
  isEveryone,
  isInShard,
  noSelection,
  parseShard,
  type Selection,
  selectTenants,
  sourcesToRead,
} from '../../src/fleet/selection.ts';
import type { Tenant } from '../../src/fleet/tenant.ts';
import { loadText } from './inventory/load-text.ts';

function tenant(id: string, more: Partial<Tenant> = {}): Tenant {
  return { id, server: 'main', database: 'saas', schema: id, labels: {}, searchPath: [id], role: null, ...more };
}

const fleet = [
  tenant('zeta', { labels: { tier: 'gold' } }),
  tenant('eu-1', { server: 'eu', labels: { tier: 'gold', region: 'eu' } }),
  tenant('eu-2', { server: 'eu', database: 'own', labels: { tier: 'free' } }),
  tenant('__proto__'),
  tenant('caf\u00e9'),
];

const select = (more: Partial<Selection>) => selectTenants(fleet, { ...noSelection, ...more });
const idsOf = (more: Partial<Selection>) => select(more).tenants.map((each) => each.id);

function errorOf(more: Partial<Selection>): UsageError {
  try {
    select(more);
  } catch (error) {
    if (error instanceof UsageError) return error;
  }
  throw new Error('expected a UsageError');
}

describe('what is selected, in the order of the fleet', () => {
  test.each<[Partial<Selection>, readonly string[]]>([
    [{ all: true }, ['zeta', 'eu-1', 'eu-2', '__proto__', 'caf\u00e9']],
    [{ tenants: ['eu-*'] }, ['eu-1', 'eu-2']],
    [{ tenants: ['eu-?', 'zeta', 'zeta'] }, ['zeta', 'eu-1', 'eu-2']],
    [{ tenants: ['__proto__'] }, ['__proto__']],
    [{ servers: ['eu'] }, ['eu-1', 'eu-2']],
    [{ servers: ['eu', 'main'], databases: ['own'] }, ['eu-2']],
    [{ labels: parseLabelSelector('tier=gold') }, ['zeta', 'eu-1']],
    [{ labels: [...parseLabelSelector('tier=gold'), ...parseLabelSelector('!region')] }, ['zeta']],
    [{ all: true, servers: ['eu'], labels: parseLabelSelector('tier!=free') }, ['eu-1']],
    [{ tenants: ['eu-*'], except: ['eu-2'] }, ['eu-1']],
    [{ all: true, except: ['*-*', 'zeta'] }, ['__proto__', 'caf\u00e9']],
    [{ fromRun: ['eu-2', 'zeta'] }, ['zeta', 'eu-2']],
    [{ fromRun: ['eu-2', 'zeta'], servers: ['eu'] }, ['eu-2']],
  ])('%j', (selection, ids) => {
    expect(idsOf(selection)).toEqual(ids);
  });

  test('tenants are handed back as they were given', () => {
    expect(select({ tenants: ['zeta'] }).tenants[0]).toBe(fleet[0]);
  });
});

test.each<[Partial<Selection>, boolean]>([
  [{ all: true }, true],
  [{ all: true, allowEmpty: true }, true],
  [{}, false],
  [{ tenants: ['*'] }, false],
  [{ all: true, tenants: ['zeta'] }, false],
  [{ all: true, labels: parseLabelSelector('tier') }, false],
  [{ all: true, servers: ['eu'] }, false],
  [{ all: true, databases: ['own'] }, false],
  [{ all: true, except: ['zeta'] }, false],
  [{ all: true, shard: { index: 1, count: 2 } }, false],
  [{ all: true, fromRun: [] }, false],
])('%j means everybody for sure: %s', (selection, expected) => {
  expect(isEveryone({ ...noSelection, ...selection })).toBe(expected);
});

describe('what selects nobody is a usage error', () => {
  test.each<[Partial<Selection>]>([
    [{}],
    [{ except: ['zeta'] }],
    [{ shard: { index: 1, count: 1 } }],
    [{ shard: { index: 1, count: 1 }, except: ['x'] }],
  ])('no flag never means all: %j', (selection) => {
    expect(errorOf(selection).message).toBe('no tenant is selected');
    expect(errorOf(selection).hint).toContain('--all');
    expect(idsOf({ ...selection, allowEmpty: true })).toEqual([]);
  });

  test.each<[Partial<Selection>, string]>([
    [{ tenants: ['zetta'] }, '--tenant "zetta" matches no tenant: did you mean "zeta"?'],
    [{ tenants: ['us-*'] }, '--tenant "us-*" matches no tenant'],
    [{ tenants: ['ZETA'] }, '--tenant "ZETA" matches no tenant: did you mean "zeta"?'],
    [{ tenants: ['cafe\u0301'] }, '--tenant "cafe\u0301" matches no tenant: did you mean "caf\u00e9"?'],
    [{ all: true, servers: ['mian'] }, '--server "mian" matches no tenant: did you mean "main"?'],
    [{ databases: ['SAAS*'] }, '--database "SAAS*" matches no tenant'],
    [{ labels: parseLabelSelector('tier=glod') }, '--label "tier=glod" matches no tenant'],
    [{ all: true, except: ['*'] }, 'the selection matches no tenant'],
    [{ tenants: ['zeta'], servers: ['eu'] }, 'the selection matches no tenant'],
    [{ fromRun: [] }, 'the selection matches no tenant'],
  ])('%j', (selection, message) => {
    expect(errorOf(selection).message).toBe(message);
    expect(idsOf({ ...selection, allowEmpty: true })).toEqual([]);
  });

  test('what does match stays when the rest may be missing', () => {
    expect(errorOf({ tenants: ['zeta', 'us-*'] }).message).toBe('--tenant "us-*" matches no tenant');
    expect(idsOf({ tenants: ['zeta', 'us-*'], allowEmpty: true })).toEqual(['zeta']);
  });

  test('every part that matches nobody is named', () => {
    const error = errorOf({ tenants: ['a1', 'b1'], servers: ['x1'] });
    expect(error.message).toBe('3 parts of the selection match no tenant');
    expect(error.details).toEqual([
      '--tenant "a1" matches no tenant',
      '--tenant "b1" matches no tenant',
      '--server "x1" matches no tenant',
    ]);
  });
});

test('an exception and a tenant that are not there are warnings', () => {
  expect(select({ all: true, except: ['nobody'] }).warnings).toEqual(['--except "nobody" matches no tenant']);
  const gone = ['zeta', 'g1', 'g2', 'g3', 'g4'];
  expect(select({ fromRun: gone }).warnings).toEqual([
    "4 of that run's tenants are no longer in the fleet: g1, g2, g3, …",
  ]);
});

describe('shards', () => {
  test('are whole, without overlap, and stable', () => {
    const ids = Array.from({ length: 500 }, (_, i) => `t${i}`);
    const shards = [1, 2, 3, 4].map((index) => ids.filter((id) => isInShard(id, { index, count: 4 })));
    expect(shards.flat().sort()).toEqual([...ids].sort());
    for (const shard of shards) expect(shard.length).toBeGreaterThan(90);
    // Another order of the fleet or another release must not move a tenant: two CI jobs would both take it.
    expect(['acme', 'globex', 'é'].map((id) => [1, 2, 3].find((index) => isInShard(id, { index, count: 3 })))).toEqual([
      3, 2, 2,
    ]);
  });

  test('narrow a selection', () => {
    const parts = [1, 2].map((index) => idsOf({ all: true, allowEmpty: true, shard: { index, count: 2 } }));
    expect(parts.flat().sort()).toEqual(fleet.map((each) => each.id).sort());
  });

  test.each(['', '0/2', '3/2', '1', '1/0', 'a/b', '1/2/3', '-1/2', '1.5/2', '01/2'])('%j is a usage error', (text) => {
    expect(() => parseShard(text)).toThrow(UsageError);
  });

  test('are read', () => {
    expect(parseShard('2/8')).toEqual({ index: 2, count: 8 });
  });
});

test('ids from a file have blanks and empty lines taken away', () => {
  expect(idsFromText('a\r\n  b c \n\n\n#x\n')).toEqual(['a', 'b c', '#x']);
});

describe('the sources that a selection can touch', () => {
  const text = `version: 1
servers: { main: {}, two: {} }
tenants: [{ id: acme, server: main, database: acme }]
discover:
  - { server: main, database: saas, schemas: "*" }
  - { server: two, database: saas, schemas: "*" }
  - { server: two, databases: "t_*" }
  - { server: main, database: control, query: select }
`;

  test.each<[Partial<Selection>, readonly number[]]>([
    [{}, []],
    [{ all: true }, [0, 1, 2, 3]],
    [{ servers: ['main'] }, [0, 3]],
    [{ servers: ['two'], databases: ['t_1'] }, [2, 3]],
    [{ databases: ['saas'] }, [0, 1, 3]],
    [{ labels: parseLabelSelector('x') }, [0, 1, 2, 3]],
    [{ tenants: ['acme'] }, []],
    [{ tenants: ['acme', 'b'] }, [0, 1, 2, 3]],
    [{ tenants: ['acm*'] }, [0, 1, 2, 3]],
    [{ fromRun: ['acme'] }, []],
    [{ fromRun: ['b'] }, [0, 1, 2, 3]],
    [{ tenants: ['acme'], all: true }, []],
  ])('%j', async (selection, indexes) => {
    const { inventory } = await loadText(text);
    const entries = sourcesToRead(inventory, { ...noSelection, ...selection });
    expect(entries.map((entry) => inventory.discover.indexOf(entry))).toEqual(indexes);
  });
});

test('5,000 tenants by 5,000 ids', () => {
  const many = Array.from({ length: 5000 }, (_, i) => tenant(`t${i}`));
  const ids = many.map((each) => each.id);
  expect(selectTenants(many, { ...noSelection, tenants: ids, except: ids.slice(1) }).tenants).toEqual([many[0]]);
});
