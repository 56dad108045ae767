import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { withAwsCredentials } from '../../support/aws-credentials.ts';
import { closedPort } from '../../support/closed-port.ts';
import { readReport } from '../../support/fleet.ts';
import { startOwnCluster } from '../../support/own-cluster.ts';
import { type RdsServer, startRdsServer } from '../../support/rds-server.ts';
import { runCli } from '../../support/run-cli.ts';

withAwsCredentials();

// A server of its own: who is connected to it, and which other run works there, counts here.
const cluster = await startOwnCluster();
for (const name of ['shop', 'blog']) await cluster.query('postgres', `create database ${name}`);

interface Spec {
  readonly rds: RdsServer;
  readonly kind?: 'instance' | 'cluster';
  readonly url?: string;
  readonly inventory?: Readonly<Record<string, unknown>>;
}

/** An inventory whose server is this cluster, as far as PostgreSQL goes, and the double, as far as AWS does. */
async function makeFleet({ rds, kind = 'instance', url = cluster.url('postgres'), inventory = {} }: Spec) {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-rds-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const tenants = ['shop', 'blog'].map((id) => ({ id, server: 'saas', database: id }));
  const servers = { saas: { url, rds: { [kind]: 'one', region: 'eu-west-1', endpoint: rds.url } } };
  const file = { version: 1, environment: 'test', migrations: './migrations', servers, tenants, ...inventory };
  await writeFile(join(folder, 'tenants.yaml'), JSON.stringify(file));
  await mkdir(join(folder, 'migrations'));
  await writeFile(join(folder, 'migrations', '0001_posts.sql'), 'create table posts (id int);');
  const run = (argv: string) => runCli(argv, { cwd: folder, now: () => rds.now });
  return { run, json: async (argv: string) => readReport(await run(`${argv} --json`)) };
}

const quick = '--poll 1ms';

test('a server is stopped with all of its tenants or not at all, is known to sleep, and wakes', async () => {
  const rds = await startRdsServer();
  const double = rds.add('instance', 'one');
  const { json } = await makeFleet({ rds });

  const one = await json(`hibernate -t shop --how stop ${quick}`);
  expect(one.of('shop').error).toMatchObject({
    message: 'instance one holds 1 tenant more that would sleep with it: blog',
    code: 'shared-server',
  });
  const dry = await json(`hibernate --all --how stop --snapshot --dry-run`);
  expect(dry.summary).toBe('shop done, blog done');
  expect(JSON.stringify(dry.outcomes)).toContain('instance one would be stopped, after a snapshot');
  expect([double.status, double.tags.size]).toEqual(['available', 0]);

  const slept = await json(`hibernate --all --how stop --snapshot ${quick}`);
  expect(slept.summary).toBe('shop done, blog done');
  expect(slept.of('shop').value).toMatchObject({
    how: 'stop',
    server: { id: 'one', status: 'stopped', snapshot: expect.stringContaining('tenantctl-one-') },
  });
  expect(rds.calls.filter((call) => call === 'StopDBInstance one')).toHaveLength(1);

  const list = await json('tenants list --all');
  expect(JSON.stringify(list.outcomes)).toContain('hibernated');
  const missed = await json('migrate up --all');
  expect(missed.outcomes.map(({ status, reason }) => `${status} ${reason}`)).toEqual(
    Array(2).fill('skipped hibernated'),
  );

  const woken = await json(`wake --all ${quick}`);
  expect(woken.summary).toBe('shop done, blog done');
  expect(woken.of('blog').value).toMatchObject({
    how: 'stop',
    server: { status: 'available' },
    migrations: ['0001_posts'],
  });
  expect([double.status, double.tags.size]).toEqual(['available', 0]);
});

test('what AWS has started again is stopped again', async () => {
  const rds = await startRdsServer({ looks: 1 });
  const double = rds.add('instance', 'one');
  const { json } = await makeFleet({ rds });
  await json(`hibernate --all --how stop ${quick}`);
  rds.pass(7);
  double.status = 'available';
  double.coming = [];
  const kept = await json(`hibernate --all --keep ${quick}`);
  expect(kept.of('shop').value).toMatchObject({ kept: 'stopped-again', server: { status: 'stopped', restarts: 1 } });
  expect((await json(`hibernate --all --keep ${quick}`)).of('blog').value).toMatchObject({ kept: 'asleep' });
});

test('a cluster is paused, with a warning, and gets its capacity back', async () => {
  const rds = await startRdsServer();
  const double = rds.add('cluster', 'one', { scaling: { min: 1, max: 4, pauseAfterS: null } });
  const { json } = await makeFleet({ rds, kind: 'cluster' });
  const slept = await json(`hibernate --all --how pause --pause-after 10min ${quick}`);
  expect(slept.summary).toBe('shop done, blog done');
  expect(slept.stderr).toContain('any tool that connects keeps it awake');
  expect(double.scaling).toEqual({ min: 0, max: 4, pauseAfterS: 600 });
  expect((await json(`wake --all ${quick}`)).summary).toBe('shop done, blog done');
  expect(double.scaling).toMatchObject({ min: 1, max: 4 });
});

test('what AWS refuses, or does not know, is one failure for each tenant of it', async () => {
  const rds = await startRdsServer();
  const { json } = await makeFleet({ rds });
  const missing = await json(`hibernate --all --how stop ${quick}`);
  expect(missing.summary).toBe('shop failed, blog failed');
  expect(missing.of('shop').error?.message).toContain('there is no such instance');
  rds.add('instance', 'one', { replicas: ['copy'] });
  const replica = await json(`hibernate --all --how stop ${quick}`);
  expect(replica.of('blog').error?.message).toContain('has read replicas (copy)');
  rds.servers.get('one')!.replicas = [];
  rds.deny('AddTagsToResource');
  const denied = await json(`hibernate --all --how stop ${quick}`);
  expect(denied.of('blog').error?.message).toContain('the IAM action rds:AddTagsToResource is missing');
  expect(rds.calls.filter((call) => call.startsWith('Stop'))).toEqual([]);
});

test('a server that AWS calls available and that does not answer is not awake', async () => {
  const rds = await startRdsServer();
  const double = rds.add('instance', 'one');
  const asleep = await makeFleet({ rds });
  await asleep.json(`hibernate --all --how stop ${quick}`);
  const { json } = await makeFleet({ rds, url: `postgres://ops@127.0.0.1:${await closedPort()}/postgres` });
  const woken = await json(`wake --all --wait 300ms ${quick}`);
  expect(woken.of('shop').error).toMatchObject({ code: 'no-answer' });
  // The same command looks again.
  expect(double.tags.get('tenantctl:state')).toBe('waking');
  expect((await asleep.json(`wake --all ${quick}`)).summary).toBe('shop done, blog done');
  expect(double.tags.size).toBe(0);
});

test('a server whose tenants only discovery knows is woken by its name', async () => {
  const rds = await startRdsServer();
  const double = rds.add('instance', 'one');
  const inventory = { tenants: [], discover: [{ server: 'saas', databases: '????' }] };
  const { run, json } = await makeFleet({ rds, inventory });
  expect((await json(`hibernate --all --how stop ${quick}`)).summary).toBe('blog done, shop done');
  expect(double.status).toBe('stopped');
  const woken = await run(`wake --server saas ${quick}`);
  expect(woken.stderr).toContain('instance one is awake: its tenants can be found now');
  expect([double.status, double.tags.size]).toEqual(['available', 0]);
  expect((await json('tenants list --all')).outcomes).toHaveLength(2);
});
