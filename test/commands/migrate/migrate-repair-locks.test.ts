import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { gateKey, shapeKey, tenantKey, tryLockTenant } from '../../../src/postgres/advisory-locks.ts';
import type { Session } from '../../../src/postgres/session.ts';
import { eventually } from '../../support/barrier.ts';
import { createFleet, type FleetReport, readReport, type TestFleet } from '../../support/fleet.ts';
import { tableMigration, threeTables } from '../../support/migrations.ts';
import { forgetOutcomes, inAMinute } from '../../support/records.ts';
import { connectSession, pidOf } from '../../support/sessions.ts';

/** A session that died with the test's leave, or goes with it. */
async function holder(fleet: TestFleet, application: string): Promise<Session> {
  const session = await connectSession(fleet.db.name, { application_name: application });
  onTestFinished(() => session.end());
  return session;
}

async function lockedBy(fleet: TestFleet, application: string, schema: string): Promise<Session> {
  const session = await holder(fleet, application);
  expect(await tryLockTenant(session, tenantKey(schema))).toBeNull();
  return session;
}

async function isThere(fleet: TestFleet, pid: number): Promise<boolean> {
  const rows = await fleet.db.query('select 1 from pg_stat_activity where pid = $1', [pid]);
  return rows.length === 1;
}

/** A statement that runs until the session is ended. */
async function keepBusy(fleet: TestFleet, session: Session, pid: number): Promise<void> {
  session.raw('select pg_sleep(600)').catch(() => {});
  await eventually('the statement runs', async () => {
    const rows = await fleet.db.query(`select 1 from pg_stat_activity where pid = $1 and state = 'active'`, [pid]);
    return rows.length === 1 ? true : null;
  });
}

interface HeldValue {
  readonly held: readonly { readonly pid: number; readonly verdict: string; readonly end: string | null }[];
}

function heldBy(report: FleetReport, tenant: string): HeldValue['held'] {
  return (report.of(tenant).value as unknown as HeldValue).held;
}

test('nothing held: says so and ends with 0, also without anybody to ask', async () => {
  const fleet = await createFleet({ schemas: 2, databases: 1 });
  const { exitCode, stdout } = await fleet.run('migrate repair --all --locks');
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('no lock of the selected tenants is held')]);
});

test('an abandoned session is shown, and ended after consent; then the tenant can be migrated', async () => {
  const fleet = await createFleet({ schemas: 2, migrations: threeTables });
  const pid = await pidOf(await lockedBy(fleet, 'tenantctl/dead/t01', 'tenant_t01'));
  expect((await fleet.run('migrate --all --lock-wait 0s --tries 1')).exitCode).toBe(3);

  const argv = 'migrate repair --all --locks --idle 0s';
  const dry = await fleet.run(`${argv} --dry-run`);
  expect(dry.exitCode).toBe(0);
  expect(dry.stdout).toMatch(
    new RegExp(
      `pid ${pid} in main/${fleet.db.name} \\(tenantctl/dead/t01, user \\w+, idle since \\S+Z\\) holds tenant t01 and ` +
        'the database’s shape: would be ended, it has been idle for \\d+ s \\(its run is not recorded here\\)',
    ),
  );
  expect([(await fleet.run(argv)).exitCode, await isThere(fleet, pid)]).toEqual([5, true]);

  const { exitCode, questions, stderr } = await fleet.run(argv, { answers: ['test'] });
  expect([exitCode, questions.length, await isThere(fleet, pid)]).toEqual([0, 1, false]);
  expect(stderr).toContain(`pid ${pid}`);
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
});

test('the report says for each tenant who holds its lock, and what became of it', async () => {
  const fleet = await createFleet({ schemas: 3 });
  const pid = await pidOf(await lockedBy(fleet, 'tenantctl/dead/t02', 'tenant_t02'));
  const report = await fleet.json('migrate repair --all --locks --idle 0s --yes');
  expect([report.exitCode, report.summary]).toEqual([0, 't01 done, t02 done, t03 done']);
  expect([heldBy(report, 't01'), heldBy(report, 't03')]).toEqual([[], []]);
  expect(heldBy(report, 't02')).toEqual([
    {
      pid,
      locks: ['tenant', 'shape'],
      application: 'tenantctl/dead/t02',
      user: expect.any(String),
      client: null,
      state: 'idle',
      since: expect.stringMatching(/Z$/),
      run: null,
      verdict: 'abandoned',
      because: expect.stringContaining('idle for'),
      end: 'ended',
    },
  ]);
});

describe('what may be at work is left alone', () => {
  test('a session that has not been idle for long, of a run that nobody here knows', async () => {
    const fleet = await createFleet({ schemas: 1 });
    const pid = await pidOf(await lockedBy(fleet, 'tenantctl/else/t01', 'tenant_t01'));
    const { exitCode, stdout } = await fleet.run('migrate repair --all --locks --yes');
    expect([exitCode, await isThere(fleet, pid)]).toEqual([0, true]);
    expect(stdout).toContain('left alone, it has been idle for 0 s only');
    expect(stdout).toContain('1 session may be at work: --force would end it too');
  });

  test('a session with a running statement, unless --force says so', async () => {
    const fleet = await createFleet({ schemas: 1 });
    const session = await lockedBy(fleet, 'tenantctl/dead/t01', 'tenant_t01');
    const pid = await pidOf(session);
    await keepBusy(fleet, session, pid);
    const report = await fleet.json('migrate repair --all --locks --idle 0s --yes');
    expect([report.exitCode, heldBy(report, 't01')]).toMatchObject([
      0,
      [{ pid, verdict: 'working', because: 'a statement runs', end: null }],
    ]);
    expect(await isThere(fleet, pid)).toBe(true);
    const forced = await fleet.json('migrate repair --all --locks --force --yes');
    expect([forced.exitCode, heldBy(forced, 't01')]).toMatchObject([0, [{ pid, end: 'ended' }]]);
    expect(await isThere(fleet, pid)).toBe(false);
  });

  test('node-pg-migrate’s lock, which is named as that tool’s', async () => {
    const fleet = await createFleet({ schemas: 2 });
    const session = await holder(fleet, 'node');
    await session.raw('select pg_advisory_lock(7241865325823964)');
    const pid = await pidOf(session);
    const { exitCode, stdout } = await fleet.run('migrate repair --all --locks --idle 0s --yes');
    expect([exitCode, await isThere(fleet, pid)]).toEqual([0, true]);
    expect(stdout).toContain('holds the lock of node-pg-migrate: left alone, it is node-pg-migrate’s');
    expect((await fleet.run('migrate repair --all --locks --force --yes')).exitCode).toBe(0);
    expect(await isThere(fleet, pid)).toBe(false);
  });
});

test('locks of tenants that are not selected, and of other databases, are nobody’s business', async () => {
  const fleet = await createFleet({ schemas: 2, databases: 1 });
  const pid = await pidOf(await lockedBy(fleet, 'tenantctl/dead/t02', 'tenant_t02'));
  const { stdout } = await fleet.run('migrate repair -t t01 d01 --locks --idle 0s --yes');
  expect(stdout).toContain('no lock of the selected tenants is held');
  expect(await isThere(fleet, pid)).toBe(true);
});

test('whoever keeps the whole database to itself is in the way of each tenant', async () => {
  const fleet = await createFleet({ schemas: 2 });
  const session = await holder(fleet, 'tenantctl/dead/dump');
  await session.raw(`select pg_advisory_lock(${gateKey}), pg_advisory_lock(${shapeKey})`);
  const report = await fleet.json('migrate repair -t t01 --locks --idle 0s --yes');
  expect(heldBy(report, 't01')).toMatchObject([{ locks: ['gate', 'shape'], end: 'ended' }]);
});

test('a run that is recorded here: while it goes on its sessions are left alone, after that they are abandoned at once', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_a.sql': tableMigration('a') } });
  const { run } = await fleet.json('migrate --all');
  const pid = await pidOf(await lockedBy(fleet, `tenantctl/${run!.split('-').at(-1)}/t01`, 'tenant_t01'));
  const file = join(fleet.folder, '.tenantctl', 'runs', run!, 'outcomes.ndjson');
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  // Without its last line it has not ended, and it was touched a moment ago.
  await writeFile(file, `${lines.slice(0, -1).join('\n')}\n`);
  const running = await fleet.json('migrate repair --all --locks --idle 0s --yes');
  expect(heldBy(running, 't01')).toMatchObject([
    { pid, verdict: 'working', run: { run, state: 'running' }, end: null },
  ]);
  await writeFile(file, `${lines.join('\n')}\n`);
  const over = await fleet.json('migrate repair --all --locks --yes');
  expect(heldBy(over, 't01')).toMatchObject([
    { pid, verdict: 'abandoned', because: 'its run is over', run: { run, state: 'finished' }, end: 'ended' },
  ]);
});

test.each(['--force', '--idle 1s'])('%s goes with --locks', async (flag) => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  const { exitCode, stderr } = await fleet.run(`migrate repair --all ${flag}`);
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining('goes with --locks')]);
});

test('a run that seems to be killed may have another clock: its sessions must have been idle for long', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_a.sql': tableMigration('a') } });
  const { run } = await fleet.json('migrate --all');
  const pid = await pidOf(await lockedBy(fleet, `tenantctl/${run!.split('-').at(-1)}/t01`, 'tenant_t01'));
  await forgetOutcomes(fleet, run!);
  const report = readReport(await fleet.run('migrate repair --all --locks --yes --json', inAMinute));
  expect(heldBy(report, 't01')).toMatchObject([{ verdict: 'working', run: { run, state: 'killed' }, end: null }]);
  expect(await isThere(fleet, pid)).toBe(true);
  const patient = readReport(await fleet.run('migrate repair --all --locks --idle 0s --yes --json', inAMinute));
  expect(heldBy(patient, 't01')).toMatchObject([{ verdict: 'abandoned', end: 'ended' }]);
});
