import pg from 'pg';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { asSuperuser, databaseUrl } from '../../support/database.ts';
import { toFolder } from '../../support/dumps.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { dumpAll, restoredOf } from './restored.ts';

afterAll(() => asSuperuser(async (admin) => void (await admin.query('drop role if exists restore_db_role'))));

const fleet = await createOwn();
const [first = '', second = ''] = fleet.databases;

describe('restore of a tenant with a database of its own', () => {
  it('goes beside, and then into its place with all that the living one was given', async () => {
    const left = [`tenantctl_restore_left_${first.slice(-8)}`, `tenantctl_restore_busy_${first.slice(-8)}`];
    for (const name of left) await leaveUnfinished(name);
    // Another fleet's tenant of the same id, at work from another database of the server.
    const other = new pg.Client({ connectionString: databaseUrl(second) });
    await other.connect();
    await other.query("select pg_advisory_lock(hashtext('unfinished restore of tenantctl'), hashtext($1))", [left[1]]);
    const beside = await fleet.json('restore -t d01');
    await other.end();
    const { to } = restoredOf(beside, 'd01');
    dropAtEnd(to.database);
    expect(await existing(left)).toEqual([left[1]]);
    expect(await inside(to.database, 'select count(*)::int as n from app.tasks')).toEqual([{ n: 30 }]);
    // Who may not connect to the living one may not connect to its copy.
    const { comment: _, ...living } = await properties(first);
    expect(await properties(to.database)).toMatchObject(living);
    expect((await fleet.json('tenants list --all')).outcomes).toHaveLength(2);

    await inside(first, `delete from app.tasks; alter database ${first} reset work_mem`);
    const report = await fleet.json(`restore -t d01 --swap --from-run ${beside.run} --yes`);
    const { old, swapped } = restoredOf(report, 'd01');
    dropAtEnd(old!);
    expect(swapped).toBe(true);
    expect(await inside(first, 'select count(*)::int as n from app.tasks')).toEqual([{ n: 30 }]);
    expect(await inside(old!, 'select count(*)::int as n from app.tasks')).toEqual([{ n: 0 }]);
    expect(await properties(first)).toEqual(await properties(old!));
    expect(await properties(first)).toMatchObject({ comment: 'first', connections: 50, owner: 'restore_db_role' });
    const again = await fleet.json(`restore -t d01 --to-database ${second}`);
    expect(again.of('d01').error).toMatchObject({ code: 'target-exists' });
  });

  it('does not cut off anybody, unless it is told to', async () => {
    const client = new pg.Client({ connectionString: databaseUrl(second), application_name: 'shop' });
    await client.connect();
    const cut = new Promise<unknown>((resolve) => client.on('error', resolve));
    const refused = await fleet.json('restore -t d02 --swap --yes');
    expect(refused.of('d02')).toMatchObject({
      step: 'looking who is connected',
      error: { code: 'connected', message: expect.stringContaining('shop') },
    });
    const report = await fleet.json('restore -t d02 --swap --yes --disconnect');
    dropAtEnd(restoredOf(report, 'd02').old!);
    expect(await cut).toMatchObject({ code: '57P01' });
    await client.end().catch(() => {});
  });

  it('is made again with its settings when it was dropped', async () => {
    const before = await properties(second);
    await asSuperuser((admin) => admin.query(`drop database ${second}`));
    const copy = `copy_of_${second}`;
    dropAtEnd(copy);
    const elsewhere = await fleet.json(`restore -t d02 --to-database ${copy}`);
    expect(restoredOf(elsewhere, 'd02').remarks).toContainEqual(expect.stringContaining('only its owner may connect'));
    const grants = await asSuperuser((admin) =>
      admin.query(`select from pg_database, aclexplode(datacl) where datname = $1 and grantee = 0`, [copy]),
    );
    expect(grants.rowCount).toBe(0);
    const report = await fleet.json('restore -t d02');
    expect(restoredOf(report, 'd02').to.database).toBe(second);
    expect(await inside(second, 'select count(*)::int as n from app.tasks')).toEqual([{ n: 30 }]);
    expect(await properties(second)).toEqual(before);
  });
});

async function leaveUnfinished(name: string): Promise<void> {
  dropAtEnd(name);
  await asSuperuser(async (admin) => {
    await admin.query(`create database ${name} template template0 strategy file_copy`);
    await admin.query(`comment on database ${name} is 'tenantctl: unfinished restore of tenant d01, run 2026-x'`);
  });
}

async function existing(names: readonly string[]): Promise<readonly string[]> {
  const { rows } = await asSuperuser((admin) => {
    return admin.query<{ name: string }>('select datname as name from pg_database where datname = any ($1)', [names]);
  });
  return rows.map(({ name }) => name);
}

async function createOwn(): Promise<TestFleet> {
  const made = await createFleet({ databases: 2, inventory: toFolder, until: 'file' });
  await asSuperuser((admin) =>
    admin.query('do $$ begin create role restore_db_role; exception when duplicate_object then null; end $$'),
  );
  for (const name of made.databases) {
    await inside(
      name,
      `alter database ${name} owner to restore_db_role;
       alter database ${name} set search_path to app, "x, y"; alter database ${name} set work_mem to '8MB';
       alter role restore_db_role in database ${name} set statement_timeout to '7s';
       alter database ${name} connection limit 50; revoke connect on database ${name} from public;
       comment on database ${name} is 'first';
       create schema app; create table app.tasks (id int primary key, title text);
       insert into app.tasks select g, 'task ' || g from generate_series(1, 30) g`,
    );
  }
  await dumpAll(made);
  return made;
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

function dropAtEnd(database: string): void {
  onTestFinished(() =>
    asSuperuser(async (admin) => {
      await admin.query(`drop database if exists ${pg.escapeIdentifier(database)} with (force)`);
    }),
  );
}
