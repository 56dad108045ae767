import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { eventually } from '../../support/barrier.ts';
import { spawnCli } from '../../support/spawn-cli.ts';
import { attemptsAt, holdTable } from '../../support/table-lock.ts';
import { createBackedUp, dropOwnPlaces, fingerprint, ownPlaces, restoredOf } from './restored.ts';

const patient = { timeouts: { lock: '10min' } };
const fleet = await createBackedUp({ inventory: patient, until: 'file' });
afterEach(() => dropOwnPlaces(fleet));

/** A writer of a shared table: the key that refers to it must wait. */
const writer = 'ROW EXCLUSIVE';

test('a key to a shared table waits no longer than lock_timeout, and the whole is tried again', async () => {
  await fleet.writeInventory({ timeouts: { lock: '200ms' } });
  const held = await holdTable(fleet.db, 'shared.plans', writer);
  const running = fleet.start('restore -t t01 --json');
  await attemptsAt(fleet.db, 'shared.plans', 2);
  expect(await ownPlaces(fleet)).toEqual([]);
  await held.release();
  const { exitCode } = await running.ended;
  expect(exitCode).toBe(0);
  expect(await ownPlaces(fleet)).toHaveLength(1);
  await fleet.writeInventory(patient);
});

test('nobody is kept from a shared table before all rows are in', async () => {
  const held = await holdTable(fleet.db, 'shared.plans', writer);
  const running = fleet.start('restore -t t01');
  await attemptsAt(fleet.db, 'shared.plans', 1);
  // It is at its last part, and has not had that lock for any of those before.
  const [granted] = await fleet.db.query<{ count: string }>(
    `select count(*) from pg_locks where granted and relation = 'shared.plans'::regclass and mode = 'ShareRowExclusiveLock'`,
  );
  expect(Number(granted!.count)).toBe(0);
  await held.release();
  expect((await running.ended).exitCode).toBe(0);
});

test('interrupted in the middle, it leaves nothing, and none of the archive ever lay on the disk', async () => {
  const temporary = join(fleet.folder, 'tmp');
  await mkdir(temporary);
  vi.stubEnv('TMPDIR', temporary);
  const before = await fingerprint(fleet, []);
  const held = await holdTable(fleet.db, 'shared.plans', writer);
  const running = fleet.start('restore -t t01 --swap --yes --json');
  await attemptsAt(fleet.db, 'shared.plans', 1);
  expect(await findArchives(temporary)).toEqual([]);
  vi.unstubAllEnvs();
  running.signal('SIGINT');
  running.signal('SIGINT');
  const { exitCode, stdout } = await running.ended;
  expect(exitCode).toBe(130);
  expect(JSON.parse(stdout).outcomes).toMatchObject([{ tenant: 't01', status: 'interrupted' }]);
  await held.release();
  await nobodyOfOurs(fleet.db);
  expect(await ownPlaces(fleet)).toEqual([]);
  expect(await fingerprint(fleet, [])).toEqual(before);
});

test('killed in the middle, it leaves nothing, and the run can be resumed', async () => {
  const before = await fingerprint(fleet, []);
  const held = await holdTable(fleet.db, 'shared.plans', writer);
  const killed = spawnCli('restore --all --swap --yes', fleet.folder);
  await attemptsAt(fleet.db, 'shared.plans', 2);
  killed.kill('SIGKILL');
  await killed.ended;
  await held.release();
  await nobodyOfOurs(fleet.db);
  expect(await ownPlaces(fleet)).toEqual([]);
  expect(await fingerprint(fleet, [])).toEqual(before);

  const { runs } = JSON.parse((await fleet.run('runs list --json')).stdout);
  // A later backup is not what was to be restored.
  await fleet.db.query('delete from tenant_t01.tasks');
  await fleet.run('dump -t t01');
  const restore = runs.find(({ command, totals }: { command: string; totals: { tenants: number } }) => {
    return command === 'restore' && totals.tenants === 2;
  });
  const resumed = await fleet.json(`runs resume ${restore.run} --yes`);
  expect(resumed.summary).toBe('t01 done, t02 done');
  expect(restoredOf(resumed, 't01').swapped).toBe(true);
  expect(await fleet.db.query('select from tenant_t01.tasks')).toHaveLength(20);
});

async function findArchives(folder: string): Promise<readonly string[]> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  // What pg_restore is to restore of it, at least: the folder is the one that is used.
  expect(files).not.toEqual([]);
  const paths = files.map(({ parentPath, name }) => join(parentPath, name));
  const texts = await Promise.all(paths.map((path) => readFile(path, 'latin1')));
  return paths.filter((_, index) => texts[index]?.startsWith('PGDMP'));
}

async function nobodyOfOurs(db: Awaited<ReturnType<typeof createBackedUp>>['db']): Promise<void> {
  await eventually('the sessions of the restore are gone', async () => {
    const rows = await db.query(
      "select from pg_stat_activity where datname = current_database() and application_name like 'tenantctl/%'",
    );
    return rows.length === 0 ? true : null;
  });
}
