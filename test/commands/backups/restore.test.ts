import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { asSuperuser, databaseUrl } from '../../support/database.ts';
import { plainDump } from '../../support/dumps.ts';
import { holdTenant } from '../../support/tenant-lock.ts';
import { createBackedUp, dropOwnPlaces, fingerprint, ownPlaces, restoredOf } from './restored.ts';

const roles = ['restore_owner', 'restore_reader', 'restore_lost', 'restore_login'];
const dropRoles = () =>
  asSuperuser(async (admin) => {
    for (const role of roles) await admin.query(`drop role if exists ${role}`);
  });
await dropRoles();
await asSuperuser(async (admin) => {
  for (const role of roles) await admin.query(`create role ${role}`);
  await admin.query('alter role restore_login login');
});
// Called first, it comes last: they own what is in the fleet.
afterAll(dropRoles);

const hard = { q: 'Tenant "Q" é\\', one: 'tenant_1', archive: 'tenant_1_archive' };
const schemas = {
  ...hard,
  ...{ beside: 'tenant_beside', kept: 'tenant_kept', lost: 'tenant_lost', swap: 'tenant_swap', undo: 'tenant_undo' },
  ...{ gone: 'tenant_gone', damaged: 'tenant_damaged', own: 'own_extension', forced: 'forced_rls' },
};

// One fleet for all: a test that changes a tenant has it for itself.
const fleet = await createBackedUp({
  schemas,
  until: 'file',
  more: `
    grant select on tenant_lost.tasks to restore_lost;
    create extension citext schema own_extension; create table own_extension.people (mail own_extension.citext);
    create table forced_rls.notes (id int primary key, who text); insert into forced_rls.notes values (1, 'me'), (2, 'you');
    alter table forced_rls.notes enable row level security; alter table forced_rls.notes force row level security;
    create policy own on forced_rls.notes using (who = current_user);
    alter schema forced_rls owner to restore_login; alter table forced_rls.notes owner to restore_login;`,
});
const { db } = fleet;
const living = Object.entries(schemas).map(([id, schema]) => ({ id, server: 'main', database: db.name, schema }));

afterEach(async () => {
  await dropOwnPlaces(fleet);
  await fleet.writeInventory({});
});
beforeAll(() =>
  db.query(`grant create on database ${db.name} to restore_login; revoke all on tenant_lost.tasks from restore_lost`),
);

describe('restore beside', () => {
  it('makes an equal schema and touches neither the living one nor any other', async () => {
    const before = await fingerprint(fleet, []);
    const dump = await plainDump(fleet, 'tenant_beside');
    const report = await fleet.json('restore -t beside');
    expect(report.exitCode).toBe(0);
    const { to, rows, tables, swapped, old } = restoredOf(report, 'beside');
    expect(to.schema).toMatch(/^tenantctl_restore_\d{8}t\d{6}z_[a-z0-9]+_1$/);
    expect({ rows, tables, swapped, old }).toEqual({ rows: 40, tables: 2, swapped: false, old: null });

    expect(await fingerprint(fleet, [])).toEqual(before);
    expect(await plainDump(fleet, 'tenant_beside')).toBe(dump);
    // All but the function's body, which is a text, and the comment that says what it is.
    const beside = (await plainDump(fleet, to.schema!)).replace(/\n--\n-- Name: SCHEMA [\s\S]*?IS '[^']*';\n\n/, '');
    expect(sorted(beside.replaceAll(to.schema!, 'tenant_beside'))).toEqual(sorted(dump));
    const [row] = await db.query<{ comment: string; plans: string; tables: string }>(
      `select obj_description(to_regnamespace($1), 'pg_namespace') as comment,
              (select string_agg(distinct confrelid::regclass::text, ' ') from pg_constraint
                where contype = 'f' and connamespace = to_regnamespace($1)) as plans,
              (select string_agg(relname, ' ') from pg_class where relnamespace = to_regnamespace($1)
                  and relkind = 'r' and reltuples = 20) as tables`,
      [to.schema],
    );
    expect(row!.comment).toContain(`tenantctl: tenant beside as of `);
    expect(row!.comment).toContain(`run ${report.run}`);
    expect(row!.plans).toContain('shared.plans');
    // Somebody has looked at how many rows there are.
    expect(row!.tables.split(' ').toSorted()).toEqual(['tasks', 'users']);
    // Nobody's tenant.
    const discover = [{ server: 'main', database: db.name, schemas: '*' }];
    await fleet.writeInventory({ discover });
    const listed = (await fleet.json('tenants list --all')).outcomes.map(({ schema }) => schema);
    expect(listed).toContain('tenant_beside');
    expect(listed).not.toContain(to.schema);
  });

  it('then swaps what was restored, with the grants of the living one, and keeps that', async () => {
    const restored = await fleet.json('restore -t kept');
    await db.query(`
      delete from tenant_kept.tasks;
      alter schema tenant_kept owner to restore_owner; grant usage on schema tenant_kept to restore_reader with grant option;
      alter default privileges in schema tenant_kept grant select on tables to restore_reader;
      comment on schema tenant_kept is 'the first'`);
    const swap = `restore -t kept --swap --from-run ${restored.run}`;
    const refused = await fleet.run(swap);
    expect(refused.exitCode).toBe(5);
    expect(await ownPlaces(fleet)).toEqual([restoredOf(restored, 'kept').to.schema]);

    const report = await fleet.json(`${swap} --yes`);
    const { old, swapped, to } = restoredOf(report, 'kept');
    expect({ swapped, to: to.schema }).toEqual({ swapped: true, to: 'tenant_kept' });
    expect(await ownPlaces(fleet)).toEqual([old]);
    const properties = await db.query<{ name: string }>(
      `select n.nspname as name, n.nspowner::regrole::text as owner, n.nspacl::text as acl, d.defaclacl::text as defaults,
              obj_description(n.oid, 'pg_namespace') as comment
         from pg_namespace n left join pg_default_acl d on d.defaclnamespace = n.oid
        where n.nspname in ('tenant_kept', $1) order by n.nspname`,
      [old],
    );
    const [living, kept] = properties.map(({ name: _, ...rest }) => rest);
    expect(properties.map(({ name }) => name)).toEqual(['tenant_kept', old]);
    expect(living).toEqual(kept);
    expect(living).toMatchObject({ owner: 'restore_owner', comment: 'the first' });
    const [count] = await db.query(
      `select tenant_kept.count_tasks()::int as living, (select count(*)::int from "${old}".tasks) as old`,
    );
    expect(count).toEqual({ living: 20, old: 0 });
  });

  it('restores many side by side, the others too when one cannot be, and a resumed run only that one', async () => {
    await db.query('drop owned by restore_lost');
    await asSuperuser((admin) => admin.query('drop role restore_lost'));
    const report = await fleet.json('restore -t one archive lost own undo --concurrency 4');
    expect(report.exitCode).toBe(3);
    expect(report.summary).toBe('one done, archive done, lost failed, undo done, own failed');
    expect(report.of('lost').error).toMatchObject({
      code: 'roles-missing',
      hint: expect.stringContaining('_roles/main/'),
    });
    expect(report.of('lost').error?.message).toContain('restore_lost');
    // Its archive makes the schema, and the extension must be in it before the tables.
    const { error } = report.of('own');
    expect(error).toMatchObject({ code: 'extension-in-schema', message: expect.stringContaining('citext') });
    expect(await ownPlaces(fleet)).toHaveLength(3);

    await asSuperuser((admin) => admin.query('create role restore_lost'));
    const resumed = await fleet.json(`runs resume ${report.run}`);
    expect(resumed.of('lost').status).toBe('done');
    expect(await ownPlaces(fleet)).toHaveLength(4);
    await dropOwnPlaces(fleet);
  });

  it('needs no superuser for a table whose rows are hidden from its owner', async () => {
    const url = new URL(databaseUrl('postgres').replace(/\/\/[^@]*@/, '//restore_login@'));
    await fleet.writeInventory({ servers: { main: { url: String(url) } } });
    const report = await fleet.json('restore -t forced');
    const { to, rows } = restoredOf(report, 'forced');
    expect(rows).toBe(2);
    const [policy] = await db.query(
      `select relrowsecurity and relforcerowsecurity as forced, (select count(*)::int from pg_policy where polrelid = c.oid) as policies
         from pg_class c where relnamespace = to_regnamespace($1) and relname = 'notes'`,
      [to.schema],
    );
    expect(policy).toEqual({ forced: true, policies: 1 });
  });

  it('gives way to whoever has the tenant', async () => {
    const { release } = await holdTenant(fleet.db, 'tenant_1');
    const report = await fleet.json('restore -t one --lock-wait 100ms');
    expect(report.of('one').error).toMatchObject({ code: 'locked' });
    expect(await ownPlaces(fleet)).toEqual([]);
    await release();
  });
});

describe('restore with --swap', () => {
  it('does both in one transaction, and is planned by a dry run', async () => {
    const dump = await plainDump(fleet, 'tenant_swap');
    const others = await fingerprint(fleet, ['tenant_swap']);
    await db.query('drop table tenant_swap.tasks cascade');
    const planned = await fleet.run('restore -t swap --swap --dry-run');
    expect(planned.stdout).toMatch(/the living one is kept as tenantctl_old_/);
    expect(await ownPlaces(fleet)).toEqual([]);
    const report = await fleet.json('restore -t swap --swap --yes');
    expect(restoredOf(report, 'swap')).toMatchObject({ swapped: true, to: { schema: 'tenant_swap' } });
    expect(await plainDump(fleet, 'tenant_swap')).toBe(dump);
    expect(await fingerprint(fleet, ['tenant_swap'])).toEqual(others);
    expect(await ownPlaces(fleet)).toEqual([restoredOf(report, 'swap').old]);
  });

  it('names what refers to the old one from outside, and undoes everything by the statements that the report shows', async () => {
    await db.query(`
      insert into tenant_undo.users (name) values ('late');
      create function tenant_undo.ok() returns boolean language sql as 'select true';
      create policy from_undo on shared.plans using (tenant_undo.ok());
      create view shared.seen as select * from tenant_undo.users;
      create publication undo_all for tables in schema tenant_undo; create publication undo_one for table tenant_undo.users`);
    const { stdout } = await fleet.run('restore -t undo --swap --yes');
    expect(stdout).toMatch(/refer to the old one: policy from_undo on table shared.plans and view shared.seen$/m);
    expect(stdout).toContain('the living ones are in undo_one (1 table) and undo_all (whole schema)');
    expect(stdout).toMatch(/kept: .*would be dropped with it: policy from_undo .* and view shared.seen; .*DROP SCHEMA/);
    expect(await db.query("select from tenant_undo.users where name = 'late'")).toHaveLength(0);
    await db.query(/back again: (.*)/.exec(stdout)![1]!);
    expect(await db.query("select from tenant_undo.users where name = 'late'")).toHaveLength(1);
  });
});

describe('names that are hard to write', () => {
  it.each(Object.entries(hard))('restores %s beside and in its place', async (id, schema) => {
    const others = await fingerprint(fleet, [schema]);
    const dump = await plainDump(fleet, schema.replaceAll('"', '""'));
    const beside = await fleet.json(`restore -t ${id}`);
    // Of its own name, and not of one that only begins like it.
    expect(restoredOf(beside, id).remarks).toContainEqual(expect.stringContaining('1 function names schema'));
    await db.query(`drop table ${pg.escapeIdentifier(schema)}.tasks cascade`);
    const report = await fleet.json(`restore -t ${id} --swap --from-run ${beside.run} --yes`);
    expect(restoredOf(report, id).swapped).toBe(true);
    expect(await plainDump(fleet, schema.replaceAll('"', '""'))).toBe(dump);
    expect(await fingerprint(fleet, [schema])).toEqual(others);
  });
});

describe('restore to another name', () => {
  it('refuses when functions would go on with the old one, unless that is allowed', async () => {
    const refused = await fleet.json('restore -t one --to-schema copy');
    expect(refused.of('one').error).toMatchObject({ code: 'names-old-schema' });
    expect(refused.of('one').error?.message).toContain('count_tasks()');
    expect(await db.query("select from pg_namespace where nspname = 'copy'")).toHaveLength(0);
    const allowed = await fleet.json('restore -t one --to-schema copy --allow-old-names');
    expect(restoredOf(allowed, 'one').remarks).toContainEqual(expect.stringContaining('count_tasks()'));
    expect(await db.query('select from copy.tasks')).toHaveLength(20);
    const again = await fleet.json('restore -t one --to-schema copy --allow-old-names');
    expect(again.of('one').error).toMatchObject({ code: 'target-exists' });
    await db.query('drop schema copy cascade');
  });

  it('is for one tenant', async () => {
    const { exitCode, stderr } = await fleet.run('restore -t one archive --to-schema copy');
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('2 are selected')]);
  });
});

describe('restore of who is gone', () => {
  it('brings a schema back to where it was', async () => {
    const dump = await plainDump(fleet, 'tenant_gone');
    await db.query('drop schema tenant_gone cascade; create publication some_plans for table shared.plans');
    await fleet.writeInventory({ tenants: living.filter(({ id }) => id !== 'gone') });
    const report = await fleet.json('restore -t gone');
    expect(restoredOf(report, 'gone').to.schema).toBe('tenant_gone');
    expect(restoredOf(report, 'gone').remarks).toContainEqual(expect.stringMatching(/some_plans.* is not known/));
    expect(await plainDump(fleet, 'tenant_gone')).toBe(dump);
    expect(await ownPlaces(fleet)).toEqual([]);
  });

  it('takes nobody for gone who is only not selected, or whose place is taken', async () => {
    const first = await fleet.json('restore -t one archive');
    const one = await fleet.json(`restore -t one --from-run ${first.run} --outcome done`);
    expect(one.summary).toBe('one done');
    const labelled = await fleet.run('restore -t one -l tier=gold');
    expect(labelled.exitCode).toBe(2);
    const tenants = [{ id: 'other', server: 'main', database: fleet.db.name, schema: 'tenant_1' }];
    await fleet.writeInventory({ tenants });
    const taken = await fleet.json('restore -t one --swap --yes');
    expect(taken.of('one').error).toMatchObject({ code: 'target-exists' });
  });

  it('says what is wrong with a name that nobody knows, and a time that is too early', async () => {
    const unknown = await fleet.run('restore -t one nobody');
    expect(unknown.exitCode).toBe(2);
    expect(unknown.stderr).toContain('neither in the fleet nor in the store: "nobody"');
    expect((await fleet.run('restore -t nobody')).exitCode).toBe(2);
    const early = await fleet.json('restore -t one --at 2020-01-01');
    expect(early.exitCode).toBe(4);
    expect(early.of('one').error).toMatchObject({ code: 'no-backup' });
  });
});

describe('a damaged archive', () => {
  it('touches nothing', async () => {
    const folder = join(fleet.folder, 'backups', 'damaged');
    const name = (await readdir(folder)).find((file) => file.endsWith('.dump'))!;
    const bytes = await readFile(join(folder, name));
    bytes[bytes.length >> 1]! ^= 1;
    await chmod(join(folder, name), 0o644);
    await writeFile(join(folder, name), bytes);
    const before = await fingerprint(fleet, []);
    const report = await fleet.json('restore -t damaged --swap --yes');
    expect(report.of('damaged').error).toMatchObject({ code: 'archive-damaged' });
    expect(await ownPlaces(fleet)).toEqual([]);
    expect(await fingerprint(fleet, [])).toEqual(before);
  });
});

function sorted(text: string): readonly string[] {
  return text.split('\n').toSorted();
}
