import { expect, test } from 'vitest';
import { createFleet } from '../support/fleet.ts';

test('shows what another command would touch with the same flags', async () => {
  const fleet = await createFleet({ schemas: 3, databases: 1, migrations: { '0001_a.sql': 'SELECT 1;' } });
  for (const selection of [
    '--all',
    '-t t0*',
    '-t t01 d01',
    '--all --except t02',
    `--database ${fleet.databases[0]}`,
    '--all --shard 1/2',
  ]) {
    const listed = await fleet.json(`tenants list ${selection}`);
    const planned = await fleet.json(`migrate plan ${selection}`);
    expect(listed.exitCode).toBe(0);
    expect(listed.outcomes.map(({ tenant }) => tenant)).toEqual(planned.outcomes.map(({ tenant }) => tenant));
  }
});

test('the table has a line for each, the ids from standard input count', async () => {
  const fleet = await createFleet({ schemas: { acme: 'tenant "x"', globex: 'tenant_g' } });
  const { stdout } = await fleet.run('tenants list -t -', { stdin: 'globex\nacme\n' });
  const lines = stdout.split('\n').map((line) => line.replace(/\s+/g, ' ').trim());
  expect(lines).toContain(`acme main ${fleet.db.name} tenant "x" active`);
  expect(lines).toContain(`globex main ${fleet.db.name} tenant_g active`);
});

test('explicit tenants alone need no server', async () => {
  const fleet = await createFleet();
  await fleet.writeInventory({
    servers: { down: { url: 'postgres://x@127.0.0.1:1/x' } },
    tenants: [
      { id: 'a', server: 'down', database: 'a', labels: { tier: 'gold' } },
      { id: 'b', server: 'down', database: 'b' },
    ],
  });
  const report = await fleet.json('tenants list -l tier=gold');
  expect([report.exitCode, report.summary, report.sources]).toEqual([0, 'a done', []]);
});

test('a registry that cannot be read is told, the others are listed, and that is exit 3', async () => {
  const fleet = await createFleet({ schemas: 1 });
  await fleet.writeInventory({
    discover: [
      { server: 'main', database: fleet.db.name, schemas: 'tenant_*' },
      { server: 'main', database: fleet.db.name, query: 'select nothing' },
    ],
  });
  const report = await fleet.json('tenants list --all');
  expect([report.exitCode, report.summary]).toEqual([3, 't01 done']);
  expect(report.sources).toMatchObject([{ server: 'main', database: fleet.db.name, error: { sqlState: '42703' } }]);
});

test('a registry query cannot write', async () => {
  const fleet = await createFleet({ schemas: 1 });
  await fleet.db.query('create table registry (id text)');
  await fleet.writeInventory({
    discover: [{ server: 'main', database: fleet.db.name, query: "insert into registry values ('a') returning id" }],
  });
  const report = await fleet.json('tenants list --all --allow-empty');
  expect(report.sources).toMatchObject([{ error: { sqlState: '25006' } }]);
});

test('what two sources call by one id fails on both sides, and the rest is listed and migrated', async () => {
  const fleet = await createFleet({
    schemas: { other: 'tenant_other' },
    migrations: { '0001_a.sql': 'CREATE TABLE a (id int);' },
  });
  await fleet.db.query('create schema eu_one; create schema us_one; create schema us_two');
  await fleet.writeInventory({
    discover: ['eu_*', 'us_*'].map((schemas) => ({ server: 'main', database: fleet.db.name, schemas })),
  });
  const listed = await fleet.json('tenants list --all');
  expect(listed.exitCode).toBe(3);
  expect(listed.summary).toBe('other done, two done, one failed, one failed');
  expect(listed.outcomes[2]?.error).toMatchObject({ code: 'clash', hint: 'discover[].id: "{schema}"' });
  const migrated = await fleet.json('migrate --all');
  expect([migrated.exitCode, migrated.summary]).toEqual([3, 'other done, two done, one failed, one failed']);
  expect(await fleet.tables()).toEqual(['tenant_other.a', 'us_two.a']);
});

test('schemas and databases of tenantctl itself are never tenants', async () => {
  const fleet = await createFleet();
  await fleet.db.query('create schema tenantctl; create schema tenantctl_x; create schema tenant_a');
  await fleet.writeInventory({ discover: [{ server: 'main', database: fleet.db.name, schemas: 'tenant*' }] });
  expect((await fleet.json('tenants list --all')).summary).toBe('_a done');
});
