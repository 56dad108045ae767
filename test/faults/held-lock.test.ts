import { expect, onTestFinished, test } from 'vitest';
import { eventually, makeBarrier, passBarrier, patientTimeouts } from '../support/barrier.ts';
import { createFleet, numbered, readReport, type TestFleet } from '../support/fleet.ts';
import { attemptsAt, holdTable } from '../support/table-lock.ts';
import { holdTenant } from '../support/tenant-lock.ts';

async function fleetWithTables(schemas: number, migrations: Readonly<Record<string, string>>) {
  const fleet = await createFleet({ schemas, migrations });
  await fleet.db.query(
    numbered('tenant_t', schemas)
      .map((schema) => `create table ${schema}.app (id int); insert into ${schema}.app values (1)`)
      .join(';'),
  );
  return fleet;
}

/** So many tenants have a history. */
async function migrated({ db }: TestFleet): Promise<number> {
  const rows = await db.query("select from pg_class where relname = 'pgmigrations' and relkind = 'r'");
  return rows.length;
}

/** Reads a table again and again, as an application does that gives up on a statement after a while. */
async function keepReading({ db }: TestFleet, table: string, timeout: string) {
  const session = await db.connect({ application_name: 'reader', statement_timeout: 0 });
  onTestFinished(() => session.end());
  await session.query(`set statement_timeout = '${timeout}'`);
  const seen = { reads: 0, error: null as unknown };
  let isOver = false;
  const reading = (async () => {
    while (!isOver && seen.error === null) {
      await session.query(`select * from ${table}`).then(
        () => {
          seen.reads += 1;
        },
        (error: unknown) => {
          seen.error = error;
        },
      );
    }
  })();
  return {
    seen,
    stop: async () => {
      isOver = true;
      await reading;
    },
  };
}

test('a table that an application holds: the other 39 do not wait, readers get through, and it is done in the end', async () => {
  const fleet = await fleetWithTables(40, { '0001_x.sql': 'ALTER TABLE app ADD COLUMN x int;' });
  const shop = await holdTable(fleet.db, 'tenant_t03.app');
  // Whoever waits in a worker's place would keep the only one there is.
  const running = fleet.start('migrate --all --concurrency 1 --lock-timeout 300ms --json');
  // Longer than one attempt, shorter than two in a row: the waiting ALTER TABLE keeps new readers out.
  const reader = await keepReading(fleet, 'tenant_t03.app', '10s');
  const readsAtAttempt: number[] = [];
  await attemptsAt(fleet.db, 'tenant_t03.app', 3, () => readsAtAttempt.push(reader.seen.reads));
  await eventually('the others are done', async () => ((await migrated(fleet)) === 39 ? true : null));
  expect(await fleet.history('tenant_t03')).toBeNull();
  await shop.release();
  const report = readReport(await running.ended);
  await reader.stop();
  expect(reader.seen.error).toBeNull();
  // Between two attempts the table was to be had.
  for (const [index, reads] of readsAtAttempt.entries()) {
    if (index > 0) expect(reads).toBeGreaterThan(readsAtAttempt[index - 1]!);
  }
  expect([report.exitCode, report.totals.done]).toEqual([0, 40]);
  const { status, attempts, blockedBy, value } = report.of('t03');
  expect([status, value?.applied]).toEqual(['done', ['0001_x']]);
  expect(attempts).toBeGreaterThanOrEqual(3);
  expect(blockedBy).toContainEqual(
    expect.objectContaining({
      pid: shop.pid,
      application: 'shop',
      user: 'postgres',
      state: 'idle in transaction',
      tenant: null,
    }),
  );
  expect(report.of('t04')).not.toHaveProperty('attempts');
});

test('who is in the way is told while the statement waits, and after the last try', async () => {
  const fleet = await fleetWithTables(2, { '0001_x.sql': 'ALTER TABLE app ADD COLUMN x int;' });
  const shop = await holdTable(fleet.db, 'tenant_t02.app');
  // Long enough for a look at who it is.
  const running = fleet.start('migrate --all --lock-timeout 3s --tries 1 -o ndjson');
  const { exitCode, stdout } = await running.ended;
  await shop.release();
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const blocker = { pid: shop.pid, application: 'shop', user: 'postgres', tenant: null };
  expect(exitCode).toBe(3);
  expect(lines).toContainEqual(
    expect.objectContaining({ type: 'blocked', tenant: 't02', blockedBy: [expect.objectContaining(blocker)] }),
  );
  expect(lines).toContainEqual(
    expect.objectContaining({
      type: 'outcome',
      tenant: 't02',
      status: 'failed',
      error: expect.objectContaining({ sqlState: '55P03', file: 'migrations/0001_x.sql', line: 1 }),
      blockedBy: [expect.objectContaining(blocker)],
    }),
  );
  expect(await fleet.history('tenant_t02')).toBeNull();
});

test('after an earlier part that stays, what stays is told when the tries are used up', async () => {
  // An expression index keeps apart from a backfill: three stages.
  const fleet = await fleetWithTables(1, {
    '0001_fill.sql': 'UPDATE app SET id = 2;',
    '0002_index.sql': '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY ON app ((id + 1));',
    '0003_x.sql': 'ALTER TABLE other ADD COLUMN x int;',
  });
  await fleet.db.query('create table tenant_t01.other (id int)');
  const shop = await holdTable(fleet.db, 'tenant_t01.other');
  const report = await fleet.json('migrate --all --lock-timeout 50ms --tries 2');
  expect(report.of('t01')).toMatchObject({
    status: 'failed',
    attempts: 2,
    error: { sqlState: '55P03', detail: 'already committed on this tenant: 0001_fill, 0002_index' },
  });
  await shop.release();
  expect((await fleet.json('migrate --all')).of('t01').value?.applied).toEqual(['0003_x']);
});

test('a tenant that another run holds between two of its stages is waited for', async () => {
  const fleet = await createFleet({
    schemas: 2,
    migrations: {
      '0001_app.sql': 'CREATE TABLE app (id int);',
      '0002_fill.sql': `${passBarrier}; UPDATE app SET id = 2;`,
      '0003_index.sql': '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY ON app ((id + 1));',
    },
    inventory: { timeouts: patientTimeouts },
  });
  await fleet.run('migrate --all --to 0001');
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t02');
  const running = fleet.start('migrate --all --json');
  await barrier.waiting(1);
  // Its index waits for the backfill of the other one.
  await eventually('t01 has its first part', async () =>
    (await fleet.history('tenant_t01'))?.length === 2 ? true : null,
  );
  const other = await holdTenant(fleet.db, 'tenant_t01');
  await barrier.open('tenant_t02');
  await eventually('t02 is done', async () => ((await fleet.history('tenant_t02'))?.length === 3 ? true : null));
  await other.release();
  const report = readReport(await running.ended);
  expect(report.of('t01')).toMatchObject({ status: 'done', value: { applied: ['0002_fill', '0003_index'] } });
  expect(report.exitCode).toBe(0);
});
