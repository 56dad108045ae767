import { mkdir, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { makeBarrier, passBarrier, patientTimeouts } from '../../support/barrier.ts';
import { createFleet } from '../../support/fleet.ts';
import { threeTables } from '../../support/migrations.ts';
import { recordOf } from '../../support/records.ts';
import { jsonOf } from '../../support/run-cli.ts';

interface ListDocument {
  readonly total: number;
  readonly runs: readonly Record<string, unknown>[];
}

test('the newest first: when, what, where, how it ended', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: threeTables });
  await fleet.db.query('create table tenant_t02.two ()');
  const at = (time: string) => ({ now: () => new Date(time) });
  const { run: first } = await fleet.json('migrate --all', at('2026-11-22T10:15:00Z'));
  const { run: second } = await fleet.json('migrate down -t t01 --yes', at('2026-11-23T09:00:07Z'));
  const { exitCode, stdout } = await fleet.run('runs list');
  expect([exitCode, stdout]).toEqual([
    0,
    [
      'RUN                      STARTED (UTC)        COMMAND       ENVIRONMENT  STATE     TENANTS',
      `${second}  2026-11-23 09:00:07  migrate down  test         finished  1 tenant: 1 done`,
      `${first}  2026-11-22 10:15:00  migrate       test         finished  3 tenants: 2 done, 1 failed`,
      '',
    ].join('\n'),
  ]);
  const short = await fleet.run('runs list --limit 1');
  expect(short.stdout).toContain(second!);
  expect(short.stdout).toMatch(/… and 1 more, shown with --limit 2\n$/);
  const { total, runs } = jsonOf<ListDocument>(await fleet.run('runs list --json'));
  expect([total, runs]).toEqual([
    2,
    [
      expect.objectContaining({ run: second, command: 'migrate down', state: 'finished' }),
      {
        run: first,
        command: 'migrate',
        environment: 'test',
        state: 'finished',
        startedAt: '2026-11-22T10:15:00.000Z',
        endedAt: '2026-11-22T10:15:00.000Z',
        totals: { tenants: 3, done: 2, failed: 1, interrupted: 0, skipped: 0, hibernated: 0, unsettled: 0 },
      },
    ],
  ]);
});

test('nothing has run yet: said, and no mistake', async () => {
  const fleet = await createFleet({});
  const { exitCode, stdout } = await fleet.run('runs list');
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('no run is recorded in ')]);
  expect(jsonOf<ListDocument>(await fleet.run('runs list --json'))).toMatchObject({ total: 0, runs: [] });
});

test('damaged records are shown as unreadable, and do not hide the others', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  const { run } = await fleet.json('migrate --all');
  await mkdir(recordOf(fleet, '2026-01-01T000000Z-cut0'));
  await writeFile(`${recordOf(fleet, '2026-01-01T000000Z-cut0')}/manifest.json`, '{"schema":"tenan');
  await mkdir(recordOf(fleet, 'lost+found'));
  const { exitCode, stdout } = await fleet.run('runs list');
  expect(exitCode).toBe(0);
  expect(stdout).toContain(run!);
  expect(stdout).toMatch(/^2026-01-01T000000Z-cut0 .*unreadable +its manifest is damaged$/m);
  expect(stdout).toMatch(/^lost\+found .*unreadable +it has no manifest/m);
  const shown = await fleet.run('runs show cut0');
  expect([shown.exitCode, shown.stderr]).toEqual([2, expect.stringContaining('its manifest is damaged')]);
});

test('an interrupted run is told from one that came to its end', async () => {
  const migrations = { '0001_long.sql': `CREATE TABLE long (id int);\n${passBarrier};` };
  const fleet = await createFleet({ schemas: 2, migrations, inventory: { timeouts: patientTimeouts } });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close('tenant_t01');
  const running = fleet.start('migrate --all --concurrency 1');
  await barrier.waiting(1);
  expect((await fleet.run('runs list')).stdout).toMatch(/ running +2 tenants: 2 unsettled\n/);
  running.signal('SIGINT');
  await barrier.open('tenant_t01');
  expect((await running.ended).exitCode).toBe(130);
  expect((await fleet.run('runs list')).stdout).toMatch(/ interrupted +2 tenants: 1 done, 1 not started\n/);
});

test.each(['--limit 0', '--limit x', 'some-argument'])('runs list %s is a usage error', async (argv) => {
  const fleet = await createFleet({});
  expect((await fleet.run(`runs list ${argv}`)).exitCode).toBe(2);
});
