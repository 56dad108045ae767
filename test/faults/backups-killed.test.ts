import { watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FolderStore } from '../../src/backups/repository/folder-store.ts';
import { Repository } from '../../src/backups/repository/repository.ts';
import { eventually } from '../support/barrier.ts';
import { toFolder } from '../support/dumps.ts';
import { createFleet, numbered, type TestFleet } from '../support/fleet.ts';
import { makeRandom, type Random, testSeeds } from '../support/random.ts';
import { listBackups, partialFiles, soundBackups, tenantsOf } from '../support/sound-store.ts';
import { type SpawnedCli, spawnCli } from '../support/spawn-cli.ts';

const soak = process.env.TENANTCTL_SOAK === '1';
const schemas = numbered('tenant_t', soak ? 12 : 8);
/** So small a share of the lock table that each tenant is a batch of its own. */
const argv = 'dump --all --lock-share 0.1%';

const fleet = await createFleet({ until: 'file', schemas: schemas.length, inventory: toFolder });
await fleet.db.query('create table public.shared (id int); insert into public.shared values (1)');
for (const schema of schemas) {
  await fleet.db.query(`create table ${schema}.things (id int, note text);
    insert into ${schema}.things select n, repeat(md5(n::text), 20) from generate_series(1, 400) n`);
}
await mkdir(join(fleet.folder, 'backups'));
let migrations = 0;

test.each(testSeeds(soak ? 30 : 1))(
  'killed at any moment, seed %i: nothing half is a backup, what was good stays, and the same command finishes',
  async (seed) => {
    const random = makeRandom(seed);
    const before = await soundBackups(fleet);
    await killAtAMoment(spawnCli(argv, fleet.folder), random);
    const after = await soundBackups(fleet);
    expect(after).toMatchObject(before);

    // The keys went with the killed process: who wants to change tenants need not wait.
    migrations += 1;
    await fleet.write(`${String(migrations).padStart(4, '0')}_change.sql`, `create table t${migrations} (id int);`);
    const migrated = await fleet.json('migrate --all --lock-wait 5s --tries 1');
    expect([migrated.exitCode, migrated.totals.done]).toEqual([0, schemas.length]);
    await eventually('no session of the killed run is left', async () => {
      const rows = await fleet.db.query(
        "select from pg_stat_activity where datname = current_database() and application_name like 'tenantctl/%'",
      );
      return rows.length === 0 ? rows : null;
    });

    const report = await fleet.json(argv);
    expect([report.exitCode, report.totals.done]).toEqual([0, schemas.length]);
    expect((await tenantsOf(fleet, report.run)).length).toBe(schemas.length);
    expect(await soundBackups(fleet)).toMatchObject(after);
  },
);

test('what killed runs left half written is recognised, and removed when it is old', async () => {
  await killAtPartial(fleet);
  const sound = await soundBackups(fleet);
  const left = await partialFiles(fleet);
  expect(left.length).toBeGreaterThan(0);
  const keys = (await listBackups(fleet)).flatMap(({ keys: { file } }) => file ?? []);
  expect(keys.filter((key) => key.endsWith('.partial'))).toEqual([]);

  const removeAfter = (ms: number) => {
    const store = new FolderStore(join(fleet.folder, 'backups'));
    const now = () => new Date(Date.now() + ms);
    return new Repository({ store, copy: null, recipients: [], identities: null, now }).removeLeftovers();
  };
  // Another run may be writing them now.
  expect(await removeAfter(3_600_000)).toEqual([]);
  expect((await removeAfter(25 * 3_600_000)).toSorted()).toEqual(left);
  expect(await partialFiles(fleet)).toEqual([]);
  expect(await soundBackups(fleet)).toEqual(sound);
});

/** At once, or when so many things have happened to files of the store: each is made, written, linked and removed. */
async function killAtAMoment(running: SpawnedCli, random: Random): Promise<void> {
  const changes = random.chance(0.1) ? 0 : random.between(1, schemas.length * 14);
  const ended = running.ended.then(() => 'ended' as const);
  if ((await Promise.race([ended, changesOf(fleet, changes)])) === 'changed') running.kill('SIGKILL');
  const { killedBy, exitCode } = await running.ended;
  expect(killedBy === 'SIGKILL' || exitCode === 0, `exit ${exitCode}, ${killedBy}`).toBe(true);
}

function changesOf({ folder }: TestFleet, count: number): Promise<'changed'> {
  if (count === 0) return Promise.resolve('changed');
  const { promise, resolve } = Promise.withResolvers<'changed'>();
  let seen = 0;
  const watcher = watch(join(folder, 'backups'), { recursive: true }, () => {
    seen += 1;
    if (seen < count) return;
    watcher.close();
    resolve('changed');
  });
  return promise;
}

/** Killed while a file stands half written; as often as it takes to hit that moment. */
async function killAtPartial({ folder }: TestFleet): Promise<void> {
  await eventually('a run is killed in the middle of a file', async () => {
    const running = spawnCli(argv, folder);
    const watcher = watch(join(folder, 'backups'), { recursive: true }, (_, name) => {
      if (name?.endsWith('.partial') === true) running.kill('SIGKILL');
    });
    await running.ended;
    watcher.close();
    return (await partialFiles(fleet)).length > 0 ? true : null;
  });
}
