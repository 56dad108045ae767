import { expect, test } from 'vitest';
import { eventually } from '../support/barrier.ts';
import { databaseUrl } from '../support/database.ts';
import { createFleet, type TestFleet } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';
import { holdTable } from '../support/table-lock.ts';

const concurrently = `-- Up Migration
-- tenantctl:no-transaction
CREATE INDEX CONCURRENTLY i ON one (id);
CREATE UNIQUE INDEX CONCURRENTLY u ON one (id);

-- Down Migration
DROP INDEX CONCURRENTLY u;
DROP INDEX CONCURRENTLY i;
`;

test('CREATE INDEX CONCURRENTLY works up and down, for many tenants of one database at once', async () => {
  const fleet = await createFleet({
    schemas: 6,
    databases: 1,
    migrations: {
      '0001_one.sql': tableMigration('one'),
      '0002_i.sql': concurrently,
      '0003_two.sql': tableMigration('two'),
    },
  });
  const report = await fleet.json('migrate --all');
  expect(report.outcomes.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(await indexes(fleet)).toHaveLength(12);
  const plan = await fleet.run('migrate down --all --count 2 --dry-run');
  expect(plan.stdout).toContain('  - migrations/0002_i.sql  (no transaction)\n');
  expect((await fleet.json('migrate down --all --count 2 --yes')).exitCode).toBe(0);
  expect(await indexes(fleet)).toEqual([]);
  expect(await fleet.history('tenant_t06')).toEqual(['0001_one']);
});

test('what stays after a failure is told: migrations, statements, and an invalid index', async () => {
  const fleet = await createFleet({
    schemas: 2,
    migrations: {
      '0001_one.sql': tableMigration('one'),
      '0002_i.sql': concurrently,
      '0003_two.sql': tableMigration('two'),
    },
  });
  await fleet.run('migrate -t t01 --to 0001');
  await fleet.db.query('insert into tenant_t01.one values (1), (1)');
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([3, 't01 failed, t02 done']);
  expect(report.of('t01')).toMatchObject({
    step: '0002_i',
    error: {
      sqlState: '23505',
      file: 'migrations/0002_i.sql',
      line: 4,
      column: 1,
      detail: expect.stringMatching(
        /already committed on this tenant: 1 of 2 statements of 0002_i; invalid indexes: u$/,
      ),
      hint: expect.stringContaining('by hand: DROP INDEX CONCURRENTLY "tenant_t01"."u";'),
    },
  });
  // What is not complete is not in the history.
  expect(await fleet.history('tenant_t01')).toEqual(['0001_one']);
  expect(await indexes(fleet)).toEqual(['tenant_t01.i', 'tenant_t02.i', 'tenant_t02.u']);

  // What ran before it in the same run is committed, what comes after was not begun.
  const fresh = await fleet.json('migrate down -t t02 --count 3 --yes');
  expect(fresh.exitCode).toBe(0);
  await fleet.write('0002_i.sql', '-- tenantctl:no-transaction\nSELECT 1;\nDROP TABLE nothing;');
  const partly = await fleet.json('migrate -t t02');
  expect(partly.of('t02').error?.detail).toBe(
    'already committed on this tenant: 0001_one, 1 of 2 statements of 0002_i',
  );
  expect(await fleet.history('tenant_t02')).toEqual(['0001_one']);
});

const ifNotExists = [
  ['0002_u.sql', '-- tenantctl:no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS u ON one (id);'],
  [
    '0002_u.js',
    `exports.up = (pgm) => {
  pgm.noTransaction();
  pgm.createIndex('one', 'id', { name: 'u', unique: true, concurrently: true, ifNotExists: true });
};`,
  ],
] as const;

test.each(ifNotExists)(
  'an invalid index that IF NOT EXISTS of %s would skip is dropped and built',
  async (name, text) => {
    const fleet = await createFleet({ schemas: 1, migrations: { '0001_one.sql': tableMigration('one') } });
    await fleet.run('migrate --all');
    await fleet.db.query('insert into tenant_t01.one values (1), (1)');
    await fleet.write(name, text);
    expect((await fleet.json('migrate --all')).of('t01').error).toMatchObject({
      sqlState: '23505',
      detail: expect.stringContaining('invalid indexes: u'),
    });
    await fleet.db.query('truncate tenant_t01.one');
    expect(await indexes(fleet)).toEqual([]);

    expect((await fleet.json('migrate --all')).of('t01').value).toMatchObject({ applied: ['0002_u'] });
    expect(await indexes(fleet)).toEqual(['tenant_t01.u']);
  },
);

test('an invalid index that no statement names is no good one either, and is left to a person', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_one.sql': tableMigration('one') } });
  await fleet.run('migrate --all');
  await fleet.db.query('insert into tenant_t01.one values (1), (1)');
  await fleet.write('0002_u.sql', '-- tenantctl:no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY ON one (id);');
  expect((await fleet.json('migrate --all')).exitCode).toBe(4);
  await fleet.db.query('truncate tenant_t01.one');

  const again = await fleet.json('migrate --all');
  expect(again.of('t01').error).toMatchObject({
    code: 'invalid-index',
    file: 'migrations/0002_u.sql',
    detail: expect.stringContaining('invalid indexes: one_id_idx'),
    hint: expect.stringContaining('DROP INDEX CONCURRENTLY "tenant_t01"."one_id_idx"'),
  });
  expect(await fleet.history('tenant_t01')).toEqual(['0001_one']);
  // It was refused before anything was built: each attempt would have made one more.
  expect(await fleet.db.query("select from pg_index where indrelid = 'tenant_t01.one'::regclass")).toHaveLength(1);
  await fleet.db.query('drop index tenant_t01.one_id_idx');
  expect((await fleet.json('migrate --all')).of('t01').value).toMatchObject({ applied: ['0002_u'] });
});

test.each(['one', 'other'])('an invalid index on %s that no statement names is somebody else’s', async (table) => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0001_one.sql': tableMigration('one'), '0002_other.sql': tableMigration('other') },
  });
  await fleet.run('migrate --all');
  await fleet.db.query(`insert into tenant_t01.${table} values (1), (1)`);
  await expect(fleet.db.query(`create unique index concurrently old on tenant_t01.${table} (id)`)).rejects.toThrow();
  await fleet.write('0003_i.sql', '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY i ON one (id);');
  expect((await fleet.json('migrate --all')).of('t01')).toMatchObject({
    status: 'done',
    value: { applied: ['0003_i'] },
  });
  expect(await fleet.db.query("select from pg_class where relname = 'old'")).toHaveLength(1);
});

test('an invalid index of this name on another table is not dropped, and not taken for the one to build', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0001_one.sql': tableMigration('one'), '0002_other.sql': tableMigration('other') },
  });
  await fleet.run('migrate --all');
  await fleet.db.query('insert into tenant_t01.other values (1), (1)');
  await expect(fleet.db.query('create unique index concurrently i on tenant_t01.other (id)')).rejects.toThrow();
  await fleet.write(
    '0003_i.sql',
    '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON one (id);',
  );
  expect((await fleet.json('migrate --all')).of('t01').error).toMatchObject({ code: 'invalid-index' });
  expect(await fleet.db.query("select from pg_class where relname = 'i'")).toHaveLength(1);
});

test('an index that another role is building is left alone', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_one.sql': tableMigration('one') } });
  const role = `${fleet.db.name}_login`;
  await fleet.db.query(`create role ${role} login; grant usage, create on schema tenant_t01 to ${role}`);
  await fleet.writeInventory({ servers: { main: { url: databaseUrl('postgres').replace(/[^/]+(?=@)/, role) } } });
  await fleet.run('migrate --all');
  await fleet.write(
    '0002_big.sql',
    '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS big ON one (id);',
  );
  const lock = await holdTable(fleet.db, 'tenant_t01.one', 'ROW EXCLUSIVE');
  const builder = await fleet.db.connect();
  const built = builder.query('create index concurrently big on tenant_t01.one (id)');
  const big = () =>
    fleet.db.query("select oid, indisvalid from pg_class join pg_index on indexrelid = oid where relname = 'big'");
  const [begun] = await eventually('it is being built', async () => ((await big()).length === 0 ? null : big()));

  const { error } = (await fleet.json('migrate --all --timeout 20s')).of('t01');
  expect(error).toMatchObject({ code: 'index-in-build', file: 'migrations/0002_big.sql' });
  expect(error?.hint).not.toContain('DROP');
  await lock.release();
  await built;
  await builder.end();
  expect(await big()).toEqual([{ ...begun, indisvalid: true }]);
  expect((await fleet.json('migrate --all')).of('t01').value).toMatchObject({ applied: ['0002_big'] });
  expect(await big()).toEqual([{ ...begun, indisvalid: true }]);
  await fleet.db.query(`drop owned by ${role}; drop role ${role}`);
});

test('only what works on indexes CONCURRENTLY goes without a lock_timeout', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_one.sql': `CREATE TABLE one (id int) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF one FOR VALUES IN (1);
CREATE TABLE seen (lock_timeout text);`,
      '0002_word.sql': `-- tenantctl:no-transaction
INSERT INTO seen -- where an index was built concurrently
SELECT current_setting('lock_timeout');`,
    },
  });
  expect((await fleet.json('migrate --all')).of('t01').error).toBeUndefined();
  expect(await fleet.db.query('select * from tenant_t01.seen')).toEqual([{ lock_timeout: '2s' }]);

  await fleet.write(
    '0003_part.sql',
    '-- tenantctl:no-transaction\nALTER TABLE one DETACH PARTITION part CONCURRENTLY;',
  );
  await holdTable(fleet.db, 'tenant_t01.part');
  expect((await fleet.json('migrate --all --lock-timeout 50ms --timeout 20s')).of('t01').error).toMatchObject({
    sqlState: '55P03',
  });
});

/** An index on this says with which timeout it is built. */
const tell = `CREATE TABLE one (id int);
INSERT INTO one VALUES (1);
CREATE FUNCTION tell(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  $$ BEGIN RAISE 'lock_timeout is %', current_setting('lock_timeout'); END $$;`;

test.each([
  ['-- without a lock_timeout or a statement_timeout', '0'],
  ["SELECT 'SET lock_timeout';", '0'],
  ['SET work_mem = 1024;', '0'],
  ['SET lock_timeout = 7000;', '7s'],
  ["SELECT set_config('lock_timeout', '7s', false);", '7s'],
])('a file keeps a timeout that it sets, and not one that it speaks of: %s', async (text, expected) => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_tell.sql': tell } });
  await fleet.run('migrate --all');
  await fleet.write(
    '0002_i.sql',
    `-- tenantctl:no-transaction\n${text}\nCREATE INDEX CONCURRENTLY i ON one (tell(id));`,
  );
  expect((await fleet.json('migrate --all')).of('t01').error?.message).toBe(`lock_timeout is ${expected}`);
});

test('an invalid index of somebody else does not stop a migration that builds none', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_one.sql': tableMigration('one') } });
  await fleet.run('migrate --all');
  await fleet.db.query('insert into tenant_t01.one values (1), (1)');
  await expect(fleet.db.query('create unique index concurrently u on tenant_t01.one (id)')).rejects.toThrow();
  await fleet.write('0002_v.sql', '-- tenantctl:no-transaction\nVACUUM one;');
  expect((await fleet.json('migrate --all')).exitCode).toBe(0);
});

test('the same command carries on where it was cut', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_one.sql': tableMigration('one'),
      '0002_x.sql': '-- tenantctl:no-transaction\nCREATE TABLE IF NOT EXISTS x (id int);\nDROP TABLE missing;',
      '0003_two.sql': tableMigration('two'),
    },
  });
  expect((await fleet.json('migrate --all')).exitCode).toBe(4);
  await fleet.db.query('create table tenant_t01.missing (id int)');
  const report = await fleet.json('migrate --all');
  expect(report.of('t01').value).toEqual({ from: '0001_one', to: '0003_two', applied: ['0002_x', '0003_two'] });
});

test.each([
  ['-- tenantctl:no-transaction\nVACUUM one;'],
  ['-- words\n\n  --tenantctl:no-transaction  \r\nVACUUM one;'],
  ['VACUUM one;\n-- tenantctl:no-transaction'],
])('the directive is found in %j', async (text) => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0001_one.sql': tableMigration('one'), '0002_v.sql': text },
  });
  expect((await fleet.json('migrate --all')).of('t01').error).toBeUndefined();
});

test('each statement is one of its own, whatever stands between them', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_v.sql': `-- tenantctl:no-transaction
CREATE TABLE "ü;🐘" (id int); /* ; */ VACUUM "ü;🐘"; -- last;
DO $$ BEGIN PERFORM 1; END $$;; ; VACUUM "ü;🐘"
-- the end`,
    },
  });
  expect((await fleet.json('migrate --all')).of('t01').error).toBeUndefined();
});

/** Valid ones that the migrations made. */
async function indexes({ db }: TestFleet): Promise<readonly string[]> {
  const rows = await db.query<{ name: string }>(
    `select indexrelid::regclass::text as name from pg_index
      where indisvalid and indexrelid::regclass::text ~ '\\.(i|u)$' order by 1`,
  );
  return rows.map(({ name }) => name);
}
