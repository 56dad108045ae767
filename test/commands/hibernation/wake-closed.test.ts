import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../support/barrier.ts';
import { asSuperuser } from '../../support/database.ts';
import { asDatabase, storedFiles, toFolder } from '../../support/dumps.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { doneValue, dropRolesAtEnd } from '../../support/hibernated.ts';

async function rowOf(fleet: TestFleet, schema: string) {
  const rows = await fleet.db.query<{ state: string; step: string; since: Date; run: string }>(
    `select state, step, since, run from tenantctl.tenant where schema = '${schema}'`,
  );
  return rows[0] ?? null;
}

/** Who of two roles may use the schema, and read and write its table. */
async function rightsIn(fleet: TestFleet, schema: string, roles: readonly string[]): Promise<readonly boolean[]> {
  const rows = await fleet.db.query<{ may: boolean }>(
    `select has_schema_privilege(r, '${schema}', 'usage') or has_table_privilege(r, '${schema}.notes', 'insert') as may
       from unnest(array['${roles.join("', '")}']) with ordinality u(r, turn) order by turn`,
  );
  return rows.map(({ may }) => may);
}

async function thereIs(fleet: TestFleet, schema: string): Promise<boolean> {
  return (await fleet.db.query(`select 1 from pg_namespace where nspname = '${schema}'`)).length > 0;
}

describe('wake', () => {
  it('lets nobody into a schema before it is right, and keeps nothing of one that is not', async () => {
    const prefix = dropRolesAtEnd('app', 'shared');
    const [app, shared] = [`${prefix}_app`, `${prefix}_shared`];
    const fleet = await createFleet({
      schemas: 2,
      migrations: { '0001_one.sql': 'CREATE TABLE one (id int)' },
      inventory: { ...toFolder },
    });
    await fleet.json('migrate --all');
    await fleet.db.query(`CREATE ROLE ${app} LOGIN; CREATE ROLE ${shared} LOGIN`);
    for (const schema of ['tenant_t01', 'tenant_t02']) {
      await fleet.db.query(`CREATE TABLE ${schema}.notes (id serial PRIMARY KEY, body text);
        INSERT INTO ${schema}.notes (body) VALUES ('kept');
        CREATE TABLE ${schema}."odd $1 :x" (id int);
        GRANT USAGE ON SCHEMA ${schema} TO ${app}; GRANT ALL ON ${schema}.notes, ${schema}.notes_id_seq TO ${app}`);
    }
    await fleet.db.query(`ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO ${shared};
      ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO ${shared}`);
    expect((await fleet.json('hibernate --all --yes --scratch main')).summary).toBe('t01 done, t02 done');
    const asleep = await rowOf(fleet, 'tenant_t01');

    // Somebody else has taken the name.
    await fleet.db.query(`CREATE SCHEMA tenant_t01`);
    expect((await fleet.json('wake -t t01')).of('t01').error?.code).toBe('target-exists');
    expect(await rowOf(fleet, 'tenant_t01')).toEqual(asleep);
    await fleet.db.query(`DROP SCHEMA tenant_t01`);

    // Its receipt says something else.
    await fleet.db.query(`CREATE TABLE receipts AS SELECT schema, receipt FROM tenantctl.tenant;
      UPDATE tenantctl.tenant SET receipt = jsonb_set(receipt, '{rows,0,rows}', '99') WHERE schema = 'tenant_t01'`);
    const differs = await fleet.json('wake -t t01');
    expect(differs.of('t01').error).toMatchObject({ code: 'rows-differ', message: expect.stringContaining('99') });
    expect([await thereIs(fleet, 'tenant_t01'), await rowOf(fleet, 'tenant_t01')]).toEqual([
      false,
      { ...asleep, run: expect.any(String) },
    ]);
    // It can be looked at, as who may use it would.
    expect((await fleet.json('restore -t t01 --to-schema look_at_it')).summary).toBe('t01 done');
    expect(await rightsIn(fleet, 'look_at_it', [app])).toEqual([true]);

    // A run that is killed before it has opened it.
    await fleet.db.query(`UPDATE tenantctl.tenant t SET receipt = r.receipt FROM receipts r WHERE r.schema = t.schema;
      CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stop'; END $$;
      CREATE TRIGGER stop BEFORE UPDATE ON tenantctl.tenant FOR EACH ROW
        WHEN (new.step = 'behind' AND new.schema = 'tenant_t01') EXECUTE FUNCTION stop()`);
    expect((await fleet.json('wake -t t01')).exitCode).toBe(4);
    expect(await rowOf(fleet, 'tenant_t01')).toMatchObject({ state: 'waking', step: 'opening' });
    expect(await rightsIn(fleet, 'tenant_t01', [app, shared])).toEqual([false, false]);
    await fleet.db.query('DROP TRIGGER stop ON tenantctl.tenant');

    // Another run has its hands on t01 while this one waits for a migration of t02.
    await fleet.write(
      '0002_two.sql',
      `DO $$ BEGIN IF current_schema() = 'tenant_t02' THEN PERFORM pg_advisory_xact_lock(4711); END IF; END $$`,
    );
    const holder = await fleet.db.connect();
    onTestFinished(() => holder.end());
    await holder.query('select pg_advisory_lock(4711)');
    await fleet.db.query(
      `UPDATE tenantctl.tenant SET receipt = jsonb_set(receipt, '{rows,0,rows}', '99') WHERE schema = 'tenant_t02'`,
    );
    expect((await fleet.json('wake --all --accept-differences')).exitCode).toBe(5);
    const waking = fleet.start('wake --all --accept-differences --yes --json');
    await eventually('t01 is up to date', async () => {
      const done = await fleet.db
        .query(`select 1 from tenant_t01.pgmigrations where name = '0002_two'`)
        .catch(() => []);
      return done.length > 0 ? true : null;
    });
    await fleet.db.query(`UPDATE tenantctl.tenant SET run = 'another' WHERE schema = 'tenant_t01'`);
    await holder.query('select pg_advisory_unlock(4711)');
    const { exitCode, stdout } = await waking.ended;
    const values = JSON.parse(stdout).outcomes.map(({ value }: { value: unknown }) => value);
    expect(exitCode).toBe(1);
    expect(values).toMatchObject([
      { compared: 'structure and rows', migrations: ['0002_two'] },
      { compared: 'structure', remarks: [expect.stringContaining('accepted: ')] },
    ]);
    expect([await rowOf(fleet, 'tenant_t01'), await rowOf(fleet, 'tenant_t02')]).toMatchObject([
      { run: 'another' },
      null,
    ]);
    await fleet.json('wake -t t01');
    expect(await rightsIn(fleet, 'tenant_t01', [app, shared])).toEqual([true, false]);

    // Its newest backup is the archive that it was put to sleep on.
    expect((await fleet.json('restore -t t01 --swap --yes')).of('t01')).toMatchObject({
      status: 'done',
      value: { old: expect.any(String), remarks: expect.arrayContaining([expect.stringContaining('behind a fence')]) },
    });
    const insert = await fleet.db.connect({ user: app });
    onTestFinished(() => insert.end());
    await insert.query(`insert into tenant_t01.notes (body) values ('again')`);
    // Without that nobody knows whose it was.
    const receipts = (await storedFiles(fleet)).filter((file) => /^t01\/.*receipt\.json$/.test(file));
    for (const file of receipts) await rm(join(fleet.folder, 'backups', file));
    expect((await fleet.json('restore -t t01')).of('t01').error).toMatchObject({
      ...{ code: 'no-backup', detail: expect.stringContaining('behind a fence') },
    });
  });

  it('touches no database that has got the name of one that sleeps', async () => {
    const prefix = dropRolesAtEnd('app', 'other');
    const fleet = await createFleet({ databases: 1, inventory: { ...toFolder } });
    const [name = ''] = fleet.databases;
    const facts = () =>
      asSuperuser(async (admin) => {
        const { rows } = await admin.query(
          `select pg_get_userbyid(datdba) as owner, datacl::text as acl from pg_database where datname = $1`,
          [name],
        );
        return rows;
      });
    await asSuperuser(async (admin) => {
      await admin.query(
        `CREATE ROLE ${prefix}_app LOGIN; CREATE ROLE ${prefix}_other LOGIN; ALTER DATABASE ${name} OWNER TO ${prefix}_app`,
      );
      await admin.query(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`);
    });
    await asDatabase(name, `SET ROLE ${prefix}_app; CREATE TABLE notes (id int); INSERT INTO notes VALUES (1), (2)`);
    const before = await facts();
    doneValue(await fleet.json('hibernate -t d01 --yes --scratch main'), 'd01');
    await asSuperuser((admin) => admin.query(`CREATE DATABASE ${name} OWNER ${prefix}_other`));
    const taken = await facts();
    expect((await fleet.json('wake -t d01')).of('d01').error?.code).toBe('target-exists');
    expect(await facts()).toEqual(taken);
    await asSuperuser((admin) => admin.query(`DROP DATABASE ${name}`));
    expect((await fleet.json(`restore -t d01 --to-database ${name}_look`)).summary).toBe('d01 done');
    await asSuperuser((admin) => admin.query(`DROP DATABASE ${name}_look`));
    doneValue(await fleet.json('wake -t d01 --no-migrate'), 'd01');
    expect(await facts()).toEqual(before);
    // Gone for good, and brought back from the archive that it slept in.
    await asSuperuser((admin) => admin.query(`DROP DATABASE ${name}`));
    expect((await fleet.json('restore -t d01')).summary).toBe('d01 done');
    expect(await facts()).toEqual(before);
  });
});
