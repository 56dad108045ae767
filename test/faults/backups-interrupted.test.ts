import { expect, test } from 'vitest';
import { toFolder } from '../support/dumps.ts';
import { createFleet, readReport } from '../support/fleet.ts';
import { runningDumps, soundBackups, tenantsOf, unfinishedFiles } from '../support/sound-store.ts';
import { spawnCli } from '../support/spawn-cli.ts';
import { attemptsAt, holdTable } from '../support/table-lock.ts';

/** One tenant after the other, each a batch of its own. */
const argv = 'dump --all --lock-share 0.1% --per-database 2 --json';

test.each([
  ['SIGTERM', '--grace 100ms', 143],
  ['SIGINT', '', 130],
] as const)(
  '%s %s: what is done stays, nothing half is left, no pg_dump runs on (exit %i)',
  async (signal, flags, exitCode) => {
    const fleet = await createFleet({ schemas: 3, inventory: toFolder });
    for (const schema of ['tenant_t01', 'tenant_t02', 'tenant_t03']) {
      await fleet.db.query(`create table ${schema}.things (id int); insert into ${schema}.things values (1)`);
    }
    const lock = await holdTable(fleet.db, 'tenant_t02.things', 'ACCESS EXCLUSIVE');
    const running = spawnCli(`${argv} ${flags}`.trim(), fleet.folder);
    await attemptsAt(fleet.db, 'tenant_t02.things', 1);
    // Where processes can be seen: else the next look could find none for that reason.
    if (process.platform === 'linux') expect(await runningDumps(fleet.db.name)).toHaveLength(1);
    running.kill(signal);
    await running.stderrHas('stopping');
    if (signal === 'SIGINT') running.kill(signal);
    const report = readReport({ ...(await running.ended), questions: [] });
    expect([report.exitCode, report.summary]).toEqual([exitCode, 't01 done, t02 interrupted, t03 skipped']);
    expect(await runningDumps(fleet.db.name)).toEqual([]);
    expect(await unfinishedFiles(fleet)).toEqual([]);
    await soundBackups(fleet);
    expect(await tenantsOf(fleet, report.run)).toEqual(['t01']);
    await lock.release();
    const again = await fleet.json(`dump --from-run ${report.run} --outcome interrupted,skipped`);
    expect([again.exitCode, again.summary]).toEqual([0, 't02 done, t03 done']);
  },
);

test('the first Ctrl-C lets the batch that runs come to its end', async () => {
  const fleet = await createFleet({ schemas: 3, inventory: toFolder });
  for (const schema of ['tenant_t01', 'tenant_t02', 'tenant_t03'])
    await fleet.db.query(`create table ${schema}.things (id int)`);
  const lock = await holdTable(fleet.db, 'tenant_t02.things', 'ACCESS EXCLUSIVE');
  const running = fleet.start(argv);
  await attemptsAt(fleet.db, 'tenant_t02.things', 1);
  running.signal('SIGINT');
  await running.stderrHas('stopping');
  await lock.release();
  const report = readReport(await running.ended);
  expect([report.exitCode, report.summary]).toEqual([130, 't01 done, t02 done, t03 skipped']);
  expect(await tenantsOf(fleet, report.run)).toEqual(['t01', 't02']);
});
