import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { asSuperuser, databaseUrl, dropDatabase } from '../../support/database.ts';
import { createDatabases, createFleet } from '../../support/fleet.ts';
import { tableMigration, threeTables } from '../../support/migrations.ts';

const hostile = [
  'tenant "quoted"',
  '"',
  "it's; DROP SCHEMA public CASCADE; --",
  'tenänt 🐘',
  ' blanks  in it ',
  'x'.repeat(63),
  `${'x'.repeat(62)}y`,
  'tenant_a-b',
  'tenant_a_b',
  'Tenant_a_b',
  'back\\slash\\"',
  'per%cent %s %I %1$s',
  '$$ dollar $tag$ $1',
  'dot.dot',
  'comma, public',
  '{schema}',
  '/* comment',
  'null',
  'select',
];

const migrations = {
  '0001_one.sql': tableMigration('one'),
  '0002_two.js':
    'exports.up = (pgm) => pgm.createTable("two", { id: "int" });\nexports.down = (pgm) => pgm.dropTable("two");',
  '0003_i.sql':
    '-- Up Migration\n-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY i ON one (id);\n-- Down Migration\nDROP INDEX CONCURRENTLY i;',
};

test('schemas with any name are migrated and taken back, and nothing lands elsewhere', async () => {
  const byId = Object.fromEntries(hostile.map((schema, index) => [`h${index}`, schema]));
  const fleet = await createFleet({ schemas: byId, migrations });
  const up = await fleet.json('migrate --all');
  expect(up.outcomes.filter(({ status }) => status !== 'done')).toEqual([]);
  const expected = hostile.flatMap((schema) => [`${schema}.one`, `${schema}.two`]);
  expect((await fleet.tables()).toSorted()).toEqual(expected.toSorted());
  for (const schema of hostile) expect(await fleet.history(schema), schema).toHaveLength(3);
  expect(await fleet.history('public')).toBeNull();
  expect((await fleet.json('migrate status --all --check')).exitCode).toBe(0);

  const down = await fleet.json('migrate down --all --count 3 --yes');
  expect(down.outcomes.filter(({ status }) => status !== 'done')).toEqual([]);
  expect(await fleet.tables()).toEqual([]);
});

test('a name is worked on alone, also beside one that looks like it', async () => {
  const fleet = await createFleet({
    schemas: { 'a-b': 'tenant_a-b', a_b: 'tenant_a_b', 'A-B': 'TENANT_A-B' },
    migrations: threeTables,
  });
  await fleet.run('migrate -t a-b');
  expect(await fleet.tables()).toEqual(['one', 'three', 'two'].map((table) => `tenant_a-b.${table}`));
});

test('databases with any name', async () => {
  const fleet = await createFleet({ migrations });
  const databases = [`${fleet.db.name} "q' ü`, `${fleet.db.name}%s\\?x=/#@:`, `${fleet.db.name}$$; --`];
  await createDatabases(databases);
  onTestFinished(async () => void (await Promise.all(databases.map(dropDatabase))));
  await fleet.writeInventory({
    tenants: databases.map((database, index) => ({ id: `d${index}`, server: 'main', database })),
  });
  const report = await fleet.json('migrate --all');
  expect(report.summary).toBe('d0 done, d1 done, d2 done');
  for (const database of databases) {
    const client = await fleet.db.connect({ database });
    const { rows } = await client.query('select name from public.pgmigrations').finally(() => client.end());
    expect(rows).toHaveLength(3);
  }
});

test('a schema that does not exist is a failure of its tenant, with a hint, and nothing lands in public', async () => {
  const fleet = await createFleet({ schemas: { a: 'tenant_a', b: 'tenant_b' }, migrations: threeTables });
  await fleet.db.query('drop schema tenant_a');
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([3, 'a failed, b done']);
  expect(report.of('a').error).toEqual({
    message: `schema "tenant_a" does not exist in database ${fleet.db.name}`,
    code: 'schema-missing',
    hint: expect.any(String),
  });
  expect(await fleet.tables()).toEqual(['tenant_b.one', 'tenant_b.three', 'tenant_b.two']);
});

test('"$user" names another schema even in quotes: a mistake in the file, a failure where it is found', async () => {
  const fleet = await createFleet({ schemas: { a: '$user', b: 'tenant_b' }, migrations: threeTables });
  await fleet.db.query('create schema postgres');
  const inFile = await fleet.run('migrate --all');
  expect(inFile.exitCode).toBe(2);
  expect(inFile.stderr).toContain('$user');
  await fleet.writeInventory({
    tenants: [],
    discover: ['tenant_*', '*user'].map((schemas) => ({ server: 'main', database: fleet.db.name, schemas })),
  });
  const found = await fleet.json('migrate --all');
  expect([found.exitCode, found.summary]).toEqual([3, 'b done, $ failed']);
  expect(await fleet.tables()).toEqual(['tenant_b.one', 'tenant_b.three', 'tenant_b.two']);
});

test('two names for one place are a mistake in the file, and nothing is run', async () => {
  const fleet = await createFleet({ schemas: { a: 'tenant_a' }, migrations: threeTables });
  const place = { server: 'main', database: fleet.db.name, schema: 'tenant_a' };
  await fleet.writeInventory({ tenants: ['a', 'b'].map((id) => ({ id, ...place })) });
  const { exitCode, stderr } = await fleet.run('migrate --all');
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/tenants\.yaml:\d+:\d+ .*"a".*|tenants\.yaml:\d+:\d+ .*"b"/);
  expect(await fleet.history('tenant_a')).toBeNull();
});

test('roles: objects belong to the role of the tenant, and one without USAGE changes nothing anywhere', async () => {
  const fleet = await createFleet({ schemas: { a: 'tenant_a', b: 'tenant_b' }, migrations });
  const [owner, other] = [`${fleet.db.name}-o"wn'er`, `${fleet.db.name}-other`];
  await asSuperuser(async (admin) => {
    for (const role of [owner, other]) await admin.query(`create role ${pg.escapeIdentifier(role)}`);
  });
  onTestFinished(() =>
    asSuperuser(async (admin) => {
      for (const role of [owner, other]) await admin.query(`drop role if exists ${pg.escapeIdentifier(role)}`);
    }),
  );
  // Here a migration that lost its schema would find a place: PostgreSQL 15 forbids it by default.
  await fleet.db.query(`grant create on schema public to public;
    alter schema tenant_a owner to ${pg.escapeIdentifier(owner)}`);
  const place = { server: 'main', database: fleet.db.name };
  await fleet.writeInventory({
    tenants: [
      { ...place, id: 'a', schema: 'tenant_a', role: owner },
      { ...place, id: 'b', schema: 'tenant_b', role: other },
    ],
  });
  const report = await fleet.json('migrate --all');
  expect(report.summary).toBe('a done, b failed');
  expect(report.of('b').error).toMatchObject({ code: 'wrong-schema', hint: expect.stringContaining(other) });
  expect(await fleet.tables()).toEqual(['tenant_a.one', 'tenant_a.two']);
  const owners = await fleet.db.query<{ owner: string }>(
    `select distinct relowner::regrole::text as owner from pg_class where relnamespace = 'tenant_a'::regnamespace`,
  );
  expect(owners).toEqual([{ owner: pg.escapeIdentifier(owner) }]);
  await fleet.db.query(`drop schema tenant_a cascade; revoke create on schema public from public`);
});

test('a login role without USAGE changes nothing anywhere', async () => {
  const fleet = await createFleet({ schemas: { a: 'tenant_a' }, migrations });
  const login = `${fleet.db.name}_login`;
  await asSuperuser((admin) => admin.query(`create role ${login} login`));
  onTestFinished(() => asSuperuser(async (admin) => void (await admin.query(`drop role if exists ${login}`))));
  await fleet.db.query('grant create on schema public to public');
  const url = new URL(databaseUrl(fleet.db.name).replace('@', '@host'));
  await fleet.writeInventory({
    servers: { main: { url: url.href.replace('@host', '@').replace('postgres@', `${login}@`) } },
  });
  const report = await fleet.json('migrate --all');
  expect(report.of('a').error).toMatchObject({ code: 'wrong-schema', hint: expect.stringContaining('login role') });
  expect(await fleet.tables()).toEqual([]);
});
