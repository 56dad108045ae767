import { join } from 'node:path';
import { runner } from 'node-pg-migrate';
import { expect, test } from 'vitest';
import { createFleet, type TestFleet } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';

const migrations = {
  '0001_one.sql': tableMigration('one'),
  '0002_two.js': `exports.shorthands = { key: { type: 'integer', primaryKey: true } };
exports.up = (pgm) => { pgm.createTable('two', { id: 'key', name: { type: 'text', default: pgm.func('current_user') } }); };`,
  '0003_three.sql':
    '-- a comment\r\n-- Up Migration\r\nCREATE TABLE three (x text);\r\n-- Down Migration\r\nDROP TABLE three;\r\n',
  '0003_also.sql': 'CREATE TABLE also (id int)',
  '0004_view.ts': `import type { MigrationBuilder } from 'node-pg-migrate';
export const up = (pgm: MigrationBuilder) => pgm.createView('v', {}, 'SELECT id FROM two');
export const down = (pgm: MigrationBuilder) => pgm.dropView('v');`,
};
const inOrder = ['0001_one', '0002_two', '0003_also', '0003_three', '0004_view'];

/** Its own runner, as its own command calls it. */
async function theirs(fleet: TestFleet, direction: 'up' | 'down', count: number): Promise<readonly string[]> {
  const dbClient = await fleet.db.connect();
  try {
    const ran = await runner({
      dbClient,
      dir: join(fleet.folder, 'migrations'),
      migrationsTable: 'pgmigrations',
      schema: ['tenant_t01', 'public'],
      direction,
      count,
      singleTransaction: true,
      log: () => {},
    });
    return ran.map(({ name }) => name);
  } finally {
    await dbClient.end();
  }
}

const ours = async (fleet: TestFleet, argv: string) => (await fleet.json(argv)).of('t01');

test('node-pg-migrate goes on after tenantctl, and tenantctl after node-pg-migrate', async () => {
  const fleet = await createFleet({ schemas: 1, migrations });
  expect(await theirs(fleet, 'up', 1)).toEqual(['0001_one']);
  expect((await ours(fleet, 'migrate --all --count 2')).value).toEqual({
    from: '0001_one',
    to: '0003_also',
    applied: ['0002_two', '0003_also'],
  });
  expect(await theirs(fleet, 'up', 1)).toEqual(['0003_three']);
  expect((await ours(fleet, 'migrate --all')).value).toMatchObject({ from: '0003_three', applied: ['0004_view'] });
  expect(await theirs(fleet, 'up', Number.POSITIVE_INFINITY)).toEqual([]);
  expect((await ours(fleet, 'migrate status --all --check')).finding).toBe(false);
  expect(await fleet.history('tenant_t01')).toEqual(inOrder);

  // What the other one ran has no checksum, so nobody can say that it was edited; and it belongs to no run.
  const rows = await fleet.db.query<{ known: boolean; ours: boolean }>(
    'select checksum is not null as known, run is not null as ours from tenant_t01.pgmigrations order by id',
  );
  expect(rows.map(({ known }) => known)).toEqual([false, true, true, false, true]);
  expect(rows.map(({ ours }) => ours)).toEqual([false, true, true, false, true]);
  await fleet.write('0001_one.sql', 'SELECT 1; -- edited');
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
  await fleet.write('0001_one.sql', migrations['0001_one.sql']);

  // And back, by both.
  await fleet.write('0003_also.sql', '-- Up Migration\nSELECT 1;\n-- Down Migration\nDROP TABLE also;');
  await fleet.db.query(`update tenant_t01.pgmigrations set checksum = null where name = '0003_also'`);
  expect((await ours(fleet, 'migrate down --all --yes')).value).toMatchObject({ reverted: ['0004_view'] });
  expect(await theirs(fleet, 'down', 2)).toEqual(['0003_three', '0003_also']);
  expect((await ours(fleet, 'migrate down --all --yes --count 2')).value).toMatchObject({
    reverted: ['0002_two', '0001_one'],
  });
  expect(await fleet.tables()).toEqual([]);
  expect(await theirs(fleet, 'up', 1)).toEqual(['0001_one']);
});

test('node-pg-migrate goes on in a history that tenantctl began', async () => {
  const fleet = await createFleet({ schemas: 1, migrations });
  expect((await ours(fleet, 'migrate --all --count 1')).value?.applied).toEqual(['0001_one']);
  expect(await theirs(fleet, 'up', 2)).toEqual(['0002_two', '0003_also']);
  expect((await ours(fleet, 'migrate --all')).value?.applied).toEqual(['0003_three', '0004_view']);
});

test('both make the same of the same files', async () => {
  const [one, other] = [await createFleet({ schemas: 1, migrations }), await createFleet({ schemas: 1, migrations })];
  expect(await theirs(one, 'up', Number.POSITIVE_INFINITY)).toEqual(inOrder);
  expect((await ours(other, 'migrate --all')).value?.applied).toEqual(inOrder);
  const shape = ({ db }: TestFleet) =>
    db.query(
      `select table_name, column_name, data_type, character_maximum_length, is_nullable, column_default
         from information_schema.columns where table_schema = 'tenant_t01' and column_name not in ('checksum', 'run')
        order by table_name, ordinal_position`,
    );
  const made = await shape(one);
  expect(made.length).toBeGreaterThan(8);
  expect(await shape(other)).toEqual(made);
});

test('a history that is empty, or has a name twice, is read as it is', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: { '0001_one.sql': tableMigration('one') } });
  for (const schema of ['tenant_t01', 'tenant_t02']) {
    await fleet.db.query(
      `create table ${schema}.pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null)`,
    );
  }
  await fleet.db.query(
    `insert into tenant_t02.pgmigrations (name, run_on) values ('0001_one', now()), ('0001_one', now())`,
  );
  const report = await fleet.json('migrate --all');
  expect(report.outcomes.map(({ value }) => value?.applied)).toEqual([['0001_one'], []]);
});
