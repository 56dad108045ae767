import { describe, expect, it } from 'vitest';
import { asSuperuser } from '../../support/database.ts';
import { asDatabase, plainDump, storedFiles, toFolder } from '../../support/dumps.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { doneValue, dropRolesAtEnd } from '../../support/hibernated.ts';

const tables = `
  CREATE TABLE notes (id serial PRIMARY KEY, status varchar(20) NOT NULL CHECK (status IN ('new', 'done')), body text);
  CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, note int REFERENCES notes);
  CREATE VIEW open_notes AS SELECT id, body FROM notes WHERE status = 'new';
  CREATE MATERIALIZED VIEW counted AS SELECT status, count(*) AS notes FROM notes GROUP BY status;
  COMMENT ON TABLE notes IS 'what people write';
`;

/** What a customer of long standing has: an owner that is no superuser, readers, rights on columns, rights to hand on. */
async function furnish(query: (text: string) => Promise<unknown>, prefix: string): Promise<void> {
  const roles = ['owner', 'app', 'reader'].map((name) => `${prefix}_${name}`);
  const [owner, app, reader] = roles as [string, string, string];
  await query(`CREATE ROLE ${owner}; CREATE ROLE ${app} LOGIN; CREATE ROLE ${reader} LOGIN;
    ALTER SCHEMA tenant_t01 OWNER TO ${owner}; COMMENT ON SCHEMA tenant_t01 IS 'of old';
    SET search_path = tenant_t01; ${tables}
    INSERT INTO notes (status, body) SELECT 'new', repeat('x', n) FROM generate_series(1, 50) n;
    DELETE FROM notes WHERE id > 40;
    INSERT INTO events (note) SELECT id FROM notes; REFRESH MATERIALIZED VIEW counted;
    ALTER TABLE notes OWNER TO ${owner}; ALTER TABLE events OWNER TO ${owner}; ALTER VIEW open_notes OWNER TO ${owner};
    ALTER MATERIALIZED VIEW counted OWNER TO ${owner};
    GRANT USAGE ON SCHEMA tenant_t01 TO ${app}, ${reader};
    SET ROLE ${owner};
    GRANT SELECT, INSERT, UPDATE ON notes, events TO ${app} WITH GRANT OPTION;
    GRANT USAGE ON SEQUENCE notes_id_seq TO ${app};
    GRANT SELECT (id, body), UPDATE (body) ON notes TO ${reader};
    RESET ROLE; SET ROLE ${app}; GRANT SELECT ON events TO ${reader}; RESET ROLE; RESET search_path`);
}

/** PostgreSQL prints this check otherwise once it has read its own text. */
async function dumpOf(fleet: TestFleet, schema: string): Promise<string> {
  return (await plainDump(fleet, schema)).replace(/CHECK .*/g, 'CHECK');
}

describe('hibernate and wake', () => {
  it('bring a schema back as it was, with the migration that it has missed', async () => {
    const prefix = dropRolesAtEnd('owner', 'app', 'reader');
    const fleet = await createFleet({
      schemas: 2,
      migrations: { '0001_one.sql': 'CREATE TABLE one (id int)' },
      inventory: { ...toFolder },
    });
    expect((await fleet.json('migrate --all')).summary).toBe('t01 done, t02 done');
    await furnish(fleet.db.query, prefix);
    const before = [await dumpOf(fleet, 'tenant_t01'), await dumpOf(fleet, 'tenant_t02')];

    const slept = await fleet.json('hibernate -t t01 --yes --scratch main');
    expect(slept.of('t01')).toMatchObject({ status: 'done' });
    expect(doneValue(slept, 't01')).toMatchObject({ how: 'archive', already: false, sizeAfterBytes: 0 });
    expect(await fleet.db.query(`select nspname from pg_namespace where nspname like 'tenant\\_t%'`)).toHaveLength(1);
    expect((await storedFiles(fleet)).filter((file) => file.startsWith('t01/'))).toContainEqual(
      expect.stringMatching(/\.receipt\.json$/),
    );
    // Asked for again, and by others.
    expect(doneValue(await fleet.json('hibernate -t t01 --yes'), 't01')).toMatchObject({ already: true });
    await fleet.write('0002_two.sql', 'CREATE TABLE two (id int)');
    const migrated = await fleet.json('migrate --all');
    expect(migrated).toMatchObject({ exitCode: 0, summary: 't01 skipped, t02 done' });
    expect(migrated.of('t01')).toMatchObject({ reason: 'hibernated', value: { owed: ['0002_two'] } });

    const woken = await fleet.json('wake -t t01');
    expect(doneValue(woken, 't01')).toMatchObject({
      ...{ how: 'archive', compared: 'structure and rows', migrations: ['0002_two'], remarks: [] },
    });
    expect(woken.exitCode).toBe(0);
    await fleet.db.query('DROP TABLE tenant_t01.two, tenant_t02.two');
    await fleet.db.query(`DELETE FROM tenant_t01.pgmigrations WHERE name = '0002_two';
      DELETE FROM tenant_t02.pgmigrations WHERE name = '0002_two'`);
    await fleet.db.query(
      `SELECT setval('tenant_t01.pgmigrations_id_seq', 1), setval('tenant_t02.pgmigrations_id_seq', 1)`,
    );
    expect([await dumpOf(fleet, 'tenant_t01'), await dumpOf(fleet, 'tenant_t02')]).toEqual(before);
    expect(await fleet.db.query('select * from tenantctl.tenant')).toEqual([]);
    expect(doneValue(await fleet.json('wake -t t01'), 't01')).toMatchObject({ how: null, remarks: ['it is awake'] });
  });

  it('bring a database of its own back, and open one that was locked', async () => {
    const prefix = dropRolesAtEnd('app');
    const fleet = await createFleet({ databases: 2, inventory: { ...toFolder } });
    const [archived = '', locked = ''] = fleet.databases;
    await asSuperuser(async (admin) => {
      await admin.query(`CREATE ROLE ${prefix}_app LOGIN; ALTER DATABASE ${archived} OWNER TO ${prefix}_app`);
      await admin.query(
        `ALTER DATABASE ${archived} SET work_mem = '7MB'; REVOKE TEMPORARY ON DATABASE ${archived} FROM PUBLIC`,
      );
    });
    await asDatabase(
      archived,
      `SET ROLE ${prefix}_app; CREATE TABLE notes (id int); INSERT INTO notes VALUES (1), (2)`,
    );
    const slept = [
      await fleet.json('hibernate -t d01 --yes --scratch main'),
      await fleet.json('hibernate -t d02 --how lock'),
    ];
    expect(slept.map((report, index) => doneValue(report, `d0${index + 1}`).how)).toEqual(['archive', 'lock']);
    const there = () =>
      asSuperuser(async (admin) => {
        const { rows } = await admin.query(
          `select datname, datallowconn, datacl::text from pg_database where datname = any ($1) order by 1`,
          [[archived, locked]],
        );
        return rows;
      });
    expect(await there()).toEqual([{ datname: locked, datallowconn: false, datacl: null }]);
    const woken = await fleet.json('wake --all --no-migrate');
    expect(woken.outcomes.map(({ status }) => status)).toEqual(['done', 'done']);
    expect(await there()).toMatchObject([
      { datname: archived, datallowconn: true, datacl: expect.stringContaining('=c/') },
      { datname: locked, datallowconn: true },
    ]);
  });
});
