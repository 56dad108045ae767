import pg from 'pg';
import { expect, test } from 'vitest';
import { eventually } from '../support/barrier.ts';
import { createFleet, numbered, readReport } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';
import { type OwnCluster, startOwnCluster } from '../support/own-cluster.ts';
import { makeRandom, type Random, testSeeds } from '../support/random.ts';
import { startCli } from '../support/run-cli.ts';

const soak = process.env.TENANTCTL_SOAK === '1';
const cluster = await startOwnCluster({ max_connections: 13, superuser_reserved_connections: 3 });
await cluster.query('postgres', 'create role deploy login');
const databases = numbered('d', 12);
/** Roles can be seen from all databases. */
const untilTheTestSays = `DO $$ BEGIN
  WHILE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'go') LOOP PERFORM pg_sleep(0.01); END LOOP;
END $$;`;

test.each(testSeeds(soak ? 10 : 1))(
  'a server whose connections others take and free all the time, seed %i: all are done, and no slot is taken too many',
  async (seed) => {
    await cluster.query('postgres', 'drop role if exists go');
    for (const name of databases) {
      await cluster.query('postgres', `drop database if exists ${name} with (force)`);
      await cluster.query('postgres', `create database ${name} owner deploy template template0 strategy file_copy`);
    }
    // Each tenant needs a connection of its own, so that the run meets the full server again and again.
    const fleet = await createFleet({
      migrations: { '0001_one.sql': tableMigration('one'), '0002_wait.sql': untilTheTestSays },
    });
    await fleet.writeInventory({
      servers: { main: { url: cluster.url('postgres').replace('postgres@', 'deploy@') } },
      discover: [{ server: 'main', databases: 'd*' }],
    });
    const [admin, others] = [await connect('postgres'), new Others(makeRandom(seed))];
    const running = startCli('migrate --all --json', { cwd: fleet.folder });
    const ours = async () =>
      (
        await admin.query(
          "select from pg_stat_activity where application_name like 'tenantctl/%' and datname like 'd__'",
        )
      ).rows.length;
    let most = 0;
    // 10 less the first one of its own are free when it begins: half of them are 4.
    await eventually('it works on four at once', async () => {
      most = Math.max(most, await ours());
      return most >= 4 ? true : null;
    });
    let [isRefused, hasEnded] = [false, false];
    void running.stderrHas('has no free connections').then(
      () => {
        isRefused = true;
      },
      () => {},
    );
    void running.ended.then(() => {
      hasEnded = true;
    });
    await others.takeAll();
    await admin.query('create role go');
    // Whatever it lets go of is taken, until it is refused one.
    while (!isRefused && !hasEnded) await others.takeAll();
    while (!hasEnded) {
      await others.change();
      most = Math.max(most, await ours());
    }
    const report = readReport(await running.ended);
    await others.leave();
    await admin.end();
    expect(report.outcomes.filter(({ status }) => status !== 'done')).toEqual([]);
    expect([report.exitCode, report.totals.done]).toEqual([0, databases.length]);
    expect(most).toBe(4);
  },
);

/** Clients of an application that come and go. */
class Others {
  readonly #random: Random;
  readonly #clients: pg.Client[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  async takeAll(): Promise<void> {
    while (await this.#come());
  }

  /** One comes, some go, or all do. */
  async change(): Promise<void> {
    if (this.#random.chance(0.5)) await this.#come();
    else await this.#go(this.#random.chance(0.2) ? this.#clients.length : 1);
  }

  leave(): Promise<void> {
    return this.#go(this.#clients.length);
  }

  async #come(): Promise<boolean> {
    const client = await connect('deploy').catch(() => null);
    if (client !== null) this.#clients.push(client);
    return client !== null;
  }

  async #go(count: number): Promise<void> {
    for (const client of this.#clients.splice(0, count)) await client.end();
  }
}

async function connect(user: string): Promise<pg.Client> {
  const { socketDir: host, port } = cluster satisfies OwnCluster;
  const client = new pg.Client({ host, port, user, database: 'postgres', ssl: false });
  // Those of a test that failed go with the server.
  client.on('error', () => {});
  await client.connect();
  return client;
}
