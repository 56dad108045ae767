import { describe, expect, test } from 'vitest';
import { explicitTenants } from '../../../src/fleet/inventory/tenants.ts';
import { loadText, mistakesOf, withServer } from './load-text.ts';

/** Mistakes of a list of tenants, without the file's name; the first tenant stands in line 4. */
async function tenantMistakes(...entries: readonly string[]): Promise<readonly string[]> {
  const text = withServer(`tenants:\n${entries.map((entry) => `- { server: main, ${entry} }`).join('\n')}\n`);
  return (await mistakesOf(text)).map((line) => line.replace(/^tenants\.yaml:/, ''));
}

describe('two of one', () => {
  test('an id named twice names both lines', async () => {
    expect(await tenantMistakes('database: a, id: acme', 'database: b, id: acme', 'database: c, id: acme')).toEqual([
      '5:36 tenants[1].id: tenant id "acme" is named twice: first at tenants.yaml:4:36',
      '6:36 tenants[2].id: tenant id "acme" is named twice: first at tenants.yaml:4:36',
    ]);
  });

  test.each([
    ['composed and decomposed', '"caf\\u00e9"', '"cafe\\u0301"'],
    ['an invisible character', 'acme', '"ac\\u200bme"'],
    ['another blank', '"a b"', '"a\\u00a0b"'],
  ])('ids that look the same: %s', async (_name, a, b) => {
    const mistakes = await tenantMistakes(`database: a, id: ${a}`, `database: b, id: ${b}`);
    expect(mistakes).toEqual([expect.stringMatching(/^5:36 .* looks the same as ".*", at tenants.yaml:4:36$/)]);
    // What cannot be told apart is spelt out.
    expect(mistakes[0]).toMatch(/^[\x20-\x7e]*\\u[0-9a-f]{4}[\x20-\x7e]*$/);
  });

  test('two names for one place name both sides', async () => {
    expect(await tenantMistakes('database: saas, schema: s, id: a', 'database: saas, schema: s, id: b')).toEqual([
      '5:3 tenants[1]: tenant "b" is in the same place as tenant "a" at tenants.yaml:4:3: ' +
        'server "main", database "saas", schema "s"',
    ]);
    expect(await tenantMistakes('database: saas, schema: public, id: a', 'database: saas, id: b')).toEqual([
      expect.stringContaining('tenant "b" is in the same place as tenant "a"'),
    ]);
  });

  test('a database of its own is shared with nobody, whoever is named first', async () => {
    const expected = expect.stringMatching(
      /^5:3 tenants\[1\]: tenant "own" has database "saas" for its own, but tenant "guest" lives there too/,
    );
    const own = 'database: saas, id: own';
    const guest = 'database: saas, schema: s, id: guest';
    expect(await tenantMistakes(own, guest)).toEqual([expected]);
    expect(await tenantMistakes(guest, own)).toEqual([expected]);
  });

  test('a tenant in the place of a shared schema', async () => {
    const mistakes = await mistakesOf(
      withServer(`shared:
  - { server: main, database: saas, schema: public, migrations: m }
  - { server: main, database: saas, schema: public, migrations: n }
  - { server: main, database: saas, schema: pg_x, migrations: n }
tenants:
  - { id: a, server: main, database: saas, schema: public }
`),
    );
    expect(mistakes).toEqual([
      expect.stringMatching(/^tenants.yaml:5:5 shared\[1\]: a shared schema is in the same place as a shared schema/),
      'tenants.yaml:6:45 shared[2].schema: "pg_x" is reserved and never a tenant',
      expect.stringMatching(
        /^tenants.yaml:8:5 tenants\[0\]: tenant "a" is in the same place as a shared schema at tenants.yaml:4:5/,
      ),
    ]);
  });

  test('names that only look alike to a database are two places', async () => {
    const list = ['tenant_a-b', 'tenant_a_b', 'Tenant_a_b', 'tenant_a b', "tenant_'x", 'tenant_;--', 'tenänt']
      .map((schema, i) => `  - { id: t${i}, server: main, database: saas, schema: ${JSON.stringify(schema)} }`)
      .join('\n');
    const { inventory } = await loadText(
      withServer(`tenants:\n${list}\n  - { id: q, server: main, database: saas, schema: 'a"b' }`),
    );
    expect(explicitTenants(inventory).map((tenant) => tenant.schema)).toContain('a"b');
    expect(inventory.tenants).toHaveLength(8);
  });
});

describe('names', () => {
  test.each([
    ['" a"', 'begins or ends with white space'],
    ['"a\\u00a0"', 'begins or ends with white space'],
    ['"-"', 'begins with "-"'],
    ['"-rf"', 'begins with "-"'],
    ['"a,b"', 'holds a comma'],
    ['"a*"', 'which select many tenants'],
    ['"a?"', 'which select many tenants'],
    ['"a\\0b"', '(U+0000)'],
    ['"a\\nb"', '(U+000A)'],
    ['"a\\u001b[2Jb"', '(U+001B)'],
    ['"a\\u202eb"', '(U+202E)'],
    ['"a\\u2028b"', '(U+2028)'],
    ['"\\ud800"', 'lone surrogate'],
    ['""', 'is empty'],
  ])('an id %s', async (id, problem) => {
    const mistakes = await tenantMistakes(`database: d, id: ${id}`);
    expect(mistakes).toEqual([expect.stringContaining(problem)]);
    expect(mistakes[0]).toMatch(/^4:36 tenants\[0\]\.id: /);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that none gets through is the point
    expect(mistakes[0]).not.toMatch(/[\u0000-\u001f\u202e\u2028\ud800]/);
  });

  test('63 bytes, not characters, is the longest name', async () => {
    const fits = 'ä'.repeat(31);
    expect(
      (await loadText(withServer(`tenants: [{ id: a, server: main, database: d, schema: ${fits}x }]`))).warnings,
    ).toEqual([]);
    expect(await tenantMistakes(`database: d, id: a, schema: ${fits}xx`, `id: b, database: ${'d'.repeat(64)}`)).toEqual(
      [
        `4:47 tenants[0].schema: "${fits}xx" is 64 bytes long: postgresql would cut it at 63`,
        `5:36 tenants[1].database: "${'d'.repeat(64)}" is 64 bytes long: postgresql would cut it at 63`,
      ],
    );
  });

  test('a filled template counts, and says which one it was', async () => {
    const schema = 's'.repeat(60);
    const mistakes = await mistakesOf(
      withServer(`role: "{schema}_owner"
tenants:
  - { id: a, server: main, database: d, schema: ${schema} }
  - { id: b, server: main, database: d, schema: x, role: "${'r'.repeat(62)}{id}{id}" }
`),
    );
    expect(mistakes).toEqual([
      `tenants.yaml:5:5 tenants[0]: role of the file: "${schema}_owner" is 66 bytes long: postgresql would cut it at 63`,
      `tenants.yaml:6:58 tenants[1].role: "${'r'.repeat(62)}bb" is 64 bytes long: postgresql would cut it at 63`,
    ]);
  });

  test.each(['tenantctl', 'tenantctl_x', 'pg_toast', 'information_schema'])(
    'schema %s is never a tenant',
    async (schema) => {
      expect(await tenantMistakes(`id: a, database: d, schema: ${schema}`)).toEqual([
        `4:47 tenants[0].schema: "${schema}" is reserved and never a tenant`,
      ]);
    },
  );

  test('database tenantctl_x is never a tenant, tenantctlx may be one', async () => {
    expect(await tenantMistakes('id: a, database: tenantctl_x', 'id: b, database: tenantctlx')).toEqual([
      `4:36 tenants[0].database: "tenantctl_x" is tenantctl's own and never a tenant`,
    ]);
  });

  test('labels that no selector could name', async () => {
    expect(
      await tenantMistakes(
        'id: a, database: d, labels: { "a=b": x, ok: "x,y", fine: " z", __proto__: p, constructor: c }',
      ),
    ).toEqual([
      expect.stringMatching(/^4:49 tenants\[0\]\.labels\["a=b"\]: a label name may not/),
      expect.stringMatching(/labels\.ok: a label value may not hold/),
      expect.stringMatching(/labels\.fine: a label value may not begin/),
      expect.stringMatching(/labels\.__proto__: this name cannot be used/),
    ]);
  });
});

describe('templates', () => {
  test('placeholders and the first entry of a search path', async () => {
    const mistakes = await mistakesOf(
      withServer(`role: "{shcema}_owner"
searchPath: [public, "{schema", "{match}"]
tenants:
  - { id: a, server: main, database: d, schema: s, searchPath: [public, "{schema}"] }
  - { id: b, server: main, database: d, schema: s2, role: "{server}" }
  - { id: c, server: main, database: e, searchPath: [app, public] }
`),
    );
    expect(mistakes).toEqual([
      'tenants.yaml:3:7 role: unknown placeholder "{shcema}": did you mean {schema}?',
      'tenants.yaml:4:13 searchPath: must begin with {schema}, or new objects would land outside the tenant',
      'tenants.yaml:4:22 searchPath[1]: "{schema" holds a brace without its partner',
      'tenants.yaml:4:33 searchPath[2]: unknown placeholder "{match}": known here: {schema}, {id}',
      'tenants.yaml:6:64 tenants[0].searchPath: must begin with {schema}, or new objects would land outside the tenant',
      'tenants.yaml:7:59 tenants[1].role: unknown placeholder "{server}": known here: {schema}, {id}',
    ]);
  });

  test('discover entries', async () => {
    const mistakes = await mistakesOf(
      withServer(`discover:
  - { server: main, database: d, schemas: "t_*", databases: "t_*" }
  - { server: main, schmeas: "a*" }
  - { server: main, schemas: "a*" }
  - { server: main, databases: t, id: "{schema}" }
  - { server: main, databases: "t*", database: d, id: "{match", role: "{macth}" }
  - { server: main, database: tenantctl, schemas: "*", searchPath: [public] }
  - { server: main, database: d, schemas: "a\\u0000*", labels: { "a b": c } }
  - { server: other, database: d, query: "" }
`),
    );
    expect(mistakes).toEqual([
      'tenants.yaml:4:5 discover[0]: expected one of schemas, databases, query; got schemas and databases',
      'tenants.yaml:5:5 discover[1]: expected one of schemas, databases, query; got none of them',
      'tenants.yaml:5:21 discover[1].schmeas: unknown key: did you mean schemas?',
      'tenants.yaml:6:5 discover[2].database: missing: expected the database to look into',
      'tenants.yaml:7:32 discover[3].databases: "t" holds neither "*" nor "?": name a single tenant under tenants',
      'tenants.yaml:7:39 discover[3].id: unknown placeholder "{schema}": known here: {match}, {server}, {database}',
      'tenants.yaml:8:48 discover[4].database: does not go with databases, which looks at all databases of the server',
      'tenants.yaml:8:55 discover[4].id: "{match" holds a brace without its partner',
      'tenants.yaml:8:71 discover[4].role: unknown placeholder "{macth}": known here: {schema}, {id}',
      `tenants.yaml:9:31 discover[5].database: "tenantctl" is tenantctl's own and never a tenant`,
      'tenants.yaml:9:68 discover[5].searchPath: must begin with {schema}, or new objects would land outside the tenant',
      'tenants.yaml:10:43 discover[6].schemas: "a\\u0000*" holds a character no tenant may have',
      expect.stringMatching(/^tenants.yaml:10:65 discover\[6\]\.labels\["a b"\]: a label name/),
      'tenants.yaml:11:15 discover[7].server: no server is called "other": servers has "main"',
      'tenants.yaml:11:42 discover[7].query: is empty',
    ]);
  });
});
