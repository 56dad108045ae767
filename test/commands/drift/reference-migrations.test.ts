import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { asSuperuser, databaseUrl } from '../../support/database.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { threeTables } from '../../support/migrations.ts';
import { holdTo } from './held-to.ts';

const cacheFolder = (fleet: TestFleet) => join(fleet.folder, '.tenantctl', 'cache', 'built-schemas');

async function migrate(fleet: TestFleet, argv: string): Promise<void> {
  const { exitCode, stdout, stderr } = await fleet.run(`migrate ${argv}`);
  if (exitCode !== 0) throw new Error(`${stdout}\n${stderr}`);
}

/** Each kind of file, with what belongs to a tenant and what it shares. */
const mixed: Readonly<Record<string, string>> = {
  '0001_users.sql': `CREATE TYPE mood AS ENUM ('sad', 'fine');
    CREATE TABLE users (id serial PRIMARY KEY, plan int REFERENCES public.plans, area text REFERENCES areas, mood mood, mail citext);
    COMMENT ON TABLE users IS 'people';`,
  '0002_index.sql': `-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY users_mail_idx ON users (mail);`,
  '0003_view.js': `module.exports.up = (pgm) => { pgm.sql('CREATE VIEW fine AS SELECT id FROM users WHERE mood = $$fine$$'); };`,
  '0004_late.sql': `CREATE TABLE late (id int, at timestamptz DEFAULT '2024-01-01 00:00');`,
};

/** Each of them makes databases. */
const soak = process.env.TENANTCTL_SOAK === '1';

describe('what the migrations build', () => {
  it('is what tenants have, each at its own version: pending is no drift', async () => {
    const fleet = await createFleet({ schemas: 4, databases: 1, migrations: threeTables });
    await migrate(fleet, '--all --count 2');
    await migrate(fleet, '-t t02 d01');
    await fleet.db.query('alter table tenant_t03.one add tmp text; create schema tenant_t05');
    const { tenants, builds, notices } = await holdTo(fleet, 'migrations');
    expect(tenants).toMatchObject({ t01: 'equal', t02: 'equal', t04: 'equal', t05: 'equal', d01: 'equal' });
    expect(tenants.t03).toContain('extra column one.tmp');
    expect([builds, notices]).toEqual([2, []]);
    expect(await scratchLeft()).toEqual([]);
  });

  it('is built again only when something changed, and never believed when the cache is damaged', async () => {
    const fleet = await createFleet({ schemas: 2, migrations: threeTables });
    await migrate(fleet, '--all');
    const first = await holdTo(fleet, 'migrations');
    expect(first).toMatchObject({ tenants: { t01: 'equal', t02: 'equal' }, builds: 1 });
    expect(await holdTo(fleet, 'migrations')).toEqual({ ...first, builds: 0 });

    const [name = ''] = await readdir(cacheFolder(fleet));
    const file = join(cacheFolder(fleet), name);
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('three', 'threw'));
    expect(await holdTo(fleet, 'migrations')).toEqual(first);
    expect(await readFile(file, 'utf8')).toBe(text);

    await fleet.write('0003_three.sql', 'CREATE TABLE three (id bigint);');
    const edited = await holdTo(fleet, 'migrations');
    expect(edited).toMatchObject({ builds: 1 });
    expect(edited.tenants.t01).toBe('changed column three.id');
  });

  it('rests on what tenants share: schemas with migrations of their own, others, extensions', async () => {
    const fleet = await createFleet({
      schemas: 2,
      databases: 1,
      migrations: { ...mixed, 'shared/0001_areas.sql': 'CREATE TABLE areas (name text PRIMARY KEY);' },
    });
    const shared = { server: 'main', database: fleet.db.name, schema: 'common', migrations: './migrations/shared' };
    await fleet.writeInventory({
      searchPath: ['{schema}', 'common', 'public'],
      shared: [shared],
      discover: [{ server: 'main', database: fleet.db.name, schemas: 'tenant_*' }],
    });
    await fleet.db.query(`alter database ${fleet.db.name} set timezone to 'Asia/Tokyo'; create schema common; create extension citext;
      create function public.free() returns int language sql as $$\n select 1\n$$;
      create table public.plans (id int primary key default public.free())`);
    await migrate(fleet, '--all --to 0003');
    await migrate(fleet, '-t t02');
    const held = await holdTo(fleet, 'migrations');
    expect(held.tenants).toEqual({ t01: 'equal', t02: 'equal' });
    expect(await holdTo(fleet, 'migrations')).toMatchObject({ builds: 0 });
    // What is copied counts for what was built.
    await fleet.db.query('alter table public.plans alter id type bigint');
    expect(await holdTo(fleet, 'migrations')).toMatchObject({ builds: 1 });
  });

  it('belongs to the login role of each server, where tenants have no role', async () => {
    const boss = `boss_${randomBytes(3).toString('hex')}`;
    onTestFinished(() => asSuperuser(async (admin) => void (await admin.query(`drop role ${boss}`))));
    await asSuperuser(async (admin) => void (await admin.query(`create role ${boss} superuser login`)));
    const fleet = await createFleet({ schemas: { a: 'a', b: 'b' }, migrations: threeTables });
    const url = databaseUrl('postgres');
    await fleet.writeInventory({
      servers: { main: { url }, other: { url: url.replace(/\/\/\w+@/, `//${boss}@`) } },
      tenants: ['a', 'b'].map((id) => {
        return { id, server: id === 'a' ? 'main' : 'other', database: fleet.db.name, schema: id };
      }),
    });
    await migrate(fleet, '--all');
    const held = await holdTo(fleet, 'migrations');
    expect(held).toMatchObject({ tenants: { a: 'equal', b: 'equal' }, builds: 2 });
  });

  it.runIf(soak)('belongs to the tenants’ roles, with the privileges that their schemas give', async () => {
    const suffix = randomBytes(3).toString('hex');
    const roles = ['a', 'b', 'c', 'app'].map((name) => `${name}_${suffix}`);
    await asSuperuser(async (admin) => void (await admin.query(roles.map((role) => `create role ${role}`).join(';'))));
    onTestFinished(() => asSuperuser(async (admin) => void (await admin.query(`drop role ${roles.join()}`))));
    const schemas = Object.fromEntries(roles.slice(0, 3).map((role) => [role, role]));
    const fleet = await createFleet({
      schemas,
      migrations: { ...threeTables, '0004_f.sql': 'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;' },
      inventory: { role: '{schema}' },
    });
    for (const role of Object.keys(schemas)) {
      await fleet.db.query(`alter schema ${role} owner to ${role}; grant usage on schema ${role} to app_${suffix};
        alter default privileges for role ${role} in schema ${role} grant select on tables to app_${suffix};
        alter default privileges for role ${role} revoke execute on functions from public`);
    }
    await migrate(fleet, '--all');
    await fleet.db.query(`grant delete on b_${suffix}.one to app_${suffix}`);
    const { tenants } = await holdTo(fleet, 'migrations');
    expect(tenants).toMatchObject({ [`a_${suffix}`]: 'equal', [`c_${suffix}`]: 'equal' });
    expect(tenants[`b_${suffix}`]).toBe('changed privileges table one');
  });

  it('is what a tenant has had, with gaps; nothing for a history that the folder cannot make', async () => {
    const fleet = await createFleet({ schemas: 4, migrations: threeTables });
    await migrate(fleet, '--all --count 1');
    await migrate(fleet, '-t t01 t02');
    await fleet.db.query(`insert into tenant_t01.pgmigrations (name, run_on) values ('0009_branch', now());
      drop table tenant_t02.two; delete from tenant_t02.pgmigrations where name = '0002_two';
      delete from tenant_t04.pgmigrations`);
    const t01 = 'none: it has migrations that the folder lacks: 0009_branch';
    const { tenants } = await holdTo(fleet, 'migrations');
    expect(tenants).toEqual({ t01, t02: 'equal', t03: 'equal', t04: expect.stringContaining('extra table one') });

    await fleet.write('0003_three.sql', '\nCREATE TABLE three (id int REFERENCES public.gone);');
    const broken = await holdTo(fleet, 'migrations');
    const why = 'migrations/0003_three.sql:2: relation "public.gone" does not exist';
    expect(broken.tenants).toMatchObject({ t01, t02: `none: the migrations cannot be built: ${why}`, t03: 'equal' });
    expect([broken.builds, broken.notices]).toEqual([1, []]);
    expect(await scratchLeft()).toEqual([]);

    await fleet.write('0003_three.sql', 'CREATE ROLE somebody_of_a_migration;');
    const dangerous = await holdTo(fleet, 'migrations');
    expect(dangerous.tenants.t02).toContain(
      'none: the migrations are not built: migrations/0003_three.sql:1:1: CREATE ROLE',
    );
    expect(dangerous).toMatchObject({ tenants: { t03: 'equal' }, builds: 0 });
  });
});

/** Other test files may have one at this moment, but not with nobody in it. */
async function scratchLeft(): Promise<readonly string[]> {
  return asSuperuser(async (admin) => {
    const { rows } = await admin.query(`select datname from pg_database d where datname like 'tenantctl\\_drift\\_2%'
      and shobj_description(oid, 'pg_database') like 'scratch%'
      and not exists (select from pg_stat_activity a where a.datid = d.oid)`);
    return rows.map(({ datname }) => datname);
  });
}
