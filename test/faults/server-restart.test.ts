import pg from 'pg';
import { afterAll, expect, inject, test } from 'vitest';
import { startCluster } from '../../src/postgres/local/cluster.ts';
import { eventually } from '../support/barrier.ts';
import { createFleet, numbered, readReport } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';
import { runCli, startCli } from '../support/run-cli.ts';

const cluster = await startCluster({ postgres: inject('cluster').postgres, env: process.env });
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
  'the server is restarted (%s) in the middle: those tenants fail, and nothing is half done',
  async (mode) => {
    await query(schemas.map((schema) => `drop schema if exists ${schema} cascade; create schema ${schema}`).join(';'));
    const fleet = await createFleet({
      migrations: {
        '0001_one.sql': tableMigration('one'),
        '0002_long.sql': '\nSELECT pg_sleep(60);',
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
    await fleet.write('0002_long.sql', 'SELECT 1;');
    if (mode === 'kill') await cluster.kill().then(cluster.start);
    else await cluster.restart(mode);
    const report = readReport(await running.ended);
    expect(report.exitCode).toBe(4);
    expect(report.outcomes).toHaveLength(6);
    for (const { status, error } of report.outcomes) {
      expect(['failed', 'skipped']).toContain(status);
      if (status === 'failed') expect(error?.sqlState ?? error?.code).toMatch(/^(57P0\d|08\w\w\w|E[A-Z]+)$/);
    }
    expect(report.of('t01')).toMatchObject({
      status: 'failed',
      step: '0002_long',
      error: { file: 'migrations/0002_long.sql' },
    });
    expect(await query("select from pg_class where relname in ('one', 'pgmigrations')")).toEqual([]);

    const again = readReport(await runCli('migrate --all --json', { cwd: fleet.folder }));
    expect([again.exitCode, again.totals.done]).toEqual([0, 6]);
    const [counted] = await query(
      schemas.map((schema) => `select count(*)::int as n from ${schema}.pgmigrations`).join(' union '),
    );
    expect(counted).toEqual({ n: 3 });
  },
);
