import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { eventually, makeBarrier, passBarrier, patientTimeouts } from '../support/barrier.ts';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { createFleet, numbered, readReport } from '../support/fleet.ts';
import { tableMigration, threeTables } from '../support/migrations.ts';
import { startOwnCluster } from '../support/own-cluster.ts';
import { runCli, startCli } from '../support/run-cli.ts';

/** Counts a user's sessions again and again until it is stopped; gives the highest numbers seen. */
function watchSessions(client: pg.Client, user: string) {
  const seen = { onServer: 0, inOneDatabase: 0, looks: 0 };
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const { rows } = await client.query<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity where usename = $1 and pid <> pg_backend_pid() group by datname`,
        [user],
      );
      const counts = rows.map(({ n }) => n);
      seen.onServer = Math.max(
        seen.onServer,
        counts.reduce((sum, n) => sum + n, 0),
      );
      seen.inOneDatabase = Math.max(seen.inOneDatabase, ...counts);
      seen.looks += 1;
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await watching;
      return seen;
    },
  };
}

test.each([
  ['--per-server 3', { onServer: 3, inOneDatabase: 3 }],
  ['--per-server 1', { onServer: 1, inOneDatabase: 1 }],
  // Three databases of tenants, and the one that discovery asks for databases.
  ['--per-database 1', { onServer: 4, inOneDatabase: 1 }],
])('%s: never more sessions than %j, whatever the three databases need', async (flags, limits) => {
  const role = `r_${randomBytes(6).toString('hex')}`;
  await asSuperuser((admin) => admin.query(`create role ${role} login superuser`));
  onTestFinished(() => asSuperuser(async (admin) => void (await admin.query(`drop role ${role}`))));
  const url = (database: string) => databaseUrl(database).replace(/\/\/[^@]*@/, `//${role}@`);
  const fleet = await createFleet({ schemas: 12, databases: 2, migrations: threeTables, url });
  const client = await fleet.db.connect();
  const watch = watchSessions(client, role);
  const report = await fleet.json(`migrate --all ${flags}`);
  const seen = await watch.stop();
  await client.end();
  expect([report.exitCode, report.totals.done]).toEqual([0, 14]);
  expect(seen.looks).toBeGreaterThan(20);
  expect(seen.onServer).toBeGreaterThan(0);
  expect(seen.onServer).toBeLessThanOrEqual(limits.onServer);
  expect(seen.inOneDatabase).toBeLessThanOrEqual(limits.inOneDatabase);
});

test('the limits are used, too: so many tenants of a server stand in the middle at once', async () => {
  const fleet = await createFleet({
    schemas: 6,
    migrations: { '0001_long.sql': `${passBarrier};` },
    inventory: { timeouts: patientTimeouts },
  });
  const barrier = await makeBarrier(fleet.db);
  const schemas = numbered('tenant_t', 6);
  await barrier.close(...schemas);
  const running = fleet.start('migrate --all --per-database 3 --json');
  await barrier.waiting(3);
  await barrier.open(...schemas);
  expect((await running.ended).exitCode).toBe(0);
});

test('a small server: at most half of the connections that are free, and a full one is waited for', async () => {
  const cluster = await startOwnCluster({ max_connections: 16, superuser_reserved_connections: 2 });
  await cluster.query('postgres', 'create role deploy login superuser');
  await cluster.query('postgres', 'create database saas');
  const schemas = numbered('tenant_t', 20);
  await cluster.query('saas', schemas.map((schema) => `create schema ${schema}`).join(';'));
  const fleet = await createFleet({
    migrations: { '0001_one.sql': tableMigration('one'), '0002_x.sql': 'SELECT pg_sleep(0.02);' },
  });
  await fleet.writeInventory({
    servers: { main: { url: cluster.url('saas').replace('postgres@', 'deploy@') } },
    discover: [{ server: 'main', database: 'saas', schemas: 'tenant_*' }],
    limits: { concurrency: 50, perServer: 50, perDatabase: 50 },
  });
  const { socketDir: host, port, user } = cluster;
  const sessions = Array.from(
    { length: 4 },
    () => new pg.Client({ host, port, user, database: 'postgres', ssl: false }),
  );
  for (const session of sessions) await session.connect();
  const watch = watchSessions(sessions[0]!, 'deploy');
  // 16 less 2 reserved, 4 of others and the first of its own: 9 are free.
  const report = readReport(await runCli('migrate --all --json', { cwd: fleet.folder }));
  const { onServer } = await watch.stop();
  expect([report.exitCode, report.totals.done]).toEqual([0, 20]);
  expect(onServer).toBe(4);

  // Now others take all that is left while it runs: it goes on with fewer, and every tenant is done in the end.
  await fleet.write('0003_y.sql', 'SELECT pg_sleep(0.1);');
  const running = startCli('migrate --all --json', { cwd: fleet.folder });
  await eventually('it has begun', async () => {
    const { rows } = await sessions[0]!.query(
      "select from pg_stat_activity where application_name like 'tenantctl/%/t__'",
    );
    return rows.length > 0 ? true : null;
  });
  const greedy: pg.Client[] = [];
  for (let index = 0; index < 16; index += 1) {
    const client = new pg.Client({ host, port, user: 'deploy', database: 'postgres', ssl: false });
    if (
      await client.connect().then(
        () => true,
        () => false,
      )
    )
      greedy.push(client);
  }
  expect(greedy.length).toBeGreaterThan(4);
  const crowded = readReport(await running.ended);
  expect([crowded.exitCode, crowded.totals.done]).toEqual([0, 20]);
  for (const session of [...sessions, ...greedy]) await session.end();
});
