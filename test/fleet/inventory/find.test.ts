import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findInventory } from '../../../src/fleet/inventory/find.ts';

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tenantctl-find-'));
  await mkdir(join(root, 'project/a/b'), { recursive: true });
  await mkdir(join(root, 'project/a/tenants.yaml'));
  await mkdir(join(root, 'other'));
  await writeFile(join(root, 'project/tenants.yaml'), '');
  await writeFile(join(root, 'project/tenants.yml'), '');
  await writeFile(join(root, 'other/tenants.yml'), '');
});

afterAll(() => rm(root, { recursive: true }));

test('the nearest file upward, passing over a folder of that name', async () => {
  const found = await findInventory({ cwd: join(root, 'project/a/b'), env: {} });
  expect(found).toEqual({ path: join(root, 'project/tenants.yaml'), name: '../../tenants.yaml' });
});

test('in the folder itself, also as tenants.yml', async () => {
  const found = await findInventory({ cwd: join(root, 'other'), env: { TENANTCTL_CONFIG: '' } });
  expect(found).toEqual({ path: join(root, 'other/tenants.yml'), name: 'tenants.yml' });
});

test('--config beats TENANTCTL_CONFIG beats the search', async () => {
  const cwd = join(root, 'project/a');
  const env = { TENANTCTL_CONFIG: '../../other/tenants.yml' };
  expect((await findInventory({ cwd, env })).path).toBe(join(root, 'other/tenants.yml'));
  expect(await findInventory({ cwd, env, config: '../tenants.yml' })).toEqual({
    path: join(root, 'project/tenants.yml'),
    name: '../tenants.yml',
  });
});

test.each([
  [{ config: 'gone.yaml', env: {} }, '--config names an inventory that is not there: "gone.yaml"'],
  [{ config: '', env: {} }, '--config names an inventory that is not there: ""'],
  [{ config: '.', env: {} }, '--config names an inventory that is not there: "."'],
  [{ env: { TENANTCTL_CONFIG: 'x' } }, 'TENANTCTL_CONFIG names an inventory that is not there: "x"'],
  [{ env: {} }, 'no tenants.yaml here or in any folder above'],
])('%j is a usage error that says how to begin', async (from, message) => {
  const error = await findInventory({ cwd: root, ...from }).catch((e: unknown) => e);
  expect(error).toMatchObject({ name: 'UsageError', message, hint: expect.stringContaining('tenantctl init') });
});
