import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { connectTo, dumpWaitsFor, makeInventory, makeTenants } from '../support/cluster-fleet.ts';
import { readReport } from '../support/fleet.ts';
import { type OwnCluster, startOwnCluster } from '../support/own-cluster.ts';
import { makeRandom, testSeeds } from '../support/random.ts';
import { startCli } from '../support/run-cli.ts';
import { unfinishedFiles } from '../support/sound-store.ts';

const cluster = await startOwnCluster({ max_connections: 13, superuser_reserved_connections: 3 });
await cluster.query('postgres', 'create role deploy login; grant pg_read_all_data to deploy');
const asDeploy = { url: (database: string) => cluster.url(database).replace('postgres@', 'deploy@') };
const count = 8;

async function standInTheMiddle() {
  await makeTenants(cluster, count);
  const folder = await makeInventory(asDeploy, count);
  const admin = await connectTo(cluster);
  await admin.query('begin; lock table tenant_t02.accounts in access exclusive mode');
  const running = startCli('dump --all --lock-share 0.1% --per-database 2 --json', { cwd: folder });
  await dumpWaitsFor(cluster, 'tenant_t02.accounts');
  return { folder, admin, running };
}

test('a server whose connections others have taken: the dump goes on with fewer, and all are done', async () => {
  const { folder, admin, running } = await standInTheMiddle();
  const others = new Others();
  await others.takeAll();
  await admin.query('commit');
  let isOver = false;
  const refused = running.stderrHas('has no free connections').finally(() => {
    isOver = true;
  });
  // Whatever it lets go of is taken, until it is refused one.
  while (!isOver) await others.takeAll();
  await refused;
  await others.leave();
  const report = readReport(await running.ended);
  expect([report.exitCode, report.totals.done]).toEqual([0, count]);
  expect(await unfinishedFiles({ folder })).toEqual([]);
});

test.each(testSeeds(process.env.TENANTCTL_SOAK === '1' ? 20 : 1))(
  'others come and go all the time, seed %i: no tenant fails for that',
  async (seed) => {
    const { admin, running } = await standInTheMiddle();
    const [others, random] = [new Others(), makeRandom(seed)];
    await others.takeAll();
    await admin.query('commit');
    let hasEnded = false;
    void running.ended.then(() => {
      hasEnded = true;
    });
    while (!hasEnded) {
      if (random.chance(0.6)) await others.takeAll();
      else await others.leave(random.between(1, 3));
      for (let turn = random.between(0, 20); turn > 0 && !hasEnded; turn -= 1) await admin.query('select 1');
    }
    await others.leave();
    const report = readReport(await running.ended);
    expect(report.outcomes.flatMap(({ error }) => error ?? [])).toEqual([]);
    expect(report.exitCode).toBe(0);
  },
);

/** Clients of an application. */
class Others {
  readonly #clients: pg.Client[] = [];

  constructor() {
    onTestFinished(() => this.leave());
  }

  async takeAll(): Promise<void> {
    for (;;) {
      const { socketDir: host, port } = cluster satisfies OwnCluster;
      const client = new pg.Client({ host, port, user: 'deploy', database: 'postgres', ssl: false });
      client.on('error', () => {});
      const isIn = await client.connect().then(
        () => true,
        () => false,
      );
      if (!isIn) return;
      this.#clients.push(client);
    }
  }

  async leave(count = this.#clients.length): Promise<void> {
    for (const client of this.#clients.splice(0, count)) await client.end();
  }
}
