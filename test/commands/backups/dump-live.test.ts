import { expect, test } from 'vitest';
import { archivedRows, archiveOf, dumpedOf, manifestOf, toFolder } from '../../support/dumps.ts';
import { createFleet, numbered, readReport, type TestFleet } from '../../support/fleet.ts';
import { attemptsAt, holdTable } from '../../support/table-lock.ts';

/** The dearest cases are left to `npm run test:soak`. */
const soak = process.env.TENANTCTL_SOAK === '1';

/** So small a share of the lock table that each tenant is a batch of its own. */
const oneByOne = '--lock-share 0.1%';

async function makeFleet(count: number): Promise<TestFleet> {
  const fleet = await createFleet({ schemas: count, inventory: toFolder });
  for (const schema of numbered('tenant_t', count)) {
    await fleet.db.query(`create table ${schema}.accounts (id int primary key, amount int);
      insert into ${schema}.accounts values (1, 1000), (2, 1000)`);
  }
  return fleet;
}

test('all tenants of a database show one instant, while money moves between them', async () => {
  const tenants = 8;
  const fleet = await makeFleet(tenants);
  const bank = await fleet.db.connect();
  let isOver = false;
  const moving = (async () => {
    for (let turn = 0; !isOver; turn += 1) {
      const [from, to] = [(turn % tenants) + 1, ((turn * 3 + 1) % tenants) + 1];
      await bank.query(`begin;
        update tenant_t0${from}.accounts set amount = amount - 7 where id = 1;
        update tenant_t0${to}.accounts set amount = amount + 7 where id = 2;
        commit`);
    }
    await bank.end();
  })();
  const report = await fleet.json(`dump --all ${oneByOne}`);
  isOver = true;
  await moving;
  expect([report.exitCode, report.totals.done]).toEqual([0, tenants]);
  let sum = 0;
  let moved = 0;
  for (const { tenant } of report.outcomes) {
    expect(dumpedOf(report, tenant)).toMatchObject({ batch: 1, isCommon: true });
    const rows = await archivedRows(archiveOf(fleet, report, tenant), 'accounts');
    const amounts = rows.map((row) => Number(row.split('\t')[1]));
    moved += Math.abs((amounts[0] ?? 0) - 1000);
    sum += amounts.reduce((total, amount) => total + amount, 0);
  }
  expect(moved).toBeGreaterThan(0);
  expect(sum).toBe(tenants * 2000);
});

test('a tenant whose table is rewritten behind the snapshot is dumped again, and says so', async () => {
  const fleet = await makeFleet(3);
  // pg_dump waits for it with the snapshot of before; when it comes to the table, its rows have moved to another file.
  const lock = await holdTable(fleet.db, 'tenant_t02.accounts', 'ACCESS EXCLUSIVE');
  const running = fleet.start(`dump --all ${oneByOne} --json`);
  await attemptsAt(fleet.db, 'tenant_t02.accounts', 1);
  await lock.query('alter table tenant_t02.accounts alter column amount type bigint');
  await lock.release();
  const report = readReport(await running.ended);
  expect(report.summary).toBe('t01 done, t02 done, t03 done');
  expect(await archivedRows(archiveOf(fleet, report, 't02'), 'accounts')).toEqual(['1\t1000', '2\t1000']);
  expect(await manifestOf(archiveOf(fleet, report, 't02'))).toMatchObject({
    snapshot: { isCommon: false, reason: expect.stringContaining('rewritten') },
  });
  for (const tenant of ['t01', 't03']) expect(dumpedOf(report, tenant).isCommon).toBe(true);
});

test('a table that is put in the place of another by renaming is found too', async () => {
  const fleet = await makeFleet(2);
  const lock = await holdTable(fleet.db, 'tenant_t02.accounts', 'ACCESS EXCLUSIVE');
  const running = fleet.start(`dump --all ${oneByOne} --json`);
  await attemptsAt(fleet.db, 'tenant_t02.accounts', 1);
  await lock.query(`create table tenant_t02.fresh (like tenant_t02.accounts including all);
    insert into tenant_t02.fresh select * from tenant_t02.accounts;
    alter table tenant_t02.accounts rename to stale; alter table tenant_t02.fresh rename to accounts`);
  await lock.release();
  const report = readReport(await running.ended);
  expect(report.summary).toBe('t01 done, t02 done');
  expect(await archivedRows(archiveOf(fleet, report, 't02'), 'accounts')).toEqual(['1\t1000', '2\t1000']);
  expect(dumpedOf(report, 't02').isCommon).toBe(false);
});

test('a tenant that is dropped meanwhile fails alone', async () => {
  const fleet = await makeFleet(3);
  const lock = await holdTable(fleet.db, 'tenant_t02.accounts', 'ACCESS EXCLUSIVE');
  const running = fleet.start(`dump --all ${oneByOne} --json`);
  await attemptsAt(fleet.db, 'tenant_t02.accounts', 1);
  await lock.query('drop schema tenant_t02 cascade');
  await lock.release();
  const report = readReport(await running.ended);
  expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 failed, t03 done']);
  expect(report.of('t02').error).toMatchObject({ code: 'schema-missing' });
});

test('a table that somebody has locked keeps its tenant waiting, not the batch', async () => {
  const fleet = await makeFleet(4);
  const lock = await holdTable(fleet.db, 'tenant_t03.accounts', 'ACCESS EXCLUSIVE');
  const report = await fleet.json('dump --all --lock-wait 300ms');
  await lock.release();
  expect(report.summary).toBe('t01 done, t02 done, t03 failed, t04 done');
  expect(report.of('t03').error).toMatchObject({ code: 'locked', message: expect.stringContaining('locked by shop') });
  expect(dumpedOf(report, 't01').batch).toBe(3);
});

test('a dump and a change of a tenant keep out of each other’s way', async () => {
  const fleet = await makeFleet(2);
  await fleet.write('0001_more.sql', 'create table more (id int);');
  const lock = await holdTable(fleet.db, 'tenant_t01.accounts', 'ACCESS EXCLUSIVE');
  const dumping = fleet.start('dump --all --json');
  await attemptsAt(fleet.db, 'tenant_t01.accounts', 1);
  const refused = await fleet.json('migrate --all --lock-wait 100ms --tries 1');
  expect(refused.totals).toMatchObject({ done: 0, failed: 2 });
  expect(refused.of('t02').error).toMatchObject({ code: 'locked', message: expect.stringContaining('/dump') });
  await lock.release();
  expect((await dumping.ended).exitCode).toBe(0);

  // The other way round: a tenant that is being changed holds the shape, and the dump gives up.
  await fleet.write('0001_more.sql', 'insert into accounts values (3, 1);');
  const barred = await holdTable(fleet.db, 'tenant_t02.accounts', 'ACCESS EXCLUSIVE');
  const migrating = fleet.start('migrate -t t02 --lock-timeout 1min --json');
  await attemptsAt(fleet.db, 'tenant_t02.accounts', 1);
  const locked = await fleet.json('dump --all --lock-wait 100ms');
  expect([locked.exitCode, locked.summary]).toEqual([4, 't01 failed, t02 failed']);
  expect(locked.of('t01').error).toMatchObject({ code: 'locked', message: expect.stringContaining('shape') });
  await barred.release();
  expect((await migrating.ended).exitCode).toBe(0);
});

test.runIf(soak)('a snapshot that is too old is replaced, and the manifests say so', async () => {
  const fleet = await makeFleet(2);
  const report = await fleet.json(`dump --all ${oneByOne} --per-database 2 --max-snapshot 0s`);
  expect([report.exitCode, report.totals.done]).toEqual([0, 2]);
  const manifests = await Promise.all(
    report.outcomes.map(({ tenant }) => manifestOf(archiveOf(fleet, report, tenant))),
  );
  expect(new Set(manifests.map(({ time }) => time)).size).toBe(2);
  expect(manifests.filter(({ snapshot }) => snapshot.isCommon).length).toBeLessThan(2);
  expect(manifests.flatMap(({ snapshot }) => snapshot.reason ?? [])[0]).toContain('--max-snapshot');
});

test('a connection that held the snapshot and is lost costs nothing but the common instant', async () => {
  const fleet = await makeFleet(3);
  const lock = await holdTable(fleet.db, 'tenant_t02.accounts', 'ACCESS EXCLUSIVE');
  const running = fleet.start(`dump --all ${oneByOne} --per-database 2 --json`);
  await attemptsAt(fleet.db, 'tenant_t02.accounts', 1);
  await fleet.db.query(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and backend_xmin is not null and pid <> pg_backend_pid()
      and application_name like 'tenantctl/%'`);
  await lock.release();
  const report = readReport(await running.ended);
  expect(report.outcomes.map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
  const times = report.outcomes.map(({ tenant }) => dumpedOf(report, tenant).time);
  expect(new Set(times).size).toBe(2);
});

test('Ctrl-C twice ends it: what was done stays, nothing half is left', async () => {
  const fleet = await makeFleet(3);
  const lock = await holdTable(fleet.db, 'tenant_t02.accounts', 'ACCESS EXCLUSIVE');
  const running = fleet.start(`dump --all ${oneByOne} --per-database 2 --json`);
  await attemptsAt(fleet.db, 'tenant_t02.accounts', 1);
  running.signal('SIGINT');
  running.signal('SIGINT');
  const result = await running.ended;
  await lock.release();
  const report = readReport(result);
  expect(report.exitCode).toBe(130);
  expect(report.of('t02').status).toBe('interrupted');
});
