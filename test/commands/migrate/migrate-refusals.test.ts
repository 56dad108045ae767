import { expect, test } from 'vitest';
import { createFleet } from '../../support/fleet.ts';
import { tableMigration, threeTables } from '../../support/migrations.ts';

const fleet = await createFleet({ schemas: 2, until: 'file' });

test.each([
  ['BEGIN', 'transaction control'],
  ['COMMIT', 'transaction control'],
  ['ROLLBACK', 'transaction control'],
  ['CREATE INDEX CONCURRENTLY i ON one (id)', 'inside a transaction', '-- tenantctl:no-transaction'],
  ['DROP INDEX CONCURRENTLY i', 'inside a transaction', '-- tenantctl:no-transaction'],
  ['REINDEX TABLE CONCURRENTLY one', 'inside a transaction', '-- tenantctl:no-transaction'],
  ['REINDEX (CONCURRENTLY) TABLE one', 'inside a transaction', '-- tenantctl:no-transaction'],
  ['VACUUM one', 'inside a transaction', '-- tenantctl:no-transaction'],
  ['CREATE EXTENSION IF NOT EXISTS citext', 'belongs to the database', 'shared:'],
  ['DROP EXTENSION citext', 'belongs to the database', 'shared:'],
  ['CREATE PUBLICATION p FOR ALL TABLES', 'belongs to the database', 'shared:'],
  ['CREATE ROLE r', 'belongs to the server', 'shared:'],
  ['CREATE USER r', 'belongs to the server', 'shared:'],
  ['COPY one FROM STDIN', 'data that a migration file cannot bring'],
])('%s is refused before anything runs', async (statement, message, hint = 'hint: ') => {
  await fleet.write('0001_one.sql', tableMigration('one'));
  await fleet.write('0002_x.sql', `SELECT 1;\n  ${statement};\nSELECT 2;`);
  for (const argv of ['migrate plan --all', 'migrate --all --dry-run', 'migrate --all']) {
    const { exitCode, stdout, stderr } = await fleet.run(argv);
    expect([argv, exitCode, stdout]).toEqual([argv, 5, '']);
    expect(stderr).toContain(`migrations/0002_x.sql:2:3: `);
    expect(stderr).toContain(message);
    expect(stderr).toContain(hint);
  }
  expect(await fleet.history('tenant_t01')).toBeNull();
});

test.each([
  ['SAVEPOINT s; ROLLBACK TO s; RELEASE s'],
  ['CREATE INDEX i ON one (id); REINDEX INDEX i; ANALYZE one'],
  ["DO $$ BEGIN EXECUTE 'SELECT 1'; END $$"],
  ["COMMENT ON TABLE one IS 'CREATE EXTENSION; COMMIT; VACUUM'"],
])('%s is fine', async (statement) => {
  await fleet.write('0001_one.sql', tableMigration('one'));
  await fleet.write('0002_x.sql', statement);
  await fleet.db.query('drop schema tenant_t02 cascade; create schema tenant_t02');
  expect((await fleet.json('migrate -t t02')).of('t02').error).toBeUndefined();
});

test('what is refused counts only where it would run', async () => {
  const other = await createFleet({
    schemas: 1,
    migrations: {
      ...threeTables,
      '0004_x.sql': 'COMMIT;',
      '0005_y.sql': '-- Up Migration\n-- Down Migration\nCOMMIT;',
    },
  });
  expect((await other.run('migrate --all --to 0003')).exitCode).toBe(0);
  await other.write('0004_x.sql', 'SELECT 1;');
  expect((await other.run('migrate --all')).exitCode).toBe(0);
  const { exitCode, stderr } = await other.run('migrate down --all --yes');
  expect(exitCode).toBe(5);
  expect(stderr).toContain('migrations/0005_y.sql:3:1');
});

test('an extension is fine where every tenant has a database of its own, a role is not', async () => {
  const other = await createFleet({
    databases: 2,
    migrations: { '0001_x.sql': 'CREATE EXTENSION IF NOT EXISTS plpgsql;' },
  });
  expect((await other.json('migrate --all')).totals.done).toBe(2);
  await other.write('0002_y.sql', 'CREATE ROLE somebody;');
  expect((await other.run('migrate --all')).exitCode).toBe(5);
});

test('a file with a way down and no line for the way up would undo itself', async () => {
  const text = 'CREATE TABLE one (id int);\n\n-- Down Migration\nDROP TABLE one;\n';
  const other = await createFleet({ schemas: 1, migrations: { '0001_one.sql': text } });
  const { exitCode, stderr } = await other.run('migrate --all');
  expect([exitCode, stderr]).toEqual([5, expect.stringContaining('migrations/0001_one.sql:3:1: the down section')]);
  expect(stderr).toContain('hint: write a line `-- Up Migration`');
  await other.write('0001_one.sql', `-- Up Migration\n${text}`);
  expect((await other.run('migrate --all')).exitCode).toBe(0);
  expect(await other.tables()).toEqual(['tenant_t01.one']);
});
