import { afterAll, expect, inject, test } from 'vitest';
import { startCluster } from '../../src/postgres/local/cluster.ts';
import { connectTo, dumpWaitsFor, makeInventory, makeTenants } from '../support/cluster-fleet.ts';
import { dumpedOf, manifestOf } from '../support/dumps.ts';
import { readReport } from '../support/fleet.ts';
import { startCli } from '../support/run-cli.ts';
import { soundBackups, unfinishedFiles } from '../support/sound-store.ts';

/** The dearest cases are left to `npm run test:soak`. */
const soak = process.env.TENANTCTL_SOAK === '1';

const settings = { synchronous_commit: 'on' };
const cluster = await startCluster({ postgres: inject('cluster').postgres, env: process.env, settings });
afterAll(cluster.stop);

/** One tenant after the other, each a batch of its own. */
const oneByOne = 'dump --all --lock-share 0.1% --per-database 2 --json';

/** A dump that is done with t01 and stands in the middle of t02. */
async function standInTheMiddle(count: number, flags: string) {
  await makeTenants(cluster, count);
  const folder = await makeInventory(cluster, count);
  const shop = await connectTo(cluster);
  await shop.query('begin; lock table tenant_t02.accounts in access exclusive mode');
  const running = startCli(`${oneByOne} ${flags}`, { cwd: folder });
  await dumpWaitsFor(cluster, 'tenant_t02.accounts');
  return { folder, running };
}

test.each(soak ? (['fast', 'immediate'] as const) : (['immediate'] as const))(
  'the server is restarted (%s) in the middle of a dump: all are done, and say under which snapshot',
  async (mode) => {
    const { folder, running } = await standInTheMiddle(4, '--retry-for 1min');
    await cluster.restart(mode);
    const report = readReport(await running.ended);
    expect([report.exitCode, report.summary]).toEqual([0, 't01 done, t02 done, t03 done, t04 done']);
    expect(dumpedOf(report, 't01').isCommon).toBe(true);
    for (const tenant of ['t02', 't03', 't04']) {
      const { snapshot } = await manifestOf(`${folder}/backups/${dumpedOf(report, tenant).archive}`);
      expect(snapshot).toMatchObject({ isCommon: false, reason: expect.stringContaining('connection') });
    }
    expect(Object.keys(await soundBackups({ folder })).filter((file) => file.startsWith('t'))).toHaveLength(4);
    expect(await unfinishedFiles({ folder })).toEqual([]);
  },
);

test.runIf(soak)(
  'a server that stays away: what was good stays, the others fail with that, and it is waited for once',
  async () => {
    const count = 8;
    const { folder, running } = await standInTheMiddle(count, '--retry-for 3s');
    await cluster.kill();
    const report = readReport(await running.ended);
    await cluster.start();
    expect([report.exitCode, report.totals]).toMatchObject([3, { done: 1, failed: count - 1 }]);
    for (const { error, status, tenant } of report.outcomes.slice(1)) {
      expect([tenant, status, error?.code]).toEqual([tenant, 'failed', 'ECONNREFUSED']);
      expect(error?.hint).toContain('is the server running');
    }
    // The first one after the server had gone waited for it; the others did not wait for as long again.
    expect(report.outcomes.filter(({ durationMs }) => durationMs >= 3000)).toHaveLength(1);
    expect(Object.keys(await soundBackups({ folder })).filter((file) => file.startsWith('t'))).toHaveLength(1);
    expect(await unfinishedFiles({ folder })).toEqual([]);
    const again = readReport(await startCli('dump --all --json', { cwd: folder }).ended);
    expect([again.exitCode, again.totals.done]).toEqual([0, count]);
  },
);

test('a server that was never reached is not waited for', async () => {
  const folder = await makeInventory({ url: () => 'postgres://postgres@127.0.0.1:1/postgres' }, 3);
  const report = readReport(await startCli('dump --all --json', { cwd: folder }).ended);
  expect([report.exitCode, report.totals.failed]).toEqual([4, 3]);
  expect(report.of('t01').error).toMatchObject({ code: 'ECONNREFUSED', hint: expect.any(String) });
});
