import { expect, test } from 'vitest';
import { eventually, makeBarrier, passBarrier, patientTimeouts } from '../support/barrier.ts';
import { createFleet, readReport } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';
import { holdTable } from '../support/table-lock.ts';

/** Fails each tenant's first attempt: a sequence is not rolled back. */
const failOnce = (sqlState: string) =>
  `DO $$ BEGIN IF nextval('attempts') = 1 THEN RAISE 'not now' USING ERRCODE = '${sqlState}'; END IF; END $$;`;

async function fleetThatFailsOnce(sqlState: string, migrations: Readonly<Record<string, string>> = {}) {
  const fleet = await createFleet({
    schemas: 2,
    migrations: {
      '0001_one.sql': tableMigration('one'),
      '0002_once.sql': `INSERT INTO one VALUES (1);\n${failOnce(sqlState)}`,
      ...migrations,
    },
  });
  await fleet.db.query('create sequence tenant_t01.attempts; create sequence tenant_t02.attempts start 2');
  return fleet;
}

test.each(['40001', '40P01', '55P03'])('%s: nothing stays of the attempt, and it is made again', async (sqlState) => {
  const fleet = await fleetThatFailsOnce(sqlState);
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.of('t01').attempts, report.of('t02').attempts]).toEqual([0, 2, undefined]);
  expect(report.of('t01').value).toEqual({ from: null, to: '0002_once', applied: ['0001_one', '0002_once'] });
  expect(await fleet.db.query('select id from tenant_t01.one')).toEqual([{ id: 1 }]);
});

test('an error that will not pass is not tried again', async () => {
  const fleet = await fleetThatFailsOnce('22012');
  const report = await fleet.json('migrate --all');
  expect(report.of('t01')).toMatchObject({ status: 'failed', error: { sqlState: '22012', line: 2 } });
  expect(report.of('t01')).not.toHaveProperty('attempts');
});

test.each([
  ['in a migration without a transaction', { '0002_once.sql': `-- tenantctl:no-transaction\n${failOnce('40001')}` }],
  ['after one', { '0001_one.sql': '-- tenantctl:no-transaction\nCREATE TABLE one (id int);' }],
])('40001 %s: part of it stays, so it is not made again', async (_, migrations) => {
  const fleet = await fleetThatFailsOnce('40001', migrations);
  const report = await fleet.json('migrate --all');
  expect(report.of('t01')).toMatchObject({
    status: 'failed',
    error: { sqlState: '40001', detail: 'already committed on this tenant: 0001_one' },
  });
  expect(report.of('t01')).not.toHaveProperty('attempts');
  expect(await fleet.history('tenant_t01')).toEqual(['0001_one']);
  expect((await fleet.json('migrate --all')).of('t01').value?.applied).toEqual(['0002_once']);
});

test('--tries says when it is enough', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0001_a.sql': "DO $$ BEGIN RAISE 'never' USING ERRCODE = '40001'; END $$;" },
  });
  const report = await fleet.json('migrate --all --tries 2');
  expect([report.exitCode, report.of('t01').attempts, report.of('t01').error?.sqlState]).toEqual([4, 2, '40001']);
});

test('a deadlock with the application: ours gives way, and comes again', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      // The server finds it at once, and ours out first.
      '0001_x.sql': `SET LOCAL deadlock_timeout = '10ms';\nALTER TABLE a ADD COLUMN x int;\n${passBarrier};\nALTER TABLE b ADD COLUMN x int;`,
    },
    inventory: { timeouts: patientTimeouts },
  });
  await fleet.db.query('create table tenant_t01.a (id int); create table tenant_t01.b (id int)');
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01');
  const shop = await holdTable(fleet.db, 'tenant_t01.b');
  const running = fleet.start('migrate --all --json');
  await barrier.waiting(1);
  const waiting = shop.lock('tenant_t01.a');
  await eventually('the application waits for us', async () => {
    const rows = await fleet.db.query('select from pg_locks where not granted and pid = $1', [shop.pid]);
    return rows.length > 0 ? true : null;
  });
  await barrier.open('tenant_t01');
  await waiting;
  await shop.release();
  const report = readReport(await running.ended);
  expect([report.exitCode, report.of('t01').status, report.of('t01').attempts]).toEqual([0, 'done', 2]);
});
