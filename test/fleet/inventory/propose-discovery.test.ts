import { describe, expect, it } from 'vitest';
import { groupNames } from '../../../src/fleet/inventory/name-groups.ts';
import { type ProposalInput, proposeDiscovery } from '../../../src/fleet/inventory/propose-discovery.ts';

describe('groupNames', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ['a word that says it needs only one', ['tenant_a'], ['tenant_*']],
    ['three that begin alike', ['shop_a', 'shop_b', 'shop_c'], ['shop_*']],
    ['two are a coincidence', ['shop_a', 'shop_b'], []],
    ['nothing in common', ['audit', 'billing', 'core'], []],
    ['the longer beginning that nearly all have', ['app_config', ...tenants('app_tenant_')], ['app_tenant_*']],
    ['not longer than the word that says it', ['tenant_eu_1', 'tenant_eu_2', 'tenant_eu_3'], ['tenant_*']],
    ['numbers without a separator', ['kunde1', 'kunde2', 'kunde17'], ['kunde*']],
    ['not when the pattern would find others', ['kunde1', 'kunde2', 'kunde3', 'kundenstamm'], []],
    ['several kinds, largest first', ['x.a', 'x.b', 'x.c', ...tenants('y-')], ['y-*', 'x.*']],
    ['a wildcard in a name is no pattern', ['a*b_1', 'a*b_2', 'a*b_3'], []],
    ['a name that ends at its separator', ['tenant_'], []],
  ])('%s', (_, names, patterns) => {
    expect(groupNames(names).groups.map(({ pattern }) => pattern)).toEqual(patterns);
  });

  it('leaves out what fits no group', () => {
    expect(groupNames(['app_config', ...tenants('app_tenant_')]).rest).toEqual(['app_config']);
  });
});

describe('proposeDiscovery', () => {
  it('proposes schemas of each database, and databases that are named alike', async () => {
    const found = await propose({ postgres: [], saas: tenants('tenant_'), shop_x: ['x'], shop_y: [], shop_z: [] });
    expect(found.entries).toMatchObject([
      { kind: 'schemas', database: 'saas', pattern: 'tenant_*', id: null },
      { kind: 'databases', pattern: 'shop_*', id: null },
    ]);
    expect(found.leftOut).toEqual([{ database: 'postgres', schemas: null, reason: 'no schemas beside public' }]);
  });

  it('takes databases that hold tenants for shards, and tells their tenants apart', async () => {
    const shards = { shard_1: tenants('tenant_'), shard_2: tenants('tenant_'), shard_3: tenants('tenant_') };
    const { entries } = await propose(shards);
    expect(entries).toMatchObject(
      Object.keys(shards).map((database) => ({ kind: 'schemas', database, id: '{database}-{match}' })),
    );
  });

  it('takes most databases for tenants, and says which one holds schemas of its own', async () => {
    const found = await propose({ shop_a: [], shop_b: [], shop_c: tenants('tenant_') });
    expect(found.entries).toMatchObject([{ kind: 'databases', pattern: 'shop_*' }]);
    expect(found.leftOut).toMatchObject([{ database: 'shop_c', reason: 'the database itself fits shop_*' }]);
  });

  it('tells two patterns of one database apart by the whole name', async () => {
    const { entries } = await propose({ saas: [...tenants('tenant_'), ...tenants('client_')] });
    expect(entries.map(({ id }) => id)).toEqual(['{database}-{schema}', '{database}-{schema}']);
  });

  it('never proposes what belongs to an extension, to PostgreSQL or to tenantctl', async () => {
    const found = await propose(
      { saas: ['_ts_a', '_ts_b', '_ts_c', 'tenantctl', 'tenantctl_tmp'], tenantctl_x: ['tenant_a'], template1: [] },
      { extensions: { _ts_a: 'ts', _ts_b: 'ts', _ts_c: 'ts' } },
    );
    expect(found.entries).toEqual([]);
    expect(found.leftOut).toContainEqual({
      database: 'saas',
      schemas: ['_ts_a', '_ts_b', '_ts_c'],
      reason: 'made by an extension',
    });
    expect(found.leftOut.map(({ database }) => database)).not.toContain('tenantctl_x');
  });

  it('goes on without a database that cannot be read', async () => {
    const found = await propose({ saas: tenants('tenant_'), broken: null });
    expect(found.entries).toHaveLength(1);
    expect(found.leftOut).toContainEqual({ database: 'broken', schemas: null, reason: 'cannot be read: closed' });
  });

  it('does not guess when it is told', async () => {
    const world = { saas: tenants('tenant_'), crm: ['org_1'], shop_a: [], shop_b: [], shop_c: [] };
    const schemas = await propose(world, { patterns: { schemas: 'org_*', databases: null } });
    expect(schemas.entries).toMatchObject([{ kind: 'schemas', database: 'crm', names: ['org_1'] }]);
    const databases = await propose(world, { patterns: { schemas: null, databases: 's*' } });
    expect(databases.entries).toMatchObject([{ kind: 'databases', names: ['saas', 'shop_a', 'shop_b', 'shop_c'] }]);
    expect(databases.leftOut).toEqual([{ database: 'crm', schemas: null, reason: 'does not fit --databases' }]);
  });
});

function tenants(prefix: string): readonly string[] {
  return Array.from({ length: 5 }, (_, i) => `${prefix}${'abcde'[i]}`);
}

/** Databases with their schemas; null cannot be read. */
function propose(
  world: Readonly<Record<string, readonly string[] | null>>,
  options: { extensions?: Readonly<Record<string, string>>; patterns?: ProposalInput['patterns'] } = {},
) {
  return proposeDiscovery({
    databases: Object.keys(world),
    patterns: options.patterns ?? { schemas: null, databases: null },
    readSchemas: async (database) => {
      const names = world[database];
      if (names == null) throw new Error('closed');
      return ['public', ...names].map((name) => ({ name, extension: options.extensions?.[name] ?? null }));
    },
  });
}
