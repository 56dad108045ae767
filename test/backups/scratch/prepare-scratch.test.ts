import { join } from 'node:path';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import type { BackupManifest } from '../../../src/backups/repository/manifest.ts';
import { openStore } from '../../../src/backups/repository/open-store.ts';
import { Repository } from '../../../src/backups/repository/repository.ts';
import { prepareScratch } from '../../../src/backups/scratch/prepare-scratch.ts';
import type { ScratchDatabase } from '../../../src/backups/scratch/scratch.ts';
import { connect } from '../../../src/postgres/connect.ts';
import { resolveConnection } from '../../../src/postgres/settings/resolve-connection.ts';
import { asSuperuser, createTestDatabase, databaseUrl, type TestDatabase } from '../../support/database.ts';
import { archiveOf, manifestOf, toFolder } from '../../support/dumps.ts';
import { createFleet } from '../../support/fleet.ts';

const owner = `prepare_owner_${process.pid}`;
const fleet = await createFleet({
  schemas: 1,
  until: 'file',
  inventory: { ...toFolder, searchPath: ['{schema}', 'common', 'public'] },
});
await asSuperuser((admin) => admin.query(`drop role if exists ${owner}; create role ${owner}`));
await fleet.db.query(`
  create extension citext schema public;
  create schema extras; create extension pg_trgm schema extras;
  create schema common authorization ${owner};
  create table common.plans as select 1 as id;
  create table tenant_t01.users (id int);
  alter table tenant_t01.users owner to ${owner};`);
const dumped = await fleet.json('dump --all');
const manifest = await manifestOf(archiveOf(fleet, dumped, 't01'));
const repository = new Repository({
  store: await openStore({ kind: 'folder', path: join(fleet.folder, 'backups') }),
  copy: null,
  recipients: [],
  identities: null,
  now: () => new Date(),
});

function asScratch(target: TestDatabase, isTemporary: boolean): ScratchDatabase {
  const { socketDir, port, user, postgres } = inject('cluster');
  const settings = resolveConnection({
    serverId: 'scratch',
    conninfo: databaseUrl(target.name),
    env: {},
    homeDir: '/nowhere',
    baseDir: '/',
    osUser: 'nobody',
    connectTimeoutMs: 10_000,
  });
  return {
    name: target.name,
    server: { name: 'scratch', major: postgres.major, isTemporary },
    env: { PGHOST: socketDir, PGPORT: String(port), PGUSER: user, PGDATABASE: target.name },
    connect: () => connect(settings, { applicationName: 'test' }),
    drop: async () => {},
  };
}

async function prepare(needs: Partial<BackupManifest['needs']>, isTemporary = false) {
  const target = await createTestDatabase({ until: 'test' });
  const prepared = await prepareScratch({
    database: asScratch(target, isTemporary),
    repository,
    manifest: { ...manifest, needs: { ...manifest.needs, ...needs } },
    tools: inject('cluster').postgres.client!,
    signal: new AbortController().signal,
  });
  return { ...prepared, target };
}

describe('prepareScratch', () => {
  it('restores what tenants share: schemas with rows, extensions where they were', async () => {
    const { lacking, restoreArgs, target } = await prepare({});
    expect(lacking).toEqual([]);
    expect(restoreArgs).not.toContain('--no-owner');
    expect(await target.query('select id from common.plans')).toEqual([{ id: 1 }]);
    expect(
      await target.query(`select extname, extnamespace::regnamespace::text as schema, nspowner::regrole::text as owner
         from pg_extension, pg_namespace where nspname = 'common' and extname <> 'plpgsql' order by 1`),
    ).toEqual([
      { extname: 'citext', schema: 'public', owner },
      { extname: 'pg_trgm', schema: 'extras', owner },
    ]);
  });

  it('says what is lacking, and goes on', async () => {
    const extensions = [{ name: 'no_such_extension', version: '1.0', schema: 'public' }];
    const { lacking, target } = await prepare({ extensions, shared: '_shared/main/gone/2026-01-01T000000.000Z.dump' });
    expect(lacking).toEqual([
      '_shared/main/gone/2026-01-01T000000.000Z.dump is not in the store',
      expect.stringMatching(/^extension no_such_extension 1.0: /),
    ]);
    expect(await target.query("select to_regclass('common.plans') as made")).toEqual([{ made: null }]);
  });

  it('makes no role on a server of the inventory: without one, owners are left out', async () => {
    const role = `Lacking "${process.pid}"`;
    const { lacking, restoreArgs, target } = await prepare({ roles: [...manifest.needs.roles, role] });
    expect(lacking).toEqual([`role ${role}: owners and grants were left out`]);
    expect(restoreArgs).toEqual(expect.arrayContaining(['--no-owner', '--no-privileges']));
    expect(await target.query('select 1 from pg_roles where rolname = $1', [role])).toEqual([]);
  });

  it('makes the roles in a cluster of our own', async () => {
    const role = `Made "${process.pid}"`;
    onTestFinished(() =>
      asSuperuser((admin) => admin.query(`drop role "${role.replaceAll('"', '""')}"`)).then(() => {}),
    );
    const { lacking, restoreArgs, target } = await prepare({ roles: [role, 'pg_database_owner'] }, true);
    expect(lacking).toEqual([]);
    expect(restoreArgs).not.toContain('--no-owner');
    expect(await target.query('select rolcanlogin from pg_roles where rolname = $1', [role])).toEqual([
      { rolcanlogin: false },
    ]);
  });
});
