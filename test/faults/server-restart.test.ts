import pg from 'pg';
import { afterAll, expect, inject, test } from 'vitest';
import { startCluster } from '../../src/postgres/local/cluster.ts';
import { eventually } from '../support/barrier.ts';
import { createFleet, numbered, readReport } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';
import { startCli } from '../support/run-cli.ts';

// A server that is killed must not lose what it said was committed.
const settings = { synchronous_commit: 'on' };
const cluster = await startCluster({ postgres: inject('cluster').postgres, env: process.env, settings });
afterAll(cluster.stop);
const schemas = numbered('tenant_t', 6);

async function query<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
  const { socketDir: host, port, user } = cluster;
  const client = new pg.Client({ host, port, user, database: 'postgres', ssl: false });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

test.each(['fast', 'immediate', 'kill'] as const)(
  'the server is restarted (%s) in the middle: the run waits for it, and every tenant is migrated once',
  async (mode) => {
    await query(schemas.map((schema) => `drop schema if exists ${schema} cascade; create schema ${schema}`).join(';'));
    const [startedAt] = await query<{ at: string }>('select pg_postmaster_start_time()::text as at');
    const fleet = await createFleet({
      migrations: {
        '0001_one.sql': tableMigration('one'),
        // It is long until the server has been restarted.
        '0002_long.sql': `\nSELECT pg_sleep(60) WHERE pg_postmaster_start_time() = '${startedAt?.at}';`,
        '0003_three.sql': tableMigration('three'),
      },
    });
    await fleet.writeInventory({
      servers: { main: { url: cluster.url('postgres') } },
      discover: [{ server: 'main', database: 'postgres', schemas: 'tenant_*' }],
    });
    const running = startCli('migrate --all --concurrency 2 --json', { cwd: fleet.folder });
    await eventually('two tenants stand in the middle', async () => {
      const rows = await query("select from pg_stat_activity where wait_event = 'PgSleep'");
      return rows.length === 2 ? rows : null;
    });
    if (mode === 'kill') await cluster.kill().then(cluster.start);
    else await cluster.restart(mode);
    const report = readReport(await running.ended);
    expect([report.exitCode, report.totals.done]).toEqual([0, 6]);
    expect(report.outcomes.filter(({ attempts }) => (attempts ?? 1) > 1).length).toBeGreaterThanOrEqual(2);
    expect(report.stderr).toMatch(/server main: .*; trying again in/);
    const [counted] = await query(
      schemas.map((schema) => `select count(*)::int as n from ${schema}.pgmigrations`).join(' union '),
    );
    expect(counted).toEqual({ n: 3 });
  },
);

test('a server that stays away: its tenants fail with that, the others are not started, and nobody storms it', async () => {
  const many = numbered('tenant_t', 12);
  await query(many.map((schema) => `drop schema if exists ${schema} cascade; create schema ${schema}`).join(';'));
  const fleet = await createFleet({
    migrations: {
      '0001_one.sql': tableMigration('one'),
      '0002_long.sql': "SELECT pg_sleep(60) WHERE current_schema() > 'tenant_t02';",
    },
  });
  await fleet.writeInventory({
    servers: { main: { url: cluster.url('postgres') } },
    discover: [{ server: 'main', database: 'postgres', schemas: 'tenant_*' }],
  });
  const running = startCli('migrate --all --concurrency 2 --retry-for 2s --json', { cwd: fleet.folder });
  await eventually('two are done, and two stand in the middle', async () => {
    const rows = await query("select from pg_stat_activity where wait_event = 'PgSleep'");
    return rows.length === 2 ? rows : null;
  });
  await cluster.kill();
  const report = readReport(await running.ended);
  expect([report.exitCode, report.totals]).toMatchObject([3, { selected: 12, done: 2, failed: 3, interrupted: 0 }]);
  for (const { tenant, error } of report.outcomes.filter(({ status }) => status === 'failed')) {
    expect(error, tenant).toMatchObject({ code: 'ECONNREFUSED', hint: expect.any(String) });
  }
  expect(report.of('t12')).toMatchObject({ status: 'skipped', reason: 'not-started' });
  // 250 ms, then twice as long each time: at most four attempts begin before two seconds are over.
  const tries = report.stderr.match(/trying again in/g) ?? [];
  expect(tries.length).toBeGreaterThan(0);
  expect(tries.length).toBeLessThanOrEqual(5);
  const attempts = report.outcomes.map(({ attempts = 1 }) => attempts - 1).reduce((sum, more) => sum + more);
  expect(attempts).toBeLessThanOrEqual(tries.length + 1);

  await cluster.start();
  const [counted] = await query<{ names: string }>(
    `select string_agg(schemaname, ' ' order by schemaname) as names from pg_tables where tablename = 'pgmigrations'`,
  );
  expect(counted).toEqual({ names: 'tenant_t01 tenant_t02' });
  await fleet.write('0002_long.sql', 'SELECT 1;');
  const again = readReport(await startCli(`migrate --from-run ${report.run} --json`, { cwd: fleet.folder }).ended);
  expect([again.exitCode, again.totals.done]).toEqual([0, 10]);
});
