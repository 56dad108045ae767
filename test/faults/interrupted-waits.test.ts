import { expect, test } from 'vitest';
import { makeBarrier, passBarrier, patientTimeouts } from '../support/barrier.ts';
import { createFleet, readReport } from '../support/fleet.ts';
import { tableMigration, threeTables } from '../support/migrations.ts';
import { openProxy } from '../support/proxy.ts';
import { attemptsAt, holdTable, nobodyWaitsFor } from '../support/table-lock.ts';

/** t01 needs a table that an application holds; the others need nothing. */
async function blockedFleet(schemas: number) {
  const fleet = await createFleet({
    schemas,
    migrations: { '0001_one.sql': tableMigration('one'), '0002_x.sql': 'ALTER TABLE IF EXISTS app ADD COLUMN x int;' },
  });
  await fleet.db.query('create table tenant_t01.app (id int)');
  return { fleet, shop: await holdTable(fleet.db, 'tenant_t01.app') };
}

test('Ctrl-C while a tenant waits for its next try: it was not started, and nothing of it stays', async () => {
  const { fleet, shop } = await blockedFleet(3);
  const running = fleet.start('migrate --all --lock-timeout 100ms --json');
  await attemptsAt(fleet.db, 'tenant_t01.app', 2);
  await nobodyWaitsFor(fleet.db, 'tenant_t01.app');
  running.signal('SIGINT');
  const report = readReport(await running.ended);
  expect([report.exitCode, report.summary]).toEqual([130, 't01 skipped, t02 done, t03 done']);
  expect(report.of('t01')).toMatchObject({
    reason: 'not-started',
    because: expect.stringContaining('it waited for another try: canceling statement due to lock timeout'),
    blockedBy: [{ application: 'shop' }],
  });
  expect(await fleet.history('tenant_t01')).toBeNull();
  expect(await fleet.tables()).not.toContain('tenant_t01.one');
  await shop.release();
  const again = await fleet.json(`migrate --from-run ${report.run}`);
  expect([again.exitCode, again.summary]).toEqual([0, 't01 done']);
});

test('once while its statement waits for the lock: the statement may end, and then it is over', async () => {
  const { fleet, shop } = await blockedFleet(2);
  const running = fleet.start('migrate --all --lock-timeout 10min --json');
  await attemptsAt(fleet.db, 'tenant_t01.app', 1);
  running.signal('SIGINT');
  await running.stderrHas('stopping');
  await shop.release();
  const report = readReport(await running.ended);
  expect([report.exitCode, report.of('t01').status, report.of('t01').value?.applied]).toEqual([
    130,
    'done',
    ['0001_one', '0002_x'],
  ]);
});

test('twice while its statement waits for the lock: it is cancelled, and the reader that waited behind it goes on', async () => {
  const { fleet, shop } = await blockedFleet(2);
  const running = fleet.start('migrate --all --lock-timeout 10min --json');
  await attemptsAt(fleet.db, 'tenant_t01.app', 1);
  const reading = fleet.db.query('select from tenant_t01.app');
  running.signal('SIGINT');
  running.signal('SIGINT');
  expect(await reading).toEqual([]);
  const report = readReport(await running.ended);
  expect([report.exitCode, report.of('t01').status]).toEqual([130, 'interrupted']);
  expect(report.of('t01')).toMatchObject({ step: '0002_x', error: { sqlState: '57014' } });
  expect(await fleet.history('tenant_t01')).toBeNull();
  await shop.release();
});

// Without the third one the connections are given up after 15 s.
test('three times when the network is gone: nothing is waited for, and who was in the middle is named', {
  timeout: 12_000,
}, async () => {
  const proxy = await openProxy();
  const url = (database: string) => `postgres://postgres@127.0.0.1:${proxy.port}/${database}?sslmode=disable`;
  const fleet = await createFleet({
    schemas: 3,
    migrations: { '0001_long.sql': `${passBarrier};` },
    inventory: { timeouts: patientTimeouts },
    url,
  });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01', 'tenant_t02');
  const running = fleet.start('migrate --all --concurrency 2 --json');
  await barrier.waiting(2);
  proxy.fallSilent();
  running.signal('SIGINT');
  running.signal('SIGINT');
  running.signal('SIGINT');
  const report = readReport(await running.ended);
  expect([report.exitCode, report.summary]).toEqual([130, 't01 interrupted, t02 interrupted, t03 skipped']);
  expect(report.stderr).toContain('leaving at once');
  await barrier.open('tenant_t01', 'tenant_t02');
  proxy.drop();
});

test('during a soak: the waves that are left are not started', async () => {
  const fleet = await createFleet({ schemas: 4, migrations: threeTables });
  const running = fleet.start('migrate --all --canary 1 --waves 50%,100% --soak 1h --health-sql SELECT --json');
  await running.stderrHas('waiting 1h');
  running.signal('SIGINT');
  const report = readReport(await running.ended);
  expect([report.exitCode, report.summary]).toEqual([130, 't01 done, t02 skipped, t03 skipped, t04 skipped']);
  expect(await fleet.history('tenant_t02')).toBeNull();
});

test('after a COMMIT that was lost: nobody knows whether it was one, so the tenant was in the middle', async () => {
  const proxy = await openProxy();
  const url = (database: string) => `postgres://postgres@127.0.0.1:${proxy.port}/${database}?sslmode=disable`;
  const fleet = await createFleet({ schemas: 1, migrations: threeTables, url });
  proxy.cutAtCommit('after');
  const running = fleet.start('migrate --all --json');
  await running.stderrHas('trying again in');
  running.signal('SIGINT');
  const report = readReport(await running.ended);
  expect([report.exitCode, report.summary]).toEqual([130, 't01 interrupted']);
  expect(report.of('t01')).toMatchObject({ step: 'COMMIT', error: { sqlState: '08006' } });
  expect(await fleet.history('tenant_t01')).toHaveLength(3);
});

test('after a part that stays: the tenant was in the middle, and what stays is told', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_app.sql': 'UPDATE app SET id = 1;',
      '0002_index.sql': '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY ON app ((id + 1));',
      '0003_x.sql': 'ALTER TABLE other ADD COLUMN x int;',
    },
  });
  await fleet.db.query('create table tenant_t01.app (id int); create table tenant_t01.other (id int)');
  const shop = await holdTable(fleet.db, 'tenant_t01.other');
  const running = fleet.start('migrate --all --lock-timeout 100ms --json');
  await attemptsAt(fleet.db, 'tenant_t01.other', 1);
  await nobodyWaitsFor(fleet.db, 'tenant_t01.other');
  running.signal('SIGINT');
  const report = readReport(await running.ended);
  expect([report.exitCode, report.summary]).toEqual([130, 't01 interrupted']);
  expect(report.of('t01').error).toMatchObject({ detail: 'already committed on this tenant: 0001_app, 0002_index' });
  await shop.release();
});
