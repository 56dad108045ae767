import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { storedFiles } from '../../support/dumps.ts';
import { createFleet } from '../../support/fleet.ts';
import { jsonOf } from '../../support/run-cli.ts';

/** Two fleets with a tenant of the same name on a server of the same name, and one store by mistake. */
const inventory = { backups: { to: './backups', keep: { last: 1 } } };
const production = await createFleet({
  schemas: { a: 'tenant_a', p: 'tenant_p' },
  until: 'file',
  inventory: { ...inventory, environment: 'production' },
});
const to = join(production.folder, 'backups');
const stagingBackups = { to, keep: { last: 1 } };
const staging = await createFleet({
  schemas: { a: 'tenant_a', b: 'tenant_b' },
  until: 'file',
  inventory: { environment: 'staging', backups: stagingBackups },
});
const marker = join(to, '_store.json');
const refusal = `${to} keeps the backups of environment production, and the inventory is of staging`;

beforeAll(async () => {
  await production.db.query('create table tenant_a.users as select 1 as id');
  const dumped = await production.run('dump --all');
  if (dumped.exitCode !== 0) throw new Error(dumped.stderr);
});

describe('a store of another environment', () => {
  it('is marked by its first dump, the copy too, and its manifests name the environment', async () => {
    expect(JSON.parse(await readFile(marker, 'utf8'))).toEqual({
      schema: 'tenantctl-store/1',
      environment: 'production',
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    await production.writeInventory({ backups: { ...inventory.backups, copyTo: './copy' } });
    expect((await production.run('dump --all')).exitCode).toBe(0);
    const copied = JSON.parse(await readFile(join(production.folder, 'copy', '_store.json'), 'utf8'));
    expect(copied).toMatchObject({ environment: 'production' });
    await production.writeInventory({});
  });

  it.each([
    'dump --all',
    'dump --all --dry-run',
    `dump --all --store ${to}`,
    'backups expire --all --departed-after 1s --yes',
    `backups expire --all --departed-after 1s --yes --store ${to}`,
    'backups pin a --at latest --reason x',
    `backups pin a --at latest --reason x --store ${to}`,
    'restore -t a --swap --yes',
    'verify --all',
    'backups report --all',
  ])('%s is refused, and nothing is changed', async (argv) => {
    const before = await storedFiles(production);
    const { exitCode, stderr } = await staging.run(argv);
    expect([exitCode, stderr]).toEqual([5, expect.stringContaining(refusal)]);
    expect(await storedFiles(production)).toEqual(before);
  });

  it.each([
    `restore -t a --store ${to} --dry-run`,
    `verify -t a --level manifest --store ${to}`,
    `backups report --all --store ${to}`,
  ])('%s reads it, and says so', async (argv) => {
    const { stderr, exitCode } = await staging.run(argv);
    expect([exitCode === 2 || exitCode === 5, stderr]).toEqual([false, expect.stringContaining(refusal)]);
    expect((await storedFiles(production)).filter((file) => file.startsWith('_departed'))).toEqual([]);
  });

  it('is listed and shown with its environment', async () => {
    const listed = await staging.run('backups list --all');
    expect([listed.exitCode, listed.stderr, listed.stdout]).toEqual([
      0,
      '',
      expect.stringMatching(/^environment production\n/),
    ]);
    expect(jsonOf<Record<string, unknown>>(await staging.run('backups list --all --json'))).toMatchObject({
      environment: 'staging',
      storeEnvironment: 'production',
    });
    expect((await staging.run('backups show a')).stdout).toMatch(/^environment +production$/m);
  });

  it('is known by its backups when the mark was lost; the next dump of its own marks it again', async () => {
    await rm(marker);
    const refused = await staging.run('dump --all');
    expect([refused.exitCode, refused.stderr]).toEqual([5, expect.stringContaining(refusal)]);
    expect((await production.run('dump --all')).exitCode).toBe(0);
    expect(JSON.parse(await readFile(marker, 'utf8'))).toMatchObject({ environment: 'production' });
  });

  it('is refused as a second place too', async () => {
    await staging.writeInventory({ backups: { to: './own', copyTo: to, keep: { last: 1 } } });
    const { exitCode, stderr } = await staging.run('dump --all');
    expect([exitCode, stderr]).toEqual([5, expect.stringContaining(refusal)]);
    await staging.writeInventory({});
  });

  it('is nobody’s to use while its mark cannot be understood', async () => {
    const mark = await readFile(marker);
    await rm(marker);
    await writeFile(marker, '{');
    const { exitCode, stderr } = await production.run('backups expire --all --yes');
    expect([exitCode, stderr]).toEqual([4, expect.stringContaining(`${marker} cannot be understood`)]);
    await writeFile(marker, mark);
  });
});
