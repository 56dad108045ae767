import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { createFleet, type TestFleet } from '../support/fleet.ts';
import { threeTables } from '../support/migrations.ts';

/** What belongs to no tenant: making sessions ready, asking the server about itself, discovery. */
const setUp = [
  /^DISCARD ALL/,
  /set_config\(/,
  /current_setting\('max_connections'\)/,
  /FROM pg_catalog\.pg_namespace\s+WHERE/,
];

/** The statements that the server ran in the fleet's database meanwhile, by its own log; set-up left out. */
async function statementsOf(fleet: TestFleet, work: () => Promise<unknown>): Promise<readonly string[]> {
  const log = join(inject('cluster').socketDir, 'server.log');
  await fleet.db.query(`alter database ${fleet.db.name} set log_statement = 'all'`);
  const { size } = await stat(log);
  await work();
  const file = await open(log);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc((await file.stat()).size - size), { position: size });
    const entries = buffer
      .subarray(0, bytesRead)
      .toString()
      .split(/^(?=\d{4}-\d\d-\d\d )/m);
    const statements = entries.flatMap((entry) => / LOG: {2}(?:statement|execute [^:]*): (.+)/s.exec(entry)?.[1] ?? []);
    return statements.map((text) => text.trim()).filter((text) => !setUp.some((each) => each.test(text)));
  } finally {
    await file.close();
    await fleet.db.query(`alter database ${fleet.db.name} reset log_statement`);
  }
}

test('1,000 current tenants are at most 6 statements, whatever the command', async () => {
  const fleet = await createFleet({ migrations: threeTables });
  await fleet.writeInventory({ discover: [{ server: 'main', database: fleet.db.name, schemas: 'tenant_*' }] });
  // One is migrated; the others are given its history.
  await fleet.db.query('create schema tenant_0000');
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
  await fleet.db.query(`do $$ begin for i in 1..999 loop
    execute format('create schema tenant_%s', to_char(i, 'FM0000'));
    execute format('create table tenant_%s.pgmigrations as table tenant_0000.pgmigrations', to_char(i, 'FM0000'));
    if i % 200 = 0 then commit; end if;
  end loop; end $$`);

  for (const argv of ['migrate --all', 'migrate status --all --check', 'migrate plan --all']) {
    let report: Awaited<ReturnType<typeof fleet.json>> | undefined;
    const statements = await statementsOf(fleet, async () => {
      report = await fleet.json(argv);
    });
    expect(report?.exitCode).toBe(0);
    expect(report?.totals).toMatchObject({ selected: 1000, done: 1000 });
    expect(statements.length, statements.join('\n----\n')).toBeGreaterThan(1);
    expect(statements.length, statements.map((text) => text.slice(0, 200)).join('\n----\n')).toBeLessThanOrEqual(6);
  }

  // One that is behind costs its own few statements, and no other tenant's.
  await fleet.db.query(`drop table tenant_0500.pgmigrations`);
  const statements = await statementsOf(fleet, async () => {
    const report = await fleet.json('migrate --all');
    expect(report.of('0500').value?.applied).toHaveLength(3);
  });
  expect(statements.length).toBeLessThanOrEqual(6 + 20);
});

test('equal histories are read once, different ones are told apart', async () => {
  const fleet = await createFleet({ schemas: 6, migrations: threeTables });
  await fleet.run('migrate -t t01 t02 t03');
  await fleet.run('migrate -t t04 --to 0002');
  await fleet.db.query(`update tenant_t02.pgmigrations set checksum = null where name = '0001_one'`);
  await fleet.db.query(`update tenant_t03.pgmigrations set name = '0001_two' where name = '0001_one'`);
  await fleet.db.query('create table tenant_t06.pgmigrations as table tenant_t04.pgmigrations with no data');
  // Who applied them does not matter to where a tenant stands.
  await fleet.db.query(`update tenant_t01.pgmigrations set run = 'another'`);
  const report = await fleet.json('migrate status --all');
  expect(report.outcomes.map(({ value }) => [value?.applied, value?.pending?.length])).toEqual([
    [3, 0],
    [3, 0],
    [3, 1],
    [2, 1],
    [0, 3],
    [0, 3],
  ]);
});

test('a tenant whose history cannot be read fails alone among hundreds', async () => {
  const fleet = await createFleet({ schemas: 40, migrations: threeTables });
  await fleet.run('migrate --all');
  await fleet.db.query('alter table tenant_t23.pgmigrations drop column name');
  const report = await fleet.json('migrate status --all');
  expect([report.exitCode, report.totals.done, report.totals.failed]).toEqual([3, 39, 1]);
  expect(report.of('t23').error).toMatchObject({ sqlState: '42703' });
});
