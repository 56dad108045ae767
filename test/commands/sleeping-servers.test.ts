import { expect, test } from 'vitest';
import { withAwsCredentials } from '../support/aws-credentials.ts';
import { databaseUrl } from '../support/database.ts';
import { createFleet } from '../support/fleet.ts';
import { type RdsServer, startRdsServer } from '../support/rds-server.ts';

withAwsCredentials();

const migrations = { '0001_a.sql': 'CREATE TABLE a (id int);' };

function tagsOf(state: string, how: string): Map<string, string> {
  return new Map([
    ['tenantctl:state', state],
    ['tenantctl:how', how],
    ['tenantctl:since', '2026-11-20T08:00:00Z'],
    ['tenantctl:run', 'r1'],
  ]);
}

/** t01 is on a server that is up; acme on one at RDS, and nothing answers at its address. */
async function createFleetAt(rds: RdsServer) {
  const fleet = await createFleet({ schemas: 1, migrations });
  const at = { instance: 'a', region: 'eu-west-1', endpoint: rds.url };
  const inventory = {
    servers: { main: { url: databaseUrl('postgres') }, rds: { url: 'postgres://x@127.0.0.1:1/x', rds: at } },
    tenants: [{ id: 'acme', server: 'rds', database: 'acme' }],
  };
  await fleet.writeInventory(inventory);
  return { fleet, at, inventory };
}

test.each(['stopped', 'available'])(
  'nobody connects to a server that sleeps, whatever AWS does with it: %s',
  async (status) => {
    const rds = await startRdsServer();
    rds.add('instance', 'a', { status, tags: tagsOf('hibernated', 'stop') });
    const { fleet } = await createFleetAt(rds);
    const report = await fleet.json('migrate --all');
    expect([report.exitCode, report.summary]).toEqual([0, 'acme skipped, t01 done']);
    expect(report.of('acme')).toMatchObject({
      reason: 'hibernated',
      because: expect.stringContaining('2026-11-20 (stop)'),
    });
    const listed = await fleet.run('tenants list --all');
    expect([listed.exitCode, listed.stdout]).toEqual([
      0,
      expect.stringMatching(/acme .*hibernated since 2026-11-20 \(stop\)/),
    ]);
  },
);

test('who would be found on a server that sleeps is not known, which is said and no fault', async () => {
  const rds = await startRdsServer();
  rds.add('instance', 'a', { status: 'stopped', tags: tagsOf('hibernated', 'stop') });
  const { fleet, inventory } = await createFleetAt(rds);
  await fleet.writeInventory({ ...inventory, discover: [{ server: 'rds', databases: 't_*' }] });
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([0, 'acme skipped']);
  expect(report.sources).toMatchObject([{ server: 'rds', hibernated: true, error: { code: 'hibernated' } }]);
  const { stdout } = await fleet.run('migrate --all');
  expect(stdout).toContain('server rds sleeps, its tenants are not known');
});

test('one that is being stopped fails its tenants', async () => {
  const rds = await startRdsServer();
  rds.add('instance', 'a', { status: 'stopping', tags: tagsOf('hibernating', 'stop') });
  const { fleet } = await createFleetAt(rds);
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.of('acme').error?.code]).toEqual([3, 'hibernating']);
});

test('where AWS cannot be asked that is said, and the server is connected to', async () => {
  const rds = await startRdsServer();
  rds.deny('DescribeDBInstances');
  const { fleet, at } = await createFleetAt(rds);
  await fleet.writeInventory({ servers: { main: { url: databaseUrl('postgres'), rds: at } } });
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([0, 't01 done']);
  expect(report.stderr).toMatch(/warning: aws cannot be asked which servers sleep: .*rds:DescribeDBInstances/s);
});

test('AWS is not asked about servers that the selection leaves out', async () => {
  const rds = await startRdsServer();
  const { fleet } = await createFleetAt(rds);
  expect((await fleet.json('migrate --server main')).summary).toBe('t01 done');
  expect(rds.calls).toEqual([]);
});
