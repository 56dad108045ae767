import pg from 'pg';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { asSuperuser, databaseUrl } from '../../support/database.ts';
import { toFolder } from '../../support/dumps.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { dumpAll, restoredOf } from './restored.ts';

afterAll(() => asSuperuser(async (admin) => void (await admin.query('drop role if exists restore_db_role'))));

describe('restore of a tenant with a database of its own', () => {
  it('goes beside, and then into its place with all that the living one was given', async () => {
    const { fleet, name } = await createOwn();
    const beside = await fleet.json('restore -t d01');
    const { to } = restoredOf(beside, 'd01');
    dropAtEnd(to.database);
    expect(await inside(to.database, 'select count(*)::int as n from app.tasks')).toEqual([{ n: 30 }]);
    expect(await inside(name, 'select count(*)::int as n from app.tasks')).toEqual([{ n: 30 }]);
    expect((await fleet.json('tenants list --all')).outcomes).toHaveLength(1);

    await inside(name, 'delete from app.tasks');
    const report = await fleet.json(`restore -t d01 --swap --from-run ${beside.run} --yes`);
    const { old, swapped } = restoredOf(report, 'd01');
    dropAtEnd(old!);
    expect(swapped).toBe(true);
    expect(await inside(name, 'select count(*)::int as n from app.tasks')).toEqual([{ n: 30 }]);
    expect(await inside(old!, 'select count(*)::int as n from app.tasks')).toEqual([{ n: 0 }]);
    expect(await properties(name)).toEqual(await properties(old!));
    expect(await properties(name)).toMatchObject({ comment: 'first', connections: 50, owner: 'restore_db_role' });
  });

  it('does not cut off anybody, unless it is told to', async () => {
    const { fleet, name } = await createOwn();
    const client = new pg.Client({ connectionString: databaseUrl(name), application_name: 'shop' });
    await client.connect();
    const cut = new Promise<unknown>((resolve) => client.on('error', resolve));
    const refused = await fleet.json('restore -t d01 --swap --yes');
    expect(refused.of('d01').error).toMatchObject({ code: 'connected', message: expect.stringContaining('shop') });
    expect(await ourDatabases(name)).toEqual([]);
    const report = await fleet.json('restore -t d01 --swap --yes --disconnect');
    dropAtEnd(restoredOf(report, 'd01').old!);
    expect(await cut).toMatchObject({ code: '57P01' });
    await client.end().catch(() => {});
  });

  it('is made again with its settings when it was dropped', async () => {
    const { fleet, name } = await createOwn();
    const before = await properties(name);
    await asSuperuser((admin) => admin.query(`drop database ${name}`));
    const report = await fleet.json('restore -t d01');
    expect(restoredOf(report, 'd01').to.database).toBe(name);
    expect(await inside(name, 'select count(*)::int as n from app.tasks')).toEqual([{ n: 30 }]);
    expect(await properties(name)).toEqual(before);
  });

  it('leaves nothing when the restore fails, and takes away what a killed one left', async () => {
    const { fleet, name } = await createOwn();
    const left = `tenantctl_restore_left_${name.slice(-8)}`;
    await asSuperuser(async (admin) => {
      await admin.query(`create database ${left} template template0`);
      await admin.query(`comment on database ${left} is 'tenantctl: unfinished restore of tenant d01, run 2026-x'`);
    });
    const report = await fleet.json('restore -t d01 --to-database tenantctl_restore_own_test');
    dropAtEnd('tenantctl_restore_own_test');
    expect(report.summary).toBe('d01 done');
    const again = await fleet.json('restore -t d01 --to-database tenantctl_restore_own_test');
    expect(again.of('d01').error).toMatchObject({ code: 'target-exists' });
    const rows = await asSuperuser((admin) => admin.query('select from pg_database where datname = $1', [left]));
    expect(rows.rowCount).toBe(0);
  });
});

async function createOwn(): Promise<{ readonly fleet: TestFleet; readonly name: string }> {
  const fleet = await createFleet({ databases: 1, inventory: toFolder });
  const [name = ''] = fleet.databases;
  await asSuperuser(async (admin) => {
    await admin.query('do $$ begin create role restore_db_role; exception when duplicate_object then null; end $$');
    await admin.query(`alter database ${name} owner to restore_db_role`);
    await admin.query(`alter database ${name} set search_path to app, "x, y"`);
    await admin.query(`alter database ${name} set work_mem to '8MB'`);
    await admin.query(`alter role restore_db_role in database ${name} set statement_timeout to '7s'`);
    await admin.query(`alter database ${name} connection limit 50`);
    await admin.query(`revoke connect on database ${name} from public`);
    await admin.query(`comment on database ${name} is 'first'`);
  });
  await inside(
    name,
    `create schema app; create table app.tasks (id int primary key, title text);
     insert into app.tasks select g, 'task ' || g from generate_series(1, 30) g`,
  );
  await dumpAll(fleet);
  return { fleet, name };
}

async function inside<Row>(database: string, text: string): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl(database) });
  await client.connect();
  try {
    return (await client.query(text)).rows as Row[];
  } finally {
    await client.end();
  }
}

async function properties(database: string): Promise<Record<string, unknown>> {
  return asSuperuser(async (admin) => {
    const { rows } = await admin.query(
      `select datdba::regrole::text as owner, (select array_agg(a::text order by a::text) from unnest(datacl) a) as acl, datconnlimit as connections,
              shobj_description(d.oid, 'pg_database') as comment,
              (select array_agg(format('%s %s', setrole, setconfig) order by setrole)
                 from pg_db_role_setting where setdatabase = d.oid) as settings
         from pg_database d where datname = $1`,
      [database],
    );
    return rows[0];
  });
}

async function ourDatabases(tenant: string): Promise<readonly string[]> {
  return asSuperuser(async (admin) => {
    const { rows } = await admin.query<{ name: string }>(
      `select datname as name from pg_database d where datname like 'tenantctl\\_%'
          and shobj_description(oid, 'pg_database') like '%' || $1 || '%'`,
      [tenant],
    );
    return rows.map(({ name }) => name);
  });
}

function dropAtEnd(database: string): void {
  onTestFinished(() =>
    asSuperuser(async (admin) => {
      await admin.query(`drop database if exists ${pg.escapeIdentifier(database)} with (force)`);
    }),
  );
}
