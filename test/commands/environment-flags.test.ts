import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readFlagsAgain } from '../../src/commands/environment-flags.ts';
import { readRun } from '../../src/fleet/run-records.ts';
import { createFleet } from '../support/fleet.ts';
import { makeContext } from '../support/in-fleet.ts';
import { tableMigration } from '../support/migrations.ts';
import { recordOf } from '../support/records.ts';

const env = { TENANTCTL_HEALTH_COMMAND: 'true "Bearer s3cret"', TENANTCTL_CONCURRENCY: '3' };

async function recordedRun() {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_one.sql': tableMigration('one') } });
  const argv = ['migrate', '--all', '--concurrency', '2', '--health-sql', 'SELECT 1 WHERE false', '--json'];
  const { stdout } = await fleet.run(argv, { env });
  const { run } = JSON.parse(stdout) as { run: string };
  return { fleet, run };
}

test('what a variable gave is recorded by its name, what was typed with its value', async () => {
  const { fleet, run } = await recordedRun();
  const manifest = await readFile(join(recordOf(fleet, run), 'manifest.json'), 'utf8');
  expect(manifest).not.toContain('s3cret');
  const shown = await fleet.run(`runs show ${run} --json`);
  expect(shown.stdout).not.toContain('s3cret');
  expect(JSON.parse(manifest)).toMatchObject({
    flags: { all: true, concurrency: '2', healthSql: 'SELECT 1 WHERE false' },
    flagsFromEnvironment: ['healthCommand'],
  });
});

test('what goes on with the run reads the variables anew, and says when one is gone', async () => {
  const { fleet, run } = await recordedRun();
  const { manifest } = await readRun(join(fleet.folder, '.tenantctl'), run);
  const changed = makeContext(fleet.folder, { TENANTCTL_HEALTH_COMMAND: 'false', TENANTCTL_WAVES: '1' });
  expect([readFlagsAgain(changed.context, manifest), changed.notices()]).toEqual([{ healthCommand: 'false' }, []]);
  const gone = makeContext(fleet.folder);
  expect(readFlagsAgain(gone.context, manifest)).toEqual({});
  expect(gone.notices()).toEqual([`run ${run} had TENANTCTL_HEALTH_COMMAND, which is not set now: it goes on without`]);
});
