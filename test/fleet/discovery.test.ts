import { expect, test } from 'vitest';
import { type Discovered, discoverTenants } from '../../src/fleet/discovery.ts';
import type { DiscoverEntry, Inventory } from '../../src/fleet/inventory/types.ts';
import { loadText } from './inventory/load-text.ts';

type Answer = (entry: DiscoverEntry) => readonly unknown[] | Promise<readonly unknown[]>;

async function inventoryOf(rest: string): Promise<Inventory> {
  return (await loadText(`version: 1\nservers: { main: {}, two: {} }\n${rest}`)).inventory;
}

async function discover(rest: string, answer: Answer, concurrency?: number): Promise<Discovered> {
  return discoverTenants(await inventoryOf(rest), async (entry) => answer(entry), {
    toFailure: (error) => ({ message: String(error) }),
    ...(concurrency === undefined ? {} : { concurrency }),
  });
}

const idsOf = (found: Discovered): readonly string[] => found.tenants.map((tenant) => tenant.id);
const failedOf = (found: Discovered): readonly unknown[] =>
  found.failed.map(({ tenant, failure }) => [tenant.id, failure.code]);

const schemas = 'discover: [{ server: main, database: saas, schemas: "tenant_*", labels: { tier: standard } }]\n';

test('schemas: explicit ones first, then those found by id; what does not match or is reserved is left out', async () => {
  const found = await discover(
    `role: "{schema}_owner"
tenants: [{ id: zoe, server: main, database: zoe }]
${schemas}`,
    () => ['tenant_b', 'tenant_a_b', 'tenant_a-b', 'Tenant_x', 'public', 'tenant_o\'"x', 'tenantXa', 'tenantctl', 7],
  );
  expect(idsOf(found)).toEqual(['zoe', 'a-b', 'a_b', 'b', 'o\'"x']);
  expect(found.tenants[1]).toEqual({
    id: 'a-b',
    server: 'main',
    database: 'saas',
    schema: 'tenant_a-b',
    labels: { tier: 'standard' },
    searchPath: ['tenant_a-b', 'public'],
    role: 'tenant_a-b_owner',
  });
  expect(found.sources).toEqual([{ at: expect.any(String), server: 'main', database: 'saas', status: 'ok', count: 4 }]);
  expect(found.failed).toEqual([]);
});

test('databases: an id template, no role of the file, and never the maintenance databases', async () => {
  const found = await discover(
    'role: "{schema}_owner"\ndiscover: [{ server: two, databases: "*", id: "{server}.{database}.{match}" }]\n',
    () => ['t_1', 'postgres', 'template0', 'template1', 'tenantctl_scratch', 'rdsadmin'],
  );
  expect(found.tenants).toMatchObject([
    { id: 'two.t_1.t_1', database: 't_1', schema: null, role: null, searchPath: ['public'] },
  ]);
  expect(found.sources[0]).toMatchObject({ database: null, count: 1 });
});

test('several stars are joined, without any the name is the id', async () => {
  const found = await discover(
    `discover:
  - { server: main, database: saas, schemas: "*_app_*" }
  - { server: main, database: saas, schemas: "t??" }
`,
    () => ['eu_app_acme', 't01'],
  );
  expect(idsOf(found)).toEqual(['eu-acme', 't01']);
});

test('an explicit tenant wins in its place, whatever a source would call it', async () => {
  const found = await discover(
    `tenants: [{ id: acme, server: main, database: saas, schema: tenant_x }, { id: blank, server: main, database: saas, schema: tenant_ }]\n${schemas}`,
    () => ['tenant_x', 'tenant_', 'tenant_y'],
  );
  expect(idsOf(found)).toEqual(['acme', 'blank', 'y']);
  expect(found.failed).toEqual([]);
});

test('an id of the file is not given away, and a clash among those found fails on both sides only', async () => {
  const found = await discover(
    `tenants: [{ id: acme, server: main, database: acme }]
discover:
  - { server: main, database: saas, schemas: "tenant_*" }
  - { server: two, database: saas, schemas: "tenant_*" }
`,
    (entry) => (entry.server === 'main' ? ['tenant_acme', 'tenant_a', 'tenant_b'] : ['tenant_a', 'tenant_c']),
  );
  expect(idsOf(found)).toEqual(['acme', 'b', 'c']);
  expect(found.failed.map(({ tenant }) => [tenant.id, tenant.server])).toEqual([
    ['a', 'main'],
    ['a', 'two'],
    ['acme', 'main'],
  ]);
  expect(found.failed[0]?.failure).toEqual({
    code: 'clash',
    message:
      'id "a" is also that of server "two", database "saas", schema "tenant_a"; ' +
      'this is server "main", database "saas", schema "tenant_a"',
    hint: 'discover[].id: "{server}-{match}"',
  });
});

test('the hint resolves the clash', async () => {
  const entry = (server: string) =>
    `  - { server: ${server}, database: saas, schemas: "t_*", id: "{server}-{match}" }\n`;
  const found = await discover(`discover:\n${entry('main')}${entry('two')}`, () => ['t_a']);
  expect(idsOf(found)).toEqual(['main-a', 'two-a']);
});

test('one place under two names fails; found twice under one name it counts once', async () => {
  const found = await discover(
    `discover:
  - { server: main, database: saas, schemas: "tenant_*", labels: { from: first } }
  - { server: main, database: saas, schemas: "tenant_*", labels: { from: second } }
  - { server: main, database: saas, schemas: "*_x" }
`,
    () => ['tenant_x', 'tenant_y'],
  );
  expect(found.tenants).toMatchObject([{ id: 'y', labels: { from: 'first' } }]);
  expect(failedOf(found)).toEqual([
    ['tenant', 'clash'],
    ['x', 'clash'],
  ]);
  expect(found.failed[0]?.failure.message).toContain('found under two names, "tenant" and "x"');
});

test('unusable names fail alone, printable', async () => {
  const long = `tenant_${'x'.repeat(56)}`;
  const found = await discover(`role: "{schema}_owner"\n${schemas}`, () => [
    'tenant_',
    'tenant_a,b',
    'tenant_-rf',
    'tenant_ a',
    'tenant_\u001b[2J',
    'tenant_*',
    long,
    'tenant_ok',
  ]);
  expect(idsOf(found)).toEqual(['ok']);
  expect(found.failed.map(({ tenant }) => tenant.id)).toEqual([
    ' a',
    '*',
    '-rf',
    '\\u001b[2J',
    'a,b',
    'tenant_',
    'x'.repeat(56),
  ]);
  expect(new Set(found.failed.map(({ failure }) => failure.code))).toEqual(new Set(['unusable-name']));
  expect(found.failed.at(-1)?.failure.message).toBe(
    `role "${long}_owner" is 69 bytes long: postgresql would cut it at 63`,
  );
  expect(found.failed.at(-2)?.failure).toMatchObject({
    message: 'id is empty',
    hint: expect.stringMatching(/discover\[\]\.id \(tenants\.yaml:4:12\)/),
  });
});

test('composed and decomposed names are two tenants', async () => {
  const found = await discover(schemas, () => ['tenant_caf\u00e9', 'tenant_cafe\u0301']);
  expect(idsOf(found)).toEqual(['cafe\u0301', 'caf\u00e9']);
});

test('whoever owns a database lives there alone', async () => {
  const found = await discover(
    `tenants: [{ id: own, server: main, database: own }]
discover:
  - { server: main, databases: "*" }
  - { server: main, database: saas, schemas: "t_*" }
  - { server: main, database: own, schemas: "t_*" }
`,
    (entry) =>
      entry.kind === 'databases'
        ? ['saas', 'own', 'x']
        : entry.kind === 'schemas' && entry.database === 'own'
          ? ['t_g']
          : ['t_a'],
  );
  expect(idsOf(found)).toEqual(['own', 'a', 'x']);
  expect(failedOf(found)).toEqual([
    ['g', 'clash'],
    ['saas', 'clash'],
  ]);
});

test('a pattern does not mean the shared schema', async () => {
  const shared = 'shared: [{ server: main, database: saas, schema: public, migrations: m }]\n';
  const found = await discover(
    `${shared}discover:
  - { server: main, database: saas, schemas: "*" }
  - { server: main, databases: "*" }
`,
    (entry) => (entry.kind === 'schemas' ? ['public', 'information_schema', 'pg_toast', 'a'] : ['saas']),
  );
  expect(idsOf(found)).toEqual(['a']);
  expect(found.failed).toEqual([]);

  const registry = await discover(`${shared}discover: [{ server: main, database: c, query: q }]\n`, () => [
    { id: 'p', server: 'main', database: 'saas', schema: 'public' },
  ]);
  expect(failedOf(registry)).toEqual([['p', 'clash']]);
});

const registry =
  'discover: [{ server: main, database: control, query: select, labels: { tier: free, from: file }, role: "{id}_r" }]\n';

test('a registry names tenants on any server, with labels of their own', async () => {
  const found = await discover(registry, () => [
    { id: 'b', server: 'two', database: 'saas', schema: 's', labels: { tier: 'gold' }, extra: 1 },
    { id: '__proto__', server: 'main', database: 'own', schema: null },
  ]);
  expect(found.tenants).toEqual([
    {
      id: '__proto__',
      server: 'main',
      database: 'own',
      schema: null,
      labels: { tier: 'free', from: 'file' },
      searchPath: ['public'],
      role: '__proto___r',
    },
    {
      id: 'b',
      server: 'two',
      database: 'saas',
      schema: 's',
      labels: { tier: 'gold', from: 'file' },
      searchPath: ['s', 'public'],
      role: 'b_r',
    },
  ]);
});

test('a bad row of a registry is a failure of its own', async () => {
  const good = { id: 'good', server: 'main', database: 'd', schema: 's' };
  const found = await discover(registry, () => [
    good,
    null,
    'text',
    { id: 'a1', server: 'main', database: 'd' },
    { ...good, id: 42 },
    { ...good, id: 'a2', server: 'mian', schema: 's2' },
    { ...good, id: 'a3', server: 'constructor', schema: 's3' },
    { ...good, id: 'a4', schema: '' },
    { ...good, id: 'a5', schema: 's5', labels: '{}' },
    { ...good, id: 'a6', schema: 's6', labels: { seats: 5 } },
    { ...good, id: 'a7', schema: 's7', labels: JSON.parse('{"__proto__": "x"}') as unknown },
    { ...good, id: 'a8', schema: 'pg_catalog' },
    { ...good, id: 'a9', schema: 'x'.repeat(64) },
  ]);
  expect(idsOf(found)).toEqual(['good']);
  expect(found.failed.map(({ tenant, failure }) => `${tenant.id}: ${failure.message}`)).toEqual([
    'a1: row 4 of the query: has no column schema',
    'a2: row 6 of the query: no server of tenants.yaml is called "mian" (did you mean "main"?)',
    'a3: row 7 of the query: no server of tenants.yaml is called "constructor"',
    'a4: row 8 of the query: column schema is empty',
    'a5: row 9 of the query: column labels is not an object',
    'a6: row 10 of the query: label "seats" is not text',
    'a7: row 11 of the query: label "__proto__": this name cannot be used for a label',
    'a8: schema "pg_catalog" is reserved and never a tenant',
    `a9: schema "${'x'.repeat(64)}" is 64 bytes long: postgresql would cut it at 63`,
    'row 2 of tenants.yaml:3:12: row 2 of the query: has no column id',
    'row 3 of tenants.yaml:3:12: row 3 of the query: has no column id',
    'row 5 of tenants.yaml:3:12: row 5 of the query: column id is number, not text',
  ]);
});

test('a bad row is told even where an explicit tenant or a shared schema lives in the registry', async () => {
  const inControl = 'tenants: [{ id: own, server: main, database: control }]\n';
  expect(failedOf(await discover(`${inControl}${registry}`, () => [{}]))).toEqual([[expect.any(String), 'bad-row']]);
  const shared = 'shared: [{ server: main, database: control, schema: public, migrations: m }]\n';
  expect(failedOf(await discover(`${shared}${registry}`, () => [{}]))).toEqual([[expect.any(String), 'bad-row']]);
});

test('a source that cannot be read is listed, and the others go on', async () => {
  const found = await discover(
    `discover:
  - { server: two, databases: "t_*" }
  - { server: main, database: saas, schemas: "t_*" }
`,
    (entry) => {
      if (entry.server === 'two') throw new Error('down');
      return ['t_a'];
    },
  );
  expect(idsOf(found)).toEqual(['a']);
  expect(found.sources).toEqual([
    {
      at: 'tenants.yaml:4:5',
      server: 'two',
      database: null,
      status: 'failed',
      count: 0,
      error: { message: 'Error: down' },
    },
    { at: 'tenants.yaml:5:5', server: 'main', database: 'saas', status: 'ok', count: 1 },
  ]);
});

test('sources are read at once, but not more than allowed', async () => {
  const entries = Array.from({ length: 6 }, (_, i) => `  - { server: main, database: d${i}, schemas: "t${i}_*" }`);
  let open = 0;
  let most = 0;
  await discover(
    `discover:\n${entries.join('\n')}\n`,
    async () => {
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      return [];
    },
    3,
  );
  expect(most).toBe(3);
});

test('only the entries asked for are read', async () => {
  const inventory = await inventoryOf(`discover:
  - { server: main, database: saas, schemas: "t_*" }
  - { server: two, databases: "t_*" }
`);
  const read: string[] = [];
  const found = await discoverTenants(
    inventory,
    async (entry) => {
      read.push(entry.server);
      return [];
    },
    { entries: inventory.discover.slice(1), toFailure: String as never },
  );
  expect(read).toEqual(['two']);
  expect(found.sources).toHaveLength(1);
});

test('5,000 tenants from two sources', async () => {
  const names = Array.from({ length: 5000 }, (_, i) => `tenant_${i}`);
  const both = `${schemas.replace('[', '[{ server: main, database: saas, schemas: "tenant_*" }, ')}`;
  expect((await discover(both, () => names)).tenants).toHaveLength(5000);
});
