import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, test } from 'vitest';
import type { IdleValue } from '../../src/commands/hibernation/idle-value.ts';
import { startCluster } from '../../src/postgres/local/cluster.ts';
import { eventually } from '../support/barrier.ts';
import { closedPort } from '../support/closed-port.ts';
import { connectTo, dumpWaitsFor, makeInventory, makeTenants } from '../support/cluster-fleet.ts';
import { dumpedOf, manifestOf } from '../support/dumps.ts';
import { readReport } from '../support/fleet.ts';
import { startCli } from '../support/run-cli.ts';
import { soundBackups, unfinishedFiles } from '../support/sound-store.ts';
import { findBaseBackup, startStandby } from '../support/standby.ts';

const { postgres } = inject('cluster');
const program = await findBaseBackup({ postgres });
if (program === null) {
  process.stderr.write(`tests: no pg_basebackup in ${postgres.binDir}: nobody looks at dumps from a replica\n`);
}

describe.skipIf(program === null)('a dump from a replica', async () => {
  if (program === null) return;
  const cluster = await startCluster({ postgres, env: process.env, settings: { synchronous_commit: 'on' } });
  afterAll(cluster.stop);
  // What it has to replay does not wait for those who read.
  const standby = await startStandby(cluster, program, { max_standby_streaming_delay: 0, hot_standby_feedback: 'off' });
  const argv = 'dump --all --from replica --lock-share 0.1% --per-database 3 --json';

  /** A dump that stands in the middle of t02: whoever locks a table on the primary has it on the standby too. */
  async function standInTheMiddle(table: string) {
    await makeTenants(cluster, 3);
    const folder = await makeInventory(cluster, 3, { replica: standby.url('postgres') });
    const [shop, other, watcher] = [await connectTo(cluster), await connectTo(cluster), await connectTo(standby)];
    const lock = async (name: string) => {
      await shop.query(`lock table ${name} in access exclusive mode`);
      // The standby gets what was flushed, and a lock alone flushes nothing.
      await other.query("select pg_logical_emit_message(true, '', '')");
    };
    await shop.query('begin');
    await lock(table);
    await eventually('the standby has come to the lock', async () => {
      const { rows } = await watcher.query(
        "select from pg_locks where mode = 'AccessExclusiveLock' and relation = to_regclass($1)",
        [table],
      );
      return rows.length > 0 ? true : null;
    });
    const running = startCli(argv, { cwd: folder });
    return { folder, shop, lock, watcher, running, pid: await dumpWaitsFor(standby, table) };
  }

  test('reads there, takes the keys on the primary, and says so', async () => {
    const { folder, shop, running } = await standInTheMiddle('tenant_t02.accounts');
    await writeFile(join(folder, 'migrations', '0001_more.sql'), 'create table more (id int);');
    const refused = readReport(
      await startCli('migrate --all --lock-wait 100ms --tries 1 --json', { cwd: folder }).ended,
    );
    expect(refused.totals).toMatchObject({ done: 0, failed: 3 });
    expect(refused.of('t03').error).toMatchObject({ code: 'locked', message: expect.stringContaining('/dump') });
    const { rows } = await shop.query(
      "select from pg_stat_activity where application_name like 'tenantctl/%' and query like '%pg_dump%'",
    );
    expect(rows).toEqual([]);
    await shop.query('commit');
    const report = readReport(await running.ended);
    expect([report.exitCode, report.summary]).toEqual([0, 't01 done, t02 done, t03 done']);
    for (const { tenant } of report.outcomes) {
      const { snapshot } = await manifestOf(`${folder}/backups/${dumpedOf(report, tenant).archive}`);
      expect(snapshot).toMatchObject({
        fromReplica: true,
        isCommon: true,
        lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
      });
    }
    expect(Object.keys(await soundBackups({ folder })).length).toBeGreaterThanOrEqual(3);
    const migrated = await startCli('migrate --all --lock-wait 5s', { cwd: folder }).ended;
    expect(migrated.exitCode).toBe(0);
  });

  test('a pg_dump that the standby cancels, for it must replay, is tried again', async () => {
    const { folder, shop, lock, watcher, running, pid } = await standInTheMiddle('tenant_t02.zeta');
    // It has read the table before, in the order of names, and keeps its lock.
    await lock('tenant_t02.accounts');
    await eventually('the standby has cancelled it', async () => {
      const { rows } = await watcher.query('select from pg_stat_activity where pid = $1', [pid]);
      return rows.length === 0 ? true : null;
    });
    await shop.query('commit');
    const report = readReport(await running.ended);
    expect([report.exitCode, report.summary]).toEqual([0, 't01 done, t02 done, t03 done']);
    expect(await unfinishedFiles({ folder })).toEqual([]);
  });

  test('a snapshot that the standby takes away is replaced', async () => {
    const { folder, shop, watcher, running } = await standInTheMiddle('tenant_t02.accounts');
    await watcher.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'tenantctl/%' and state = 'idle in transaction'",
    );
    await shop.query('commit');
    const report = readReport(await running.ended);
    expect([report.exitCode, report.summary]).toEqual([0, 't01 done, t02 done, t03 done']);
    expect(await unfinishedFiles({ folder })).toEqual([]);
  });

  test('what is read there is use of a tenant, and without it nobody is idle', async () => {
    await makeTenants(cluster, 2);
    const folder = await makeInventory(cluster, 2, { replica: standby.url('postgres') });
    const file = join(folder, 'tenants.yaml');
    const inventory = JSON.parse(await readFile(file, 'utf8'));
    const settled = { ...inventory, hibernate: { after: '4d', samples: 4 } };
    await writeFile(file, JSON.stringify(settled));
    const begin = Date.UTC(2026, 9, 1);
    const look = async (day: number) => {
      const now = () => new Date(begin + day * 86_400_000);
      const report = readReport(await startCli('idle --all --json', { cwd: folder, now }).ended);
      return report.outcomes.map(({ tenant, value }) => {
        const { verdict, why } = value as unknown as IdleValue;
        return [tenant, verdict, why];
      });
    };
    const reader = await connectTo(standby);
    await eventually('the standby has the tenants', async () => {
      const { rows } = await reader.query("select from pg_tables where tablename = 'zeta' and schemaname ~ '_t02$'");
      return rows.length > 0 ? true : null;
    });
    for (const day of [0, 1, 2, 3]) await look(day);
    await reader.query('select from tenant_t02.accounts');
    // It tells what it has counted when it ends.
    await reader.end();
    expect(await look(4)).toEqual([
      ['t01', 'idle', null],
      ['t02', 'in-use', null],
    ]);
    const away = { main: { ...settled.servers.main, replica: `postgres://127.0.0.1:${await closedPort()}/postgres` } };
    await writeFile(file, JSON.stringify({ ...settled, servers: away }));
    const [first] = await look(4.1);
    expect(first).toEqual([expect.any(String), 'unknown', expect.stringContaining('its replica cannot be read')]);
  });
});
