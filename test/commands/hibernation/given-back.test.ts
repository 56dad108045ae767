import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { closeDatabase } from '../../../src/hibernation/database-fence.ts';
import { inTransaction } from '../../../src/hibernation/transaction.ts';
import { tenantKey } from '../../../src/postgres/advisory-locks.ts';
import { ensureTenantTable, putTenantRow } from '../../../src/postgres/tenant-rows.ts';
import { closedPort } from '../../support/closed-port.ts';
import { asSuperuser, databaseUrl } from '../../support/database.ts';
import { asDatabase, storedFiles, toFolder } from '../../support/dumps.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { doneValue, dropRolesAtEnd } from '../../support/hibernated.ts';
import { openProxy } from '../../support/proxy.ts';
import { connectSession } from '../../support/sessions.ts';
import { beginToSleep, hold, isOpen, rowOf, untilFenced, usedFleet } from '../../support/used-fleet.ts';

const sleepT01 = 'hibernate -t t01 --yes --scratch main';

/** A receipt beside the newest archive of a tenant, as a run leaves it that was killed before it dropped. */
async function leaveReceipt(fleet: TestFleet, tenant: string): Promise<() => Promise<string | null>> {
  const archive = (await storedFiles(fleet)).filter((file) => file.startsWith(`${tenant}/`) && file.endsWith('.dump'));
  const file = join(fleet.folder, 'backups', (archive.at(-1) ?? '').replace(/\.dump$/, '.receipt.json'));
  await writeFile(file, JSON.stringify({ schema: 'tenantctl-receipt-file/1', wokenAt: null, receipt: {} }));
  return async () => JSON.parse(await readFile(file, 'utf8')).wokenAt;
}

describe('hibernate of a schema', () => {
  it('finds out before the fence what no archive can be made or proved without', async () => {
    const prefix = dropRolesAtEnd('app');
    const fleet = await usedFleet(1, prefix);
    const main = { url: databaseUrl('postgres') };
    const down = { url: `postgres://postgres@127.0.0.1:${await closedPort()}/postgres?sslmode=disable` };
    await fleet.writeInventory({ servers: { main, down } });
    const key = 'age1yt3tfqlfrwdwx0z0ynwplcr6qxcxfaqycuprpmy89nr83ltx74tqdpszlw';
    expect(await fleet.run('hibernate -t t01 --yes --scratch typo')).toMatchObject({ exitCode: 2 });
    expect(await fleet.run('hibernate -t t01 --yes --scratch down')).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining('scratch server down cannot be used'),
    });
    expect(await fleet.run(`${sleepT01} --per-server 1`)).toMatchObject({ exitCode: 2 });
    await fleet.writeInventory({ backups: { to: './backups', encryptTo: [key] } });
    expect(await fleet.run(sleepT01)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--identity') });
    expect(await fleet.db.query(`select from pg_namespace where nspname = 'tenantctl'`)).toEqual([]);
  });

  it('leaves nobody behind a fence when a phase fails as a whole', async () => {
    const prefix = dropRolesAtEnd('app');
    const fleet = await usedFleet(2, prefix);
    const proxy = await openProxy();
    const scratch = { url: `postgres://postgres@127.0.0.1:${proxy.port}/postgres?sslmode=disable` };
    await fleet.writeInventory({ servers: { main: { url: databaseUrl('postgres') }, scratch } });
    const held = await hold(fleet, prefix);
    const running = fleet.start('hibernate -t t01 --yes --scratch scratch --drain 10min --json');
    await untilFenced(fleet);
    proxy.watch(() => 'break');
    await held.query('commit');
    const { exitCode, stdout } = await running.ended;
    expect([exitCode, JSON.parse(stdout).outcomes[0]]).toMatchObject([4, { status: 'failed', step: 'verifying' }]);
    expect([await rowOf(fleet), await isOpen(fleet, prefix)]).toEqual([null, true]);
  });

  it('keeps what was taken until it can be given back, also to what came since', async () => {
    const prefix = dropRolesAtEnd('app', 'gone');
    const fleet = await usedFleet(2, prefix);
    await fleet.db.query(`CREATE ROLE ${prefix}_gone; GRANT SELECT ON tenant_t01.notes TO ${prefix}_gone`);
    await fleet.json('dump -t t01');
    await beginToSleep(fleet, prefix, sleepT01);

    await fleet.db.query('ALTER SCHEMA tenant_t01 RENAME TO parked');
    for (const command of [sleepT01, 'wake -t t01']) {
      const { error } = (await fleet.json(command)).of('t01');
      expect(error).toMatchObject({ code: 'schema-missing', hint: expect.stringContaining('ALTER SCHEMA "parked"') });
      expect(await rowOf(fleet)).toEqual({ state: 'hibernating', step: 'fenced' });
    }
    await fleet.db.query('ALTER SCHEMA parked RENAME TO tenant_t01');

    await fleet.db.query(`CREATE TABLE tenant_t01.newcomer (id int); GRANT SELECT ON tenant_t01.newcomer TO ${prefix}_app;
      REVOKE ALL ON tenant_t01.notes FROM ${prefix}_gone; DROP ROLE ${prefix}_gone`);
    const rightsOf = () =>
      fleet.db.query(`select relacl::text from pg_class where oid = 'tenant_t01.newcomer'::regclass`);
    const before = await rightsOf();
    const blocker = await fleet.db.connect();
    onTestFinished(() => blocker.end());
    await blocker.query('begin; lock table tenant_t01.notes in row exclusive mode');
    const wokenAt = await leaveReceipt(fleet, 't01');
    const { error } = (await fleet.json(`${sleepT01} --drain 50ms`)).of('t01');
    await blocker.query('commit');
    expect(error).toMatchObject({ code: 'busy', detail: expect.stringContaining('is gone') });
    expect([await rowOf(fleet), await isOpen(fleet, prefix), await rightsOf()]).toEqual([null, true, before]);
    expect(await wokenAt()).not.toBeNull();

    await beginToSleep(fleet, prefix, sleepT01);
    const endedByWake = await leaveReceipt(fleet, 't01');
    await fleet.json('wake -t t01');
    expect([await isOpen(fleet, prefix), await endedByWake()]).toEqual([true, expect.any(String)]);
  });
});

describe('hibernate of a database', () => {
  const ask = <Row>(text: string, values: readonly unknown[] = []) =>
    asSuperuser(async (admin) => (await admin.query(text, [...values])).rows as Row[]);

  it('by lock waits for work of ours that is under way', async () => {
    const fleet = await createFleet({ databases: 1 });
    const [database = ''] = fleet.databases;
    const migrating = await connectSession(database);
    onTestFinished(() => migrating.end());
    await migrating.raw('select pg_advisory_lock($1::bigint)', [tenantKey(null)]);
    const report = await fleet.json('hibernate -t d01 --how lock --lock-wait 50ms');
    expect(report.of('d01').error).toMatchObject({ code: 'locked' });
    await migrating.raw('select 1');
    await migrating.end();
    expect(doneValue(await fleet.json('hibernate -t d01 --how lock'), 'd01')).toMatchObject({ already: false });
    // Killed once it was closed.
    await ask(`update tenantctl.tenant set state = 'hibernating', step = 'closed' where database = $1`, [database]);
    expect(doneValue(await fleet.json('hibernate -t d01'), 'd01')).toMatchObject({ how: 'lock', already: false });
    await fleet.json('wake -t d01');
  });

  it('is not taken for dropped because it is not there, and is when that was written down', async () => {
    const prefix = dropRolesAtEnd('app');
    const fleet = await createFleet({ databases: 1, inventory: { ...toFolder } });
    const [database = ''] = fleet.databases;
    await ask(`CREATE ROLE ${prefix}_app LOGIN; ALTER DATABASE ${database} OWNER TO ${prefix}_app`);
    await asDatabase(database, `SET ROLE ${prefix}_app; CREATE TABLE notes (id int)`);
    const row = async () =>
      (await ask('select state, step from tenantctl.tenant where database = $1', [database]))[0] ?? null;
    const hibernate = 'hibernate -t d01 --yes --scratch main';
    const acl = () => ask('select datacl::text from pg_database where datname = $1', [database]);
    await ask(`REVOKE TEMPORARY ON DATABASE ${database} FROM PUBLIC`);
    const before = await acl();

    // Renamed behind its fence, before it was to be dropped.
    await mkdir(join(fleet.folder, 'backups'));
    await putFenced(database);
    await ask(`ALTER DATABASE ${database} RENAME TO ${database}_parked`);
    for (const command of [hibernate, 'wake -t d01']) {
      expect((await fleet.json(command)).of('d01').error).toMatchObject({ code: 'database-missing' });
      expect(await row()).toEqual({ state: 'hibernating', step: 'fenced' });
    }
    for (const other of [
      `step = 'dropping', receipt = '{}'`,
      `step = 'fenced', receipt = null, fence = fence || '{"oid": "0"}'`,
    ]) {
      await ask(`update tenantctl.tenant set ${other} where database = $1`, [database]);
      expect((await fleet.json(hibernate)).of('d01').error).toMatchObject({ code: 'database-missing' });
    }
    await ask(`ALTER DATABASE ${database}_parked RENAME TO ${database}`);
    await fleet.json('wake -t d01');
    expect([await acl(), await row()]).toEqual([before, null]);

    const slept = doneValue(await fleet.json(hibernate), 'd01') as { backup: { sizeBytes: number } };

    // Killed between the drop and its last word; somebody has ended its receipt.
    await ask(
      `update tenantctl.tenant set state = 'hibernating', step = 'dropping', since = now() - interval '1 hour' where database = $1`,
      [database],
    );
    const receipt = (await storedFiles(fleet)).find((file) => file.endsWith('.receipt.json')) ?? '';
    await rm(join(fleet.folder, 'backups', receipt));
    const settled = doneValue(await fleet.json(hibernate), 'd01') as typeof slept & {
      phases: { outOfUseMs: number };
    };
    expect(settled.backup.sizeBytes).toBe(slept.backup.sizeBytes);
    expect(settled.phases.outOfUseMs).toBeGreaterThan(3_000_000);
    expect(await storedFiles(fleet)).toContain(receipt);
    expect(await row()).toMatchObject({ state: 'hibernated' });
    await ask('delete from tenantctl.tenant where database = $1', [database]);
  });
});

/** As a run leaves it that was killed behind the fence. */
async function putFenced(database: string): Promise<void> {
  const session = await connectSession('postgres');
  try {
    await ensureTenantTable(session);
    const [{ oid }] = (await session.raw(`select oid::text from pg_database where datname = '${database}'`)).rows;
    await inTransaction(session, async () => {
      const objects = await closeDatabase(session, database, { closedRoles: [] });
      const fence = { oid, objects, closedRoles: [], structure: null, applied: null, sizeBytes: 0 };
      await putTenantRow(session, {
        ...{ database, schema: null, tenant: 'd01', labels: {}, run: 'killed', fence },
        ...{ state: 'hibernating', how: 'archive', step: 'fenced', receipt: null },
      });
    });
  } finally {
    await session.end();
  }
}
