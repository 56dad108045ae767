import { expect, test } from 'vitest';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { createFleet, type FleetReport, type TestFleet } from '../support/fleet.ts';
import { writeSleepRows } from '../support/sleep-rows.ts';

const migrations = { '0001_a.sql': 'CREATE TABLE a (id int);', '0002_b.sql': 'CREATE TABLE b (id int);' };

/** t01 is active; t02 was archived and its schema is gone; t03 stands fenced, in the middle; t04 is being woken. */
async function sleepingFleet(): Promise<TestFleet> {
  const fleet = await createFleet({ schemas: 4, migrations });
  await fleet.db.query('drop schema tenant_t02');
  await writeSleepRows(fleet.db.name, [
    { schema: 'tenant_t02', applied: ['0001_a'] },
    { schema: 'tenant_t03', state: 'hibernating', step: 'fenced' },
    { schema: 'tenant_t04', state: 'waking', step: 'restoring' },
  ]);
  return fleet;
}

const toldOf = (report: FleetReport, tenant: string) => report.of(tenant).value as unknown;

test('a tenant whose schema is gone is listed by what is written of it, with its state', async () => {
  const fleet = await sleepingFleet();
  const listed = await fleet.json('tenants list --all');
  expect([listed.exitCode, listed.summary]).toEqual([0, 't01 done, t02 done, t03 done, t04 done']);
  expect(toldOf(listed, 't01')).toEqual({ labels: {}, state: 'active', how: null, since: null, run: null });
  expect(toldOf(listed, 't02')).toMatchObject({
    ...{ state: 'hibernated', how: 'archive', run: '2026-11-22T101500Z-k3f9' },
    since: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
  });
  expect(toldOf(listed, 't03')).toMatchObject({ state: 'hibernating' });
  const { stdout } = await fleet.run('tenants list --all');
  expect(stdout).toMatch(/t01 .*active/);
  expect(stdout).toMatch(/t02 .*hibernated since \d{4}-\d\d-\d\d \(archive\)/);
  // One that sleeps cannot be what others are held to.
  const against = await fleet.run('drift -t t01 --against tenant:t02');
  expect([against.exitCode, against.stderr]).toEqual([4, expect.stringContaining('t02: hibernated, since')]);
  // A command that did nothing because all of its tenants sleep says so.
  const one = await fleet.run('migrate -t t02');
  expect([one.exitCode, one.stdout]).toEqual([
    0,
    expect.stringMatching(/1 tenant sleeps, and is left alone: since .* wake -t t02\n/),
  ]);
  const some = await fleet.run('migrate -t t01 t02');
  expect(some.stdout).not.toContain('left alone');
});

test('a migration leaves alone who sleeps and says what it owes; who is on the way needs somebody to carry on', async () => {
  const fleet = await sleepingFleet();
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 skipped, t03 failed, t04 failed']);
  expect(report.of('t02')).toMatchObject({
    ...{ reason: 'hibernated', value: { owed: ['0002_b'] } },
    because: expect.stringMatching(/^since \d{4}-\d\d-\d\d \(archive\): tenantctl wake -t t02$/),
  });
  expect(report.of('t03').error).toMatchObject({
    ...{ code: 'hibernating', message: expect.stringMatching(/^is being put to sleep since .*Z by run 2026.*k3f9$/) },
    hint: expect.stringContaining('tenantctl hibernate'),
  });
  expect(report.of('t04').error).toMatchObject({ code: 'waking', hint: expect.stringContaining('tenantctl wake') });
  expect(report.totals).toMatchObject({ done: 1, failed: 2, skipped: 0, hibernated: 1 });
  expect(await fleet.tables()).toEqual(['tenant_t01.a', 'tenant_t01.b', 'tenantctl.tenant']);
});

test('sleeping tenants turn no run red, and a run that finds only them leaves no record', async () => {
  const fleet = await sleepingFleet();
  await fleet.db.query('create schema tenant_t05');
  for (const command of ['migrate', 'migrate --dry-run', 'migrate plan', 'drift', 'drift fix']) {
    const report = await fleet.json(`${command} -t t01 t02 t05`);
    expect([command, report.exitCode, report.summary]).toEqual([command, 0, 't01 done, t02 skipped, t05 done']);
    expect([command, toldOf(report, 't02')]).toEqual([command, { owed: ['0002_b'] }]);
  }
  const again = await fleet.json('migrate -t t01 t02 t05');
  expect([again.exitCode, again.run]).toEqual([0, null]);
  const gate = await fleet.json('migrate gate -t t01 t02 t05 --at-least 0002');
  expect([gate.exitCode, gate.totals.hibernated]).toEqual([0, 1]);
  const { stdout } = await fleet.run('migrate status -t t02 -v');
  expect(stdout).toMatch(/t02 +hibernated, owed 0002_b/);
});

test('a recorded run has nothing left to do for who slept', async () => {
  const fleet = await sleepingFleet();
  const { run } = await fleet.json('migrate -t t01 t02');
  const shown = await fleet.run(`runs show ${run}`);
  expect(shown.stdout).toContain('1 done, 1 hibernated');
  expect(shown.stdout).not.toContain('never started');
  const resumed = await fleet.run(`runs resume ${run}`);
  expect(resumed.stdout).toContain('left nothing to do: of its 2 tenants, all are done but 1 that slept');
  const picked = await fleet.json(`tenants list --from-run ${run} --outcome skipped --allow-empty`);
  expect(picked.outcomes).toEqual([]);
});

test('a database that is closed or gone is known by the database of the url', async () => {
  const fleet = await createFleet({ databases: 2, migrations });
  const [closed = '', open = ''] = fleet.databases;
  await fleet.writeInventory({ servers: { main: { url: databaseUrl(fleet.db.name) } } });
  const gone = `${fleet.db.name}_d03`;
  await asSuperuser((admin) => admin.query(`alter database ${closed} allow_connections false`));
  await writeSleepRows(fleet.db.name, [
    { database: closed, schema: null, how: 'lock' },
    { database: gone, schema: null, applied: [] },
  ]);
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([0, 'd01 skipped, d02 done, d03 skipped']);
  expect([toldOf(report, 'd01'), toldOf(report, 'd03')]).toEqual([{ owed: null }, { owed: ['0001_a', '0002_b'] }]);
  // Named in the file, nobody looks for it: it is asked for all the same.
  const explicit = [closed, open, gone].map((database) => ({ id: database, server: 'main', database }));
  await fleet.writeInventory({
    servers: { main: { url: databaseUrl(fleet.db.name) } },
    tenants: explicit,
    discover: [],
  });
  const named = await fleet.json(`migrate -t ${closed} ${open}`);
  expect(named.outcomes.map(({ status }) => status)).toEqual(['skipped', 'done']);
});

test('what is said of another database counts for nothing', async () => {
  const fleet = await createFleet({ schemas: 1, migrations });
  await writeSleepRows(fleet.db.name, [{ database: 'it_was_copied_from', schema: 'tenant_t01' }]);
  expect((await fleet.json('migrate --all')).summary).toBe('t01 done');
});

test('a schema or database that took the name of one that sleeps is told, not passed over', async () => {
  const fleet = await createFleet({ schemas: 2, databases: 1, migrations });
  const [whole = ''] = fleet.databases;
  await fleet.writeInventory({ servers: { main: { url: databaseUrl(fleet.db.name) } } });
  await writeSleepRows(fleet.db.name, [{ schema: 'tenant_t01' }, { database: whole, schema: null }]);
  for (const command of ['migrate --all', 'migrate status --all', 'hibernate -t t01 d01 --dry-run']) {
    const report = await fleet.json(command);
    expect([command, report.of('t01').error?.code, report.of('d01').error?.code]).toEqual([
      ...[command, 'name-taken', 'name-taken'],
    ]);
  }
  const { error } = (await fleet.json('migrate -t t01')).of('t01');
  expect(error?.message).toMatch(
    /^it is hibernated since .* \(archive\), and another schema tenant_t01 stands in its place$/,
  );
});

test('who may not see who sleeps reads without it and changes nobody, unless told to leave those out', async () => {
  const fleet = await createFleet({ schemas: 1, migrations });
  const role = `blind_${fleet.db.name}`;
  await writeSleepRows(fleet.db.name, [{ schema: 'tenant_other' }]);
  await asSuperuser((admin) => admin.query(`create role ${role} login`));
  await fleet.db.query(`grant usage, create on schema tenant_t01 to ${role}`);
  try {
    const url = databaseUrl('postgres').replace(/\/\/[^@]+@/, `//${role}@`);
    await fleet.writeInventory({ servers: { main: { url } } });
    const refused = await fleet.json('migrate --all');
    expect([refused.exitCode, refused.error?.details]).toEqual([5, [expect.stringContaining('who sleeps here')]]);
    const tenants = [{ id: 't01', server: 'main', database: fleet.db.name, schema: 'tenant_t01' }];
    for (const found of [{}, { tenants, discover: [] }]) {
      await fleet.writeInventory({ servers: { main: { url } }, ...found });
      const listed = await fleet.json('tenants list --all');
      expect([listed.exitCode, listed.sources, toldOf(listed, 't01')]).toMatchObject([0, [], { state: 'unknown' }]);
      expect(listed.stderr).toContain('it is not known who sleeps');
      expect(listed.stderr).toContain('grant usage on schema tenantctl');
    }
    const skipped = await fleet.json('migrate --all --skip-unreachable');
    expect([skipped.exitCode, skipped.of('t01').because]).toEqual([4, expect.stringContaining('does not tell')]);
    expect((await fleet.json('migrate status --all')).summary).toBe('t01 done');
  } finally {
    await fleet.db.query(`drop owned by ${role}`);
    await asSuperuser((admin) => admin.query(`drop role ${role}`));
  }
});

test('where nobody can be asked the tenants count as active, and that is said once, to who changes them', async () => {
  const fleet = await createFleet({ databases: 1, migrations });
  await fleet.writeInventory({
    servers: { main: { url: databaseUrl('no_such_database') } },
    tenants: [{ id: 'a', server: 'main', database: fleet.databases[0] }],
    discover: [],
  });
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.summary]).toEqual([0, 'a done']);
  expect(report.stderr.match(/database no_such_database: nobody can be asked who sleeps/g)).toHaveLength(1);
  const read = await fleet.json('migrate status --all');
  expect([read.exitCode, read.stderr]).toEqual([0, expect.not.stringContaining('who sleeps')]);
});

test('settings that are no good keep nobody from listing the tenants of the file', async () => {
  const fleet = await createFleet();
  await fleet.writeInventory({
    servers: { main: { url: 'postgres://x@127.0.0.1:1/x?sslmode=nonsense' } },
    tenants: [{ id: 'a', server: 'main', database: 'a' }],
  });
  const listed = await fleet.json('tenants list --all');
  expect([listed.exitCode, listed.summary, toldOf(listed, 'a')]).toMatchObject([0, 'a done', { state: 'unknown' }]);
  expect((await fleet.json('migrate --all')).exitCode).toBe(2);
});
