import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkedInventories } from '../../../src/fleet/inventory/checked-cache.ts';

let state: string;
let file: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'tenantctl-cache-'));
  file = join(state, 'cache/checked-inventories');
});

afterEach(() => rm(state, { recursive: true }));

const hashOf = (n: number) => n.toString(16).padStart(64, '0');

test('remembers for one version, across openings', () => {
  const cache = checkedInventories({ state, version: '1.0.0', write: true });
  expect(cache.alreadyValid(hashOf(1))).toBe(false);
  cache.remember(hashOf(1));
  expect(checkedInventories({ state, version: '1.0.0', write: false }).alreadyValid(hashOf(1))).toBe(true);
  expect(cache.alreadyValid(hashOf(2))).toBe(false);
  expect(checkedInventories({ state, version: '1.0.1', write: true }).alreadyValid(hashOf(1))).toBe(false);
});

test('writes nothing when it must not, and hashes only when it may', () => {
  checkedInventories({ state, version: '1', write: false }).remember(hashOf(1));
  expect(existsSync(join(state, 'cache'))).toBe(false);
  checkedInventories({ state, version: '1', write: true }).remember(hashOf(1));
  expect(readFileSync(file, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
});

test('keeps the newest 64', () => {
  const cache = checkedInventories({ state, version: '1', write: true });
  for (let n = 0; n < 70; n += 1) cache.remember(hashOf(n));
  expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(65);
  expect(cache.alreadyValid(hashOf(5))).toBe(false);
  expect(cache.alreadyValid(hashOf(6))).toBe(true);
  expect(cache.alreadyValid(hashOf(69))).toBe(true);
});

test('a damaged file knows nothing, an unusable folder is no error', async () => {
  const cache = checkedInventories({ state, version: '1', write: true });
  cache.remember(hashOf(1));
  writeFileSync(file, readFileSync(file).subarray(0, 40));
  expect(cache.alreadyValid(hashOf(1))).toBe(false);
  await rm(file);
  await mkdir(file);
  expect(() => cache.remember(hashOf(1))).not.toThrow();
  expect(cache.alreadyValid(hashOf(1))).toBe(false);
});
