import { expect, test } from 'vitest';
import { createFleet, type TestFleet } from '../../support/fleet.ts';

const migrations = {
  '0001_users.sql': '-- Up Migration\nCREATE TABLE users (id int PRIMARY KEY);\n-- Down Migration\nDROP TABLE users;\n',
  '0002_posts.sql': 'CREATE TABLE posts (id int);\n',
  '0003_tags.sql': 'CREATE TABLE tags (id int);\n\nCREATE TABLE labels (id int);\n',
};

test('50 tenants, one broken: 49 are done, the one is named, and after the repair only that one is touched', async () => {
  const fleet = await createFleet({ schemas: 50, migrations });
  await fleet.db.query('create table tenant_t17.labels (id int)');

  const report = await fleet.json('migrate --all');
  expect(report.exitCode).toBe(3);
  expect(report.totals).toMatchObject({ selected: 50, done: 49, failed: 1, interrupted: 0, skipped: 0 });
  expect(report.of('t17')).toMatchObject({
    status: 'failed',
    step: '0003_tags',
    error: { sqlState: '42P07', file: 'migrations/0003_tags.sql', line: 3, column: 1 },
  });
  // Nothing of the one is left: it was one transaction.
  expect(await fleet.history('tenant_t17')).toBeNull();
  expect(await fleet.tables()).toHaveLength(49 * 4 + 1);

  const table = await fleet.run('migrate --all');
  expect(table.exitCode).toBe(3);
  expect(table.stdout).toContain('1 tenant: 42P07 relation "labels" already exists (0003_tags.sql:3)\n  t17\n');
  expect(table.stdout).toContain('49 tenants with nothing to do');

  const before = await rowVersions(fleet);
  await fleet.db.query('drop table tenant_t17.labels');
  const repaired = await fleet.json('migrate --all');
  expect(repaired.exitCode).toBe(0);
  expect(repaired.totals).toMatchObject({ selected: 50, done: 50 });
  expect(repaired.of('t17').value).toEqual({
    from: null,
    to: '0003_tags',
    applied: ['0001_users', '0002_posts', '0003_tags'],
  });
  expect(repaired.of('t16').value).toEqual({ from: '0003_tags', to: '0003_tags', applied: [] });
  const after = await rowVersions(fleet);
  expect(before.size).toBe(49);
  expect(after.size).toBe(50);
  for (const [schema, version] of before) expect(after.get(schema), schema).toBe(version);
});

test('the retry command of the report does those that failed, and only those', async () => {
  const fleet = await createFleet({ schemas: 4, migrations });
  await fleet.db.query('create table tenant_t02.posts (id int)');
  const { stdout } = await fleet.run('migrate --all');
  const retry = /retry: tenantctl (.*)\n/.exec(stdout)?.[1] ?? '';
  expect(retry).toMatch(/^migrate --from-run \S+ --outcome failed$/);
  await fleet.db.query('drop table tenant_t02.posts');
  const report = await fleet.json(retry);
  expect([report.exitCode, report.summary]).toEqual([0, 't02 done']);
});

test('three tenants that fail for one cause stop the run, 0 takes the brake off', async () => {
  const fleet = await createFleet({ schemas: 12, migrations: { '0001_a.sql': 'DROP TABLE nothing;' } });
  const report = await fleet.json('migrate --all --concurrency 1');
  expect(report.exitCode).toBe(4);
  expect(report.totals).toMatchObject({ failed: 3, skipped: 9, done: 0 });
  expect(report.of('t12')).toMatchObject({ reason: 'not-started', because: expect.stringContaining('one cause') });
  expect(report.stderr).toContain('--max-same-cause');
  const all = await fleet.json('migrate --all --max-same-cause 0');
  expect(all.totals).toMatchObject({ failed: 12, skipped: 0 });
});

test('a canary that fails keeps the others from being started', async () => {
  const fleet = await createFleet({ schemas: 5, migrations });
  await fleet.db.query('create table tenant_t01.posts (id int)');
  const report = await fleet.json('migrate --all --canary 2');
  expect(report.exitCode).toBe(3);
  expect(report.summary).toBe('t01 failed, t02 done, t03 skipped, t04 skipped, t05 skipped');
  expect(await fleet.history('tenant_t03')).toBeNull();
});

/** What no longer fits together when somebody has written: of the table's own catalogue row, and of each of its rows. */
async function rowVersions({ db }: TestFleet): Promise<ReadonlyMap<string, string>> {
  const tables = await db.query<{ schema: string; xmin: string }>(
    `select n.nspname as schema, c.xmin::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relname = 'pgmigrations' order by n.nspname`,
  );
  const rows = await db.query<{ schema: string; version: string }>(
    tables
      .map(
        ({ schema, xmin }) => `select '${schema}' as schema, '${xmin} ' ||
          string_agg(concat_ws(' ', xmin, ctid, id, name, run_on), ',' order by id) as version from ${schema}.pgmigrations`,
      )
      .join(' union all '),
  );
  return new Map(rows.map(({ schema, version }) => [schema, version]));
}
