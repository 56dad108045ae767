import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  archivedRows,
  archiveOf,
  archiveSql,
  asDatabase,
  dumpedOf,
  manifestOf,
  plainDump,
  storedFiles,
  toFolder,
} from '../../support/dumps.ts';
import { createFleet } from '../../support/fleet.ts';

const schemas = { acme: 'tenant_acme', 'Ünï "1"': 'Tenant "Q" é', acme2: 'tenant_acme_2' };

async function makeShop() {
  const fleet = await createFleet({
    schemas,
    inventory: { ...toFolder, searchPath: ['{schema}', 'common', 'public'] },
  });
  await fleet.db.query(`
    create extension if not exists citext schema public;
    create schema common;
    create table common.countries (code text primary key);
    insert into common.countries values ('de'), ('at');`);
  for (const schema of Object.values(schemas)) {
    const name = `"${schema.replaceAll('"', '""')}"`;
    await fleet.db.query(`
      create table ${name}.orders (id bigint generated always as identity primary key,
        country text references common.countries, note text);
      create table ${name}.pgmigrations (id serial, name text, run_on timestamp);
      insert into ${name}.pgmigrations (name, run_on) values ('0001_orders', now()), ('0002_note', now() + interval '1 s');
      insert into ${name}.orders (country, note) select 'de', 'marker of ${schema.replaceAll("'", '')}' from generate_series(1, 5);`);
  }
  return fleet;
}

test('writes an archive a tenant that plain pg_restore takes, equal to a dump of its own', async () => {
  const fleet = await makeShop();
  const report = await fleet.json('dump --all');
  expect([report.exitCode, report.summary]).toEqual([0, 'acme done, Ünï "1" done, acme2 done']);
  for (const [tenant, schema] of Object.entries(schemas)) {
    const archive = archiveOf(fleet, report, tenant);
    expect(await archiveSql(archive), tenant).toBe(await plainDump(fleet, schema.replaceAll('"', '""')));
    const bytes = (await readFile(archive)).toString('latin1');
    for (const other of Object.keys(schemas)) {
      if (other !== tenant) expect(bytes.includes(`marker of ${schemas[other as never]}`)).toBe(false);
    }
  }
});

test('says in the manifest what it is, and what a restore needs beside it', async () => {
  const fleet = await makeShop();
  const report = await fleet.json('dump --all');
  const manifest = await manifestOf(archiveOf(fleet, report, 'acme'));
  expect(manifest).toMatchObject({
    subject: { kind: 'tenant', tenant: 'acme' },
    run: report.run,
    place: { server: 'main', database: fleet.db.name, schema: 'tenant_acme' },
    snapshot: { isCommon: true, fromReplica: false },
    encryption: null,
    tables: [
      { schema: 'tenant_acme', name: 'orders', rows: 5 },
      { schema: 'tenant_acme', name: 'pgmigrations', rows: 2 },
    ],
    migration: { version: '0002_note', applied: 2 },
    needs: {
      extensions: [{ name: 'citext', schema: 'public' }],
      roles: ['postgres'],
      shared: `_shared/main/${fleet.db.name}/${manifest.time}.dump`,
      rolesFile: expect.stringMatching(/^_roles\/main\/.*\.sql$/),
      largeObjects: null,
    },
    made: { batch: 3 },
    remarks: [expect.stringContaining('sequences')],
  });
  const store = join(fleet.folder, 'backups');
  expect(await archivedRows(join(store, manifest.needs.shared!), 'countries')).toEqual(['de', 'at']);
  expect(await archiveSql(join(store, manifest.needs.shared!))).toContain('CREATE EXTENSION IF NOT EXISTS citext');
  const roles = await readFile(join(store, manifest.needs.rolesFile!), 'utf8');
  expect(roles).toContain('CREATE ROLE postgres');
  expect(roles).not.toContain('PASSWORD');
  // An archive and a manifest each, of three tenants, what they share, and the roles; and whose store it is.
  expect((await storedFiles(fleet)).length).toBe(11);
});

test('keeps large objects in an archive of their own, and says who may name them', async () => {
  const fleet = await createFleet({ schemas: { acme: 'acme', other: 'other' }, inventory: toFolder });
  await fleet.db.query(`create table acme.files (id int, content oid); create table other.t (id int);
    insert into acme.files values (1, lo_from_bytea(0, 'large'))`);
  const report = await fleet.json('dump --all');
  const { needs, remarks } = await manifestOf(archiveOf(fleet, report, 'acme'));
  expect(needs.largeObjects).toMatch(/^_large-objects\/main\//);
  expect(remarks).toContainEqual(expect.stringContaining('files.content'));
  expect(dumpedOf(report, 'other').remarks).toEqual([]);
  expect(await archiveSql(join(fleet.folder, 'backups', needs.largeObjects!))).toContain('lo_create');
  expect(await archiveSql(archiveOf(fleet, report, 'acme'))).not.toContain('lo_create');
});

test('dumps a tenant with a database of its own whole', async () => {
  const fleet = await createFleet({ databases: 1, inventory: toFolder });
  const [database = ''] = fleet.databases;
  await asDatabase(
    database,
    `create table notes (id int); insert into notes values (1), (2);
     create schema tenantctl_old_x; create schema tenantctl`,
  );
  const report = await fleet.json('dump --all');
  const archive = archiveOf(fleet, report, 'd01');
  expect(await archivedRows(archive, 'notes')).toEqual(['1', '2']);
  expect(await archiveSql(archive)).not.toContain('tenantctl_old_x');
  expect(await archiveSql(archive)).not.toContain('CREATE SCHEMA tenantctl');
  expect(await manifestOf(archive)).toMatchObject({
    made: { alone: 'a database of its own' },
    needs: { shared: null },
  });
});

test('a tenant that cannot be dumped stands alone at the end: the others of its batch are done', async () => {
  const fleet = await createFleet({ schemas: 9, inventory: toFolder });
  for (let tenant = 1; tenant <= 9; tenant += 1) {
    await fleet.db.query(
      `create table tenant_t0${tenant}.things (id int); insert into tenant_t0${tenant}.things values (1)`,
    );
  }
  // pg_dump reads the definition of a view by its rule; without one it cannot.
  await fleet.db.query(`create view tenant_t05.broken as select 1 as one;
    delete from pg_rewrite where ev_class = 'tenant_t05.broken'::regclass`);
  const report = await fleet.json('dump --all');
  expect(report.exitCode).toBe(3);
  expect(report.totals).toMatchObject({ done: 8, failed: 1 });
  expect(report.of('t05').error?.message).toContain('pg_dump');
  // Of the batch that failed nothing is left, and no manifest beside an archive that is not there.
  const files = await storedFiles(fleet);
  expect(files.filter((file) => file.startsWith('t0')).length).toBe(16);
  expect(files.some((file) => file.startsWith('t05/'))).toBe(false);
});

test('a dry run writes nothing and tells what would be dumped together', async () => {
  const fleet = await createFleet({ schemas: 3, inventory: toFolder });
  const result = await fleet.run('dump --all --dry-run');
  expect([result.exitCode, result.stdout]).toEqual([0, expect.stringContaining('3 tenants, 0 B on disk, in 1 batch')]);
  expect(await storedFiles(fleet)).toEqual([]);
});

test.each([
  ['dump --all', {}, 'does not say where backups are'],
  ['dump --all --rate fast', toFolder, '--rate takes a number and a unit, not "fast"'],
  ['dump --all --from backup', toFolder, '--from takes primary or replica'],
  ['dump --all --from replica', toFolder, 'server main has no replica'],
  ['dump --all --per-database 1', toFolder, 'a dump takes two connections'],
  ['dump --all --compress best', toFolder, '--compress takes a gzip level'],
  ['dump --all --lock-share 2', toFolder, '--lock-share takes a percentage'],
])('%s with %o is a mistake of the caller', async (argv, inventory, message) => {
  const fleet = await createFleet({ schemas: 1, inventory });
  const result = await fleet.run(argv);
  expect([result.exitCode, result.stdout, result.stderr]).toEqual([2, '', expect.stringContaining(message)]);
  expect(await storedFiles(fleet)).toEqual([]);
});
