import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { asSuperuser } from '../../support/database.ts';
import { plainDump } from '../../support/dumps.ts';
import { holdTenant } from '../../support/tenant-lock.ts';
import { createBackedUp, fingerprint, ownPlaces, restoredOf } from './restored.ts';

describe('restore beside', () => {
  it('makes an equal schema and touches neither the living one nor any other', async () => {
    const fleet = await createBackedUp();
    const before = await fingerprint(fleet, []);
    const dump = await plainDump(fleet, 'tenant_t01');
    const report = await fleet.json('restore -t t01');
    expect(report.exitCode).toBe(0);
    const { to, rows, tables, swapped, old } = restoredOf(report, 't01');
    expect(to.schema).toMatch(/^tenantctl_restore_\d{8}t\d{6}z_[a-z0-9]+_1$/);
    expect({ rows, tables, swapped, old }).toEqual({ rows: 40, tables: 2, swapped: false, old: null });

    expect(await fingerprint(fleet, [])).toEqual(before);
    expect(await plainDump(fleet, 'tenant_t01')).toBe(dump);
    // All but the function's body, which is a text, and the comment that says what it is.
    const beside = (await plainDump(fleet, to.schema!)).replace(/\n--\n-- Name: SCHEMA [\s\S]*?IS '[^']*';\n\n/, '');
    expect(sorted(beside.replaceAll(to.schema!, 'tenant_t01'))).toEqual(sorted(dump));
    const [row] = await fleet.db.query<{ comment: string; plans: string; tables: string }>(
      `select obj_description(to_regnamespace($1), 'pg_namespace') as comment,
              (select string_agg(distinct confrelid::regclass::text, ' ') from pg_constraint
                where contype = 'f' and connamespace = to_regnamespace($1)) as plans,
              (select string_agg(relname, ' ') from pg_class where relnamespace = to_regnamespace($1)
                  and relkind = 'r' and reltuples = 20) as tables`,
      [to.schema],
    );
    expect(row!.comment).toContain(`tenantctl: tenant t01 as of `);
    expect(row!.comment).toContain(`run ${report.run}`);
    expect(row!.plans).toContain('shared.plans');
    // Somebody has looked at how many rows there are.
    expect(row!.tables.split(' ').toSorted()).toEqual(['tasks', 'users']);
    // Nobody's tenant.
    expect((await fleet.json('tenants list --all')).outcomes.map(({ tenant }) => tenant)).toEqual(['t01', 't02']);
  });

  it('then swaps what was restored, with the grants of the living one, and keeps that', async () => {
    const roles = ['restore_owner', 'restore_reader'];
    await asSuperuser(async (admin) => {
      for (const role of roles) await admin.query(`drop role if exists ${role}`);
      for (const role of roles) await admin.query(`create role ${role}`);
    });
    onTestFinished(async () => {
      await asSuperuser(async (admin) => {
        for (const role of roles) await admin.query(`drop role if exists ${role}`);
      });
    });
    const fleet = await createBackedUp({ schemas: 1 });
    const restored = await fleet.json('restore -t t01');
    await fleet.db.query(`
      delete from tenant_t01.tasks; create schema gone;
      alter schema tenant_t01 owner to restore_owner; grant usage on schema tenant_t01 to restore_reader with grant option;
      alter default privileges in schema tenant_t01 grant select on tables to restore_reader;
      comment on schema tenant_t01 is 'the first'`);
    const swap = `restore -t t01 --swap --from-run ${restored.run}`;
    const refused = await fleet.run(swap);
    expect(refused.exitCode).toBe(5);
    expect(await ownPlaces(fleet)).toEqual([restoredOf(restored, 't01').to.schema]);

    const report = await fleet.json(`${swap} --yes`);
    const { old, swapped, to } = restoredOf(report, 't01');
    expect({ swapped, to: to.schema }).toEqual({ swapped: true, to: 'tenant_t01' });
    expect(await ownPlaces(fleet)).toEqual([old]);
    const properties = await fleet.db.query<{ name: string }>(
      `select n.nspname as name, n.nspowner::regrole::text as owner, n.nspacl::text as acl, d.defaclacl::text as defaults,
              obj_description(n.oid, 'pg_namespace') as comment
         from pg_namespace n left join pg_default_acl d on d.defaclnamespace = n.oid
        where n.nspname in ('tenant_t01', $1) order by n.nspname`,
      [old],
    );
    const [living, kept] = properties.map(({ name: _, ...rest }) => rest);
    expect(properties.map(({ name }) => name)).toEqual(['tenant_t01', old]);
    expect(living).toEqual(kept);
    expect(living).toMatchObject({ owner: 'restore_owner', comment: 'the first' });
    const [count] = await fleet.db.query(
      `select tenant_t01.count_tasks()::int as living, (select count(*)::int from "${old}".tasks) as old`,
    );
    expect(count).toEqual({ living: 20, old: 0 });
    await fleet.db.query(`drop schema tenant_t01, "${old}" cascade`);
  });

  it('restores many side by side, the others too when one cannot be, and a resumed run only that one', async () => {
    await asSuperuser(async (admin) => {
      await admin.query('drop role if exists restore_lost');
      await admin.query('create role restore_lost');
    });
    const fleet = await createBackedUp({ schemas: 5, more: 'grant select on tenant_t03.tasks to restore_lost;' });
    await fleet.db.query('revoke all on tenant_t03.tasks from restore_lost');
    await asSuperuser((admin) => admin.query('drop role restore_lost'));
    const report = await fleet.json('restore --all --concurrency 4');
    expect(report.exitCode).toBe(3);
    expect(report.summary).toBe('t01 done, t02 done, t03 failed, t04 done, t05 done');
    expect(report.of('t03').error).toMatchObject({
      code: 'roles-missing',
      hint: expect.stringContaining('_roles/main/'),
    });
    expect(report.of('t03').error?.message).toContain('restore_lost');
    expect(await ownPlaces(fleet)).toHaveLength(4);

    await asSuperuser((admin) => admin.query('create role restore_lost'));
    const resumed = await fleet.json(`runs resume ${report.run}`);
    expect(resumed.summary).toBe('t03 done');
    expect(await ownPlaces(fleet)).toHaveLength(5);
    await fleet.db.query('drop owned by restore_lost');
    await asSuperuser((admin) => admin.query('drop role restore_lost'));
  });

  it('gives way to whoever has the tenant', async () => {
    const fleet = await createBackedUp({ schemas: 1 });
    const { release } = await holdTenant(fleet.db, 'tenant_t01');
    const report = await fleet.json('restore -t t01 --lock-wait 100ms');
    expect(report.of('t01').error).toMatchObject({ code: 'locked' });
    expect(await ownPlaces(fleet)).toEqual([]);
    await release();
  });
});

describe('restore with --swap', () => {
  it('does both in one transaction, and is planned by a dry run', async () => {
    const fleet = await createBackedUp();
    const dump = await plainDump(fleet, 'tenant_t01');
    const others = await fingerprint(fleet, ['tenant_t01']);
    await fleet.db.query('drop table tenant_t01.tasks cascade');
    const planned = await fleet.run('restore -t t01 --swap --dry-run');
    expect(planned.stdout).toMatch(/the living one is kept as tenantctl_old_/);
    expect(await ownPlaces(fleet)).toEqual([]);
    const report = await fleet.json('restore -t t01 --swap --yes');
    expect(restoredOf(report, 't01')).toMatchObject({ swapped: true, to: { schema: 'tenant_t01' } });
    expect(await plainDump(fleet, 'tenant_t01')).toBe(dump);
    expect(await fingerprint(fleet, ['tenant_t01'])).toEqual(others);
    expect(await ownPlaces(fleet)).toEqual([restoredOf(report, 't01').old]);
  });

  it('undoes everything by the statements that the report shows', async () => {
    const fleet = await createBackedUp({ schemas: 1 });
    await fleet.db.query("insert into tenant_t01.users (name) values ('late')");
    const { stdout } = await fleet.run('restore -t t01 --swap --yes');
    expect(await fleet.db.query("select from tenant_t01.users where name = 'late'")).toHaveLength(0);
    await fleet.db.query(/back again: (.*)/.exec(stdout)![1]!);
    expect(await fleet.db.query("select from tenant_t01.users where name = 'late'")).toHaveLength(1);
  });
});

describe('names that are hard to write', () => {
  const schemas = { q: 'Tenant "Q" é\\', one: 'tenant_1', archive: 'tenant_1_archive' };

  it.each(Object.entries(schemas))('restores %s beside and in its place', async (id, schema) => {
    const fleet = await createBackedUp({ schemas });
    const others = await fingerprint(fleet, [schema]);
    const dump = await plainDump(fleet, schema.replaceAll('"', '""'));
    const beside = await fleet.json(`restore -t ${id}`);
    // Of its own name, and not of one that only begins like it.
    expect(restoredOf(beside, id).remarks).toContainEqual(expect.stringContaining('1 function names schema'));
    await fleet.db.query(`drop table ${pg.escapeIdentifier(schema)}.tasks cascade`);
    const report = await fleet.json(`restore -t ${id} --swap --from-run ${beside.run} --yes`);
    expect(restoredOf(report, id).swapped).toBe(true);
    expect(await plainDump(fleet, schema.replaceAll('"', '""'))).toBe(dump);
    expect(await fingerprint(fleet, [schema])).toEqual(others);
  });
});

describe('restore to another name', () => {
  it('refuses when functions would go on with the old one, unless that is allowed', async () => {
    const fleet = await createBackedUp({ schemas: 1 });
    const refused = await fleet.json('restore -t t01 --to-schema copy');
    expect(refused.of('t01').error).toMatchObject({ code: 'names-old-schema' });
    expect(refused.of('t01').error?.message).toContain('count_tasks()');
    expect(await fleet.db.query("select from pg_namespace where nspname = 'copy'")).toHaveLength(0);
    const allowed = await fleet.json('restore -t t01 --to-schema copy --allow-old-names');
    expect(restoredOf(allowed, 't01').remarks).toContainEqual(expect.stringContaining('count_tasks()'));
    expect(await fleet.db.query('select from copy.tasks')).toHaveLength(20);
    const again = await fleet.json('restore -t t01 --to-schema copy --allow-old-names');
    expect(again.of('t01').error).toMatchObject({ code: 'target-exists' });
  });

  it('is for one tenant', async () => {
    const fleet = await createBackedUp();
    const { exitCode, stderr } = await fleet.run('restore --all --to-schema copy');
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('2 are selected')]);
  });
});

describe('restore of who is gone', () => {
  it('brings a schema back to where it was', async () => {
    const fleet = await createBackedUp();
    const dump = await plainDump(fleet, 'tenant_t01');
    await fleet.db.query('drop schema tenant_t01 cascade');
    const report = await fleet.json('restore -t t01');
    expect(restoredOf(report, 't01').to.schema).toBe('tenant_t01');
    expect(await plainDump(fleet, 'tenant_t01')).toBe(dump);
    expect(await ownPlaces(fleet)).toEqual([]);
  });

  it('takes nobody for gone who is only not selected, or whose place is taken', async () => {
    const fleet = await createBackedUp({ schemas: 3 });
    const first = await fleet.json('restore --all');
    const one = await fleet.json(`restore -t t01 --from-run ${first.run} --outcome done`);
    expect(one.summary).toBe('t01 done');
    const labelled = await fleet.run('restore -t t01 -l tier=gold');
    expect(labelled.exitCode).toBe(2);
    const tenants = [{ id: 'other', server: 'main', database: fleet.db.name, schema: 'tenant_t01' }];
    await fleet.writeInventory({ tenants, discover: [] });
    const taken = await fleet.json('restore -t t01 --swap --yes');
    expect(taken.of('t01').error).toMatchObject({ code: 'target-exists' });
  });

  it('says what is wrong with a name that nobody knows, and a time that is too early', async () => {
    const fleet = await createBackedUp({ schemas: 1 });
    const unknown = await fleet.run('restore -t t01 nobody');
    expect(unknown.exitCode).toBe(2);
    expect(unknown.stderr).toContain('neither in the fleet nor in the store: "nobody"');
    expect((await fleet.run('restore -t nobody')).exitCode).toBe(2);
    const early = await fleet.json('restore -t t01 --at 2020-01-01');
    expect(early.exitCode).toBe(4);
    expect(early.of('t01').error).toMatchObject({ code: 'no-backup' });
  });
});

describe('a damaged archive', () => {
  it('touches nothing', async () => {
    const fleet = await createBackedUp({ schemas: 1 });
    const folder = join(fleet.folder, 'backups', 't01');
    const name = (await readdir(folder)).find((file) => file.endsWith('.dump'))!;
    const bytes = await readFile(join(folder, name));
    bytes[bytes.length >> 1]! ^= 1;
    await chmod(join(folder, name), 0o644);
    await writeFile(join(folder, name), bytes);
    const before = await fingerprint(fleet, []);
    const report = await fleet.json('restore -t t01 --swap --yes');
    expect(report.of('t01').error).toMatchObject({ code: 'archive-damaged' });
    expect(await ownPlaces(fleet)).toEqual([]);
    expect(await fingerprint(fleet, [])).toEqual(before);
  });
});

function sorted(text: string): readonly string[] {
  return text.split('\n').toSorted();
}
