import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadInventory } from '../../../src/fleet/inventory/load.ts';
import { explicitTenants } from '../../../src/fleet/inventory/tenants.ts';
import { errorOf, loadText, withServer } from './load-text.ts';

describe('a valid inventory', () => {
  test('the smallest one gets the defaults', async () => {
    const { inventory, warnings } = await loadText(withServer(''));
    expect(inventory).toMatchObject({
      file: 'tenants.yaml',
      environment: 'default',
      migrations: null,
      searchPath: ['{schema}', 'public'],
      role: null,
      limits: { concurrency: 16, perServer: 8, perDatabase: 4 },
      timeouts: { connectMs: 10_000, lockMs: 2000, statementMs: 900_000 },
      shared: [],
      tenants: [],
      discover: [],
    });
    expect(inventory.servers.get('main')).toEqual({
      id: 'main',
      url: null,
      replica: null,
      password: null,
      limits: {},
      rds: null,
    });
    expect(warnings).toEqual([]);
  });

  test('paths start at the folder of the file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tenantctl-inventory-'));
    const path = join(folder, 'tenants.yaml');
    const shared = 'shared: [{ server: main, database: d, schema: public, migrations: ../shared }]';
    await writeFile(
      path,
      `version: 1\nmigrations: m\nstate: /var/lib/s\nservers: { main: { password: { file: pw } } }\n${shared}\n`,
    );
    const { inventory } = await loadInventory({ path, name: 'elsewhere/tenants.yaml' });
    expect(inventory.migrations).toBe(join(folder, 'm'));
    expect(inventory.state).toBe('/var/lib/s');
    expect(inventory.shared[0]?.migrations).toBe(join(folder, '..', 'shared'));
    expect(inventory.servers.get('main')?.password).toEqual({ file: join(folder, 'pw') });
    await rm(folder, { recursive: true });
  });

  test('empty lists may be left empty', async () => {
    const { inventory } = await loadText(withServer('tenants:\n  # - id: acme\ndiscover:\nshared:\n'));
    expect(inventory.tenants).toEqual([]);
  });

  test('anchors and merge keys work', async () => {
    const lines = Array.from({ length: 300 }, (_, i) => `  - { <<: *base, id: t${i}, schema: s${i}, labels: *gold }`);
    const first = '  - &base { id: first, server: main, database: saas, schema: s, labels: &gold { tier: gold } }';
    const { inventory } = await loadText(withServer(`tenants:\n${[first, ...lines].join('\n')}\n`));
    expect(inventory.tenants).toHaveLength(301);
    expect(inventory.tenants[300]).toMatchObject({ id: 't299', database: 'saas', labels: { tier: 'gold' } });
  });

  test('ids that are names of javascript are ids like others', async () => {
    const ids = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const list = ids.map((id, i) => `  - { id: ${id}, server: constructor, database: d, schema: s${i} }`).join('\n');
    const { inventory } = await loadText(`version: 1\nservers: { constructor: {} }\ntenants:\n${list}\n`);
    expect(explicitTenants(inventory).map((tenant) => tenant.id)).toEqual(ids);
  });

  test('search path and role are filled in', async () => {
    const { inventory } = await loadText(
      withServer(`searchPath: ["{schema}", "x_{id}", public]
role: "{schema}_owner"
tenants:
  - { id: 'a{schema}"$&', server: main, database: d, schema: "t'1" }
  - { id: own, server: main, database: own }
  - { id: own-role, server: main, database: o2, role: "{id}_{schema}", searchPath: [app] }
`),
    );
    expect(explicitTenants(inventory)).toMatchObject([
      { searchPath: ["t'1", 'x_a{schema}"$&', 'public'], role: "t'1_owner", schema: "t'1" },
      { searchPath: ['public', 'x_own'], role: null, schema: null },
      { searchPath: ['app'], role: 'own-role_public', schema: null },
    ]);
  });

  test('5,000 tenants load', async () => {
    const list = Array.from({ length: 5000 }, (_, i) => `- {id: t${i}, server: main, database: d, schema: s${i}}`);
    const { inventory } = await loadText(withServer(`tenants:\n${list.join('\n')}\n`));
    expect(inventory.tenants).toHaveLength(5000);
    expect(inventory.tenants[4999]?.at).toBe('tenants.yaml:5003:3');
  });
});

describe('a password in a url', () => {
  test.each([
    'postgres://u:hunter2@h/d',
    'postgresql://u:hun@ter2@h/d',
    'postgres://h/d?sslmode=require&password=hunter2',
    'host=h password = hunter2',
  ])('is a warning that does not repeat it: %s', async (url) => {
    const { warnings } = await loadText(`version: 1\nservers:\n  main:\n    url: ${JSON.stringify(url)}\n`);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toBe('tenants.yaml:4:10 servers.main.url: holds a password in plain text');
    expect(warnings[0]?.hint).toContain('{ env: MAIN_DB_PASSWORD }');
    expect(JSON.stringify(warnings)).not.toContain('ter2');
  });

  test.each(['postgres://u@h:5432/d?passfile=x', 'host=h user=u', 'postgres://h1:1,h2:2/d'])(
    '%s has none',
    async (url) => {
      const { warnings } = await loadText(`version: 1\nservers: { main: { url: ${JSON.stringify(url)} } }\n`);
      expect(warnings).toEqual([]);
    },
  );
});

describe('a text known to be valid', () => {
  test('is remembered once it passed, and not before', async () => {
    const known = new Set<string>();
    const states: string[] = [];
    const openCache = (state: string) => {
      states.push(state);
      return { alreadyValid: (hash: string) => known.has(hash), remember: (hash: string) => known.add(hash) };
    };
    await errorOf(withServer('tenant: []'), { openCache });
    expect(known.size).toBe(0);
    await loadText(withServer('state: /var/lib/tenantctl'), { openCache });
    expect([...known]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(states.at(-1)).toBe('/var/lib/tenantctl');
  });

  test('is not checked again, but parsed and warned about', async () => {
    const openCache = () => ({
      alreadyValid: () => true,
      remember: () => {
        throw new Error('remembered again');
      },
    });
    const text = 'version: 1\nfuture: key\nservers: { main: { url: "postgres://u:p@h/d" } }\n';
    const { inventory, warnings } = await loadText(text, { openCache });
    expect(inventory.servers.size).toBe(1);
    expect(warnings).toHaveLength(1);
    expect((await errorOf('version: [1', { openCache })).details).toHaveLength(1);
    expect((await errorOf('version: 1\nversion: 1\nservers: {}', { openCache })).details.length).toBeGreaterThan(0);
  });
});

describe('a file that cannot be read', () => {
  test('is missing', async () => {
    const error = await loadInventory({ path: '/nonexistent/tenants.yaml', name: 'x.yaml' }).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: 'UsageError', message: 'cannot read the inventory x.yaml (ENOENT)' });
    expect(error).toHaveProperty('hint', expect.stringContaining('tenantctl init'));
  });

  test('is not utf-8', async () => {
    const error = await errorOf(Buffer.from('version: 1\nenvironment: caf\xe9\n', 'latin1'));
    expect(error.message).toBe('the inventory tenants.yaml is not utf-8 text');
  });
});

test('the example in the package loads', async () => {
  const path = join(import.meta.dirname, '../../../tenants.example.yaml');
  const { inventory, warnings } = await loadInventory({ path, name: 'tenants.example.yaml' });
  expect(warnings).toEqual([]);
  expect(inventory.tenants.map((tenant) => tenant.id)).toEqual(['acme', 'globex']);
  expect(inventory.discover.map((entry) => entry.kind)).toEqual(['schemas', 'databases', 'query']);
  expect((await readFile(path, 'utf8')).startsWith('# Every key')).toBe(true);
});
