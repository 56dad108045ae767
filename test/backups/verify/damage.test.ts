import { chmod, copyFile, cp, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../../src/backups/repository/open-store.ts';
import { Repository } from '../../../src/backups/repository/repository.ts';
import { Verifier } from '../../../src/backups/verify/verifier.ts';
import { toFolder } from '../../support/dumps.ts';
import { createFleet } from '../../support/fleet.ts';
import { makeRandom, type Random, testSeeds } from '../../support/random.ts';

const soak = process.env.TENANTCTL_SOAK === '1';

const fleet = await createFleet({
  schemas: 2,
  until: 'file',
  inventory: { ...toFolder, searchPath: ['{schema}', 'common'] },
});

/** A store with two backups of two tenants, and what they share. */
let store = '';
let work = '';
let files: readonly string[] = [];

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'tenantctl-damage-'));
  store = join(fleet.folder, 'backups');
  await fleet.db.query('create schema common; create table common.plans as select 1 as id, $$free$$::text as name');
  await fleet.db.query("select lo_from_bytea(0, 'large object')");
  for (const schema of ['tenant_t01', 'tenant_t02']) {
    await fleet.db.query(`
      create table ${schema}.users (id int generated always as identity primary key, name text not null);
      create table ${schema}.notes (id int primary key, text text);
      create table ${schema}.nothing ();
      insert into ${schema}.users (name) select md5(i::text || '${schema}') from generate_series(1, 300) i;
      insert into ${schema}.notes select i, repeat('long ', i) from generate_series(1, 50) i;`);
  }
  for (const _ of [1, 2]) {
    expect((await fleet.run('dump --all')).exitCode).toBe(0);
    await fleet.db.query(
      "insert into tenant_t01.users (name) values ('later'); insert into tenant_t02.users (name) values ('later')",
    );
  }
  const found = await readdir(store, { recursive: true, withFileTypes: true });
  files = found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(store.length + 1))
    // Whose store it is says no backup: opening it asks for that, and not verify.
    .filter((file) => file !== '_store.json')
    .toSorted();
});
afterAll(() => rm(work, { recursive: true, force: true }));

type Check = (folder: string) => Promise<readonly string[]>;

/** What `verify --level content --all-backups` finds, and what is not even listed any more. */
const verifyContent: Check = async (folder) => {
  const repository = new Repository({
    store: await openStore({ kind: 'folder', path: folder }),
    copy: null,
    recipients: [],
    identities: null,
    now: () => new Date(),
  });
  const verifier = new Verifier({
    repository,
    level: 'content',
    meansFor: null,
    run: 'test',
    version: '0.0.0',
    now: () => new Date(),
  });
  const backups = await repository.listBackups({ kinds: ['tenant'] });
  const signal = new AbortController().signal;
  const found: string[] = backups.length === 4 ? [] : [`${backups.length} backups are listed`];
  for (const backup of backups) {
    const { verdict, problems } = await verifier.verify(backup, { searchPath: [], others: new Set() }, signal);
    if (verdict !== 'passed') found.push(`${backup.time} ${verdict}: ${problems.join('; ')}`);
  }
  return found;
};

/** Does something to a copy of the store that a disk, a copy or a person might do; says what. */
const damages: Readonly<Record<string, (folder: string, random: Random) => Promise<string>>> = {
  'a flipped bit': async (folder, random) => {
    const file = random.pick(files);
    const bytes = await readFile(join(folder, file));
    const at = random.between(0, bytes.length - 1);
    const bit = random.between(0, 7);
    bytes[at]! ^= 1 << bit;
    await writeFile(join(folder, file), bytes);
    return `bit ${bit} of byte ${at} in ${file}`;
  },
  'a file cut off': async (folder, random) => {
    const file = random.pick(files);
    const { length } = await readFile(join(folder, file));
    const to = random.between(1, length - 1);
    await truncate(join(folder, file), to);
    return `${file} cut to ${to} of ${length}`;
  },
  'an emptied file': async (folder, random) => {
    const file = random.pick(files);
    await truncate(join(folder, file), 0);
    return file;
  },
  'a missing file': async (folder, random) => {
    const file = random.pick(files);
    await rm(join(folder, file));
    return file;
  },
  'two files swapped': async (folder, random) => {
    const one = random.pick(files);
    const isOther = (file: string) => file !== one && file.split('.').at(-1) === one.split('.').at(-1);
    const other = random.pick(files.filter(isOther));
    await rename(join(folder, one), join(folder, 'kept'));
    await rename(join(folder, other), join(folder, one));
    await rename(join(folder, 'kept'), join(folder, other));
    return `${one} and ${other}`;
  },
  'a file in place of another': async (folder, random) => {
    const one = random.pick(files);
    const other = random.pick(files.filter((file) => file !== one));
    await rm(join(folder, one));
    await copyFile(join(folder, other), join(folder, one));
    return `${other} in place of ${one}`;
  },
};

/** Throws when the check finds nothing although the bytes are others. */
async function damageAndCheck(seed: number, check: Check): Promise<void> {
  const random = makeRandom(seed);
  const folder = join(work, `case-${seed}`);
  await cp(store, folder, { recursive: true });
  try {
    for (const file of files) await chmod(join(folder, file), 0o644);
    const kind = random.pick(Object.keys(damages));
    const what = await damages[kind]!(folder, random);
    if (await isUnchanged(folder)) return;
    const found = await check(folder);
    if (found.length === 0) throw new Error(`nobody noticed ${kind}: ${what}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Roles files of one run can be equal: to swap those is no damage. */
async function isUnchanged(folder: string): Promise<boolean> {
  for (const file of files) {
    const now = await readFile(join(folder, file)).catch(() => null);
    if (now === null || !now.equals(await readFile(join(store, file)))) return false;
  }
  return true;
}

describe('damage to a store', () => {
  it('is not found where there is none', async () => {
    expect(files.filter((file) => /\.(?:dump|sql)$/.test(file)).length).toBeGreaterThan(8);
    expect(await verifyContent(store)).toEqual([]);
  });

  it.each(testSeeds(soak ? 1000 : 60))('is found by verify --level content (seed %i)', async (seed) => {
    await damageAndCheck(seed, verifyContent);
  });

  it('is missed by a checker that finds nothing, and then this test fails', async () => {
    await expect(damageAndCheck(1, async () => [])).rejects.toThrow('nobody noticed');
  });
});
