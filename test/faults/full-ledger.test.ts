import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readRun } from '../../src/fleet/run-records.ts';
import { createFleet, numbered, readReport } from '../support/fleet.ts';
import { threeTables } from '../support/migrations.ts';
import { inAMinute } from '../support/records.ts';
import { spawnCli } from '../support/spawn-cli.ts';

const count = 40;
const argv = 'migrate --all --json';

test('the disk is full while the run goes on: tenants are migrated, the report is whole, the record says what it lacks', async () => {
  const fleet = await createFleet({ schemas: count, migrations: threeTables });
  // Room for the manifest, and for some of the outcomes.
  const report = readReport({
    ...(await spawnCli(argv, fleet.folder, { largestFileBytes: 4096 }).ended),
    questions: [],
  });
  expect([report.exitCode, report.totals]).toMatchObject([0, { selected: count, done: count }]);
  expect(report.stderr).toContain(`the record of run ${report.run} is not complete: `);
  expect(report.stderr).toContain('hint: the report of this command is; free space in the state folder');
  for (const schema of numbered('tenant_t', count)) expect(await fleet.history(schema)).toHaveLength(3);

  // What was written before can be read, and tells nothing that is not true.
  const record = await readRun(join(fleet.folder, '.tenantctl'), report.run!);
  expect(record.tenants).toHaveLength(count);
  expect(record.entries.size).toBeGreaterThan(0);
  expect(record.entries.size).toBeLessThan(count);
  expect([...record.entries.values()].every(({ status }) => status === 'done')).toBe(true);
  const list = await fleet.run('runs list', inAMinute);
  expect([list.exitCode, list.stdout]).toEqual([0, expect.stringContaining(`${count} tenants: `)]);
  // Who goes on from the record finds nothing to do.
  const rest = await fleet.json(`migrate --from-run ${report.run}`);
  expect([rest.exitCode, rest.run, rest.totals.done]).toEqual([0, null, count - record.entries.size]);
});

test('a failure is told by the exit code, however full the disk is', async () => {
  const fleet = await createFleet({ schemas: count, migrations: threeTables });
  await fleet.db.query('create table tenant_t40.two (id int)');
  const report = readReport({
    ...(await spawnCli(argv, fleet.folder, { largestFileBytes: 4096 }).ended),
    questions: [],
  });
  expect([report.exitCode, report.totals.done, report.of('t40').status]).toEqual([3, count - 1, 'failed']);
  expect(report.stderr).toContain('is not complete');
});

test('a disk that is full before the first touch refuses the run', async () => {
  const fleet = await createFleet({ schemas: count, migrations: threeTables });
  const { exitCode, stderr } = await spawnCli('migrate --all', fleet.folder, { largestFileBytes: 512 }).ended;
  expect([exitCode, stderr]).toEqual([5, expect.stringContaining('the run cannot be recorded in ')]);
  expect(stderr).toContain('hint: make the folder writable');
  for (const schema of numbered('tenant_t', count)) expect(await fleet.history(schema)).toBeNull();
});
