import { expect, test } from 'vitest';
import { eventually, makeBarrier, passBarrier, patientTimeouts } from '../support/barrier.ts';
import { createFleet, numbered, readReport, type TestFleet } from '../support/fleet.ts';

const noTransaction = '-- tenantctl:no-transaction\n';

/** `backfill backfill index index`: what each session that works on a tenant runs at this moment. */
async function running({ db }: TestFleet): Promise<readonly string[]> {
  const rows = await db.query<{ query: string }>(
    `select query from pg_stat_activity where datname = current_database() and application_name like 'tenantctl/%/t__'
        and state = 'active' and pid <> pg_backend_pid()`,
  );
  return rows.map(({ query }) => (/concurrently/i.test(query) ? 'index' : 'other'));
}

test('an expression index is not built while another tenant of its database is filled', async () => {
  const fleet = await createFleet({
    schemas: 4,
    migrations: {
      '0001_one.sql': "CREATE TABLE one (id int, name text);\nINSERT INTO one VALUES (1, 'A');",
      '0002_fill.sql': `UPDATE one SET name = lower(name);\n${passBarrier};`,
      '0003_index.sql': `${noTransaction}CREATE INDEX CONCURRENTLY one_name ON one (lower(name));`,
    },
    inventory: { timeouts: patientTimeouts },
  });
  await fleet.run('migrate --all --to 0001');
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t02');
  const migrating = fleet.start('migrate --all --json');
  // All are filled but one; nobody builds while that one is.
  await eventually('three are filled', async () => {
    const histories = await Promise.all(numbered('tenant_t', 4).map(fleet.history));
    return histories.filter((history) => history?.length === 2).length === 3 ? true : null;
  });
  await barrier.waiting(1);
  expect(await running(fleet)).toEqual(['other']);
  await barrier.open('tenant_t02');
  const report = readReport(await migrating.ended);
  expect(report.summary).toBe('t01 done, t02 done, t03 done, t04 done');
  expect(report.of('t02').value).toEqual({ from: '0001_one', to: '0003_index', applied: ['0002_fill', '0003_index'] });
  expect(report.of('t02')).not.toHaveProperty('attempts');
});

test('what hinders nobody goes through in one turn: a plain transaction, then a concurrent index', async () => {
  const fleet = await createFleet({
    schemas: 2,
    migrations: {
      '0001_one.sql': 'CREATE TABLE one (id int);',
      '0002_index.sql': `${noTransaction}CREATE INDEX CONCURRENTLY one_id ON one (id);`,
      '0003_two.sql': 'CREATE TABLE two (id int);',
    },
  });
  const report = await fleet.json('migrate --all');
  expect(report.of('t01').value).toMatchObject({ from: null, applied: ['0001_one', '0002_index', '0003_two'] });
});

test('what locks a table that all tenants use runs one tenant at a time, found through the search path or named', async () => {
  for (const reference of ['countries', 'public.countries']) {
    const fleet = await createFleet({
      schemas: 4,
      migrations: {
        '0001_one.sql': `CREATE TABLE one (id int, country int REFERENCES ${reference});\n${passBarrier};`,
      },
      inventory: { timeouts: patientTimeouts },
    });
    await fleet.db.query('create table public.countries (id int primary key)');
    const barrier = await makeBarrier(fleet.db);
    await barrier.close(...numbered('tenant_t', 4));
    const migrating = fleet.start('migrate --all --json');
    for (const schema of numbered('tenant_t', 4)) {
      const [pid] = await barrier.waiting(1);
      const working = await fleet.db.query<{ pid: number }>(
        `select pid from pg_stat_activity where application_name like 'tenantctl/%/t__' and state <> 'idle'
            and datname = current_database()`,
      );
      expect(working).toEqual([{ pid }]);
      await barrier.open(schema);
      if (schema !== 'tenant_t04')
        await eventually('it is done', async () => ((await fleet.history(schema)) === null ? null : true));
    }
    expect(readReport(await migrating.ended).totals.done).toBe(4);
  }
});

test('a stage that fails leaves the ones before, and says so', async () => {
  const fleet = await createFleet({
    schemas: 2,
    migrations: {
      '0001_one.sql': "CREATE TABLE one (id int, name text);\nINSERT INTO one VALUES (1, 'A'), (2, 'A');",
      '0002_fill.sql': 'UPDATE one SET name = lower(name);',
      '0003_index.sql': `${noTransaction}CREATE UNIQUE INDEX CONCURRENTLY one_name ON one (lower(name)) WHERE id > 0;`,
    },
  });
  await fleet.run('migrate --all --to 0001');
  await fleet.db.query('delete from tenant_t01.one where id = 2');
  const report = await fleet.json('migrate --all');
  expect(report.summary).toBe('t01 done, t02 failed');
  expect(report.of('t02')).toMatchObject({
    step: '0003_index',
    error: { sqlState: '23505', file: 'migrations/0003_index.sql' },
  });
  expect(report.of('t02').error?.detail).toContain('already committed on this tenant: 0002_fill');
  expect(report.of('t02').error?.detail).toContain('invalid indexes: one_name');
  await fleet.db.query('delete from tenant_t02.one where id = 2');
  const again = await fleet.json('migrate --all');
  expect(again.of('t02').value).toEqual({ from: '0002_fill', to: '0003_index', applied: ['0003_index'] });
});
