import { expect, test } from 'vitest';
import { cutBatches, type WeighedTenant } from '../../../src/backups/dump/cut-batches.ts';
import { makeRandom, testSeeds } from '../../support/random.ts';

const limits = { locks: 8000, lanes: 2, aloneAboveBytes: 1e9, batchBytes: 2e9 };

function weigh(count: number, locks: number, sizeBytes: number): WeighedTenant[] {
  return Array.from({ length: count }, (_, index) => {
    const id = `t${index}`;
    const tenant = { id, server: 'main', database: 'saas', schema: id, labels: {}, searchPath: [id], role: null };
    return { tenant, locks, sizeBytes };
  });
}

const sizes = (tenants: readonly WeighedTenant[], some: Partial<typeof limits> = {}) =>
  cutBatches(tenants, { ...limits, ...some }).map((batch) => batch.length);

test('there are as few batches as the locks allow, in whole rounds', () => {
  // 1,000 tenants x 40 locks, 3,850 a batch: 11 batches would do, and 12 leave no lane idle.
  expect(sizes(weigh(1000, 40, 1e5))).toEqual(Array.from({ length: 12 }, (_, index) => (index < 4 ? 84 : 83)));
});

test('few tenants are not shared out: each batch reads the whole catalogue', () => {
  expect(sizes(weigh(10, 40, 1e5))).toEqual([10]);
  expect(sizes(weigh(50, 40, 1e5))).toEqual([25, 25]);
});

test('a large tenant stands alone and comes first', () => {
  const [large] = weigh(1, 40, 5e9);
  const batches = cutBatches([...weigh(30, 40, 1e5).slice(1), large!], limits);
  expect(batches[0]).toEqual([large!.tenant]);
  expect(batches.slice(1).flat()).toHaveLength(29);
});

test('much data is cut into shorter batches', () => {
  expect(sizes(weigh(8, 1, 9e8))).toEqual([2, 2, 2, 2]);
});

test('a batch that is too large for the locks is one tenant all the same', () => {
  expect(sizes(weigh(3, 99_999, 1), { locks: 100 })).toEqual([1, 1, 1]);
  expect(sizes(weigh(3, 40, 1), { locks: -5 })).toEqual([1, 1, 1]);
});

test('nobody is nobody', () => {
  expect(cutBatches([], limits)).toEqual([]);
});

test.each(testSeeds(20))('every tenant is in one batch, and none takes more than its share, seed %i', (seed) => {
  const random = makeRandom(seed);
  const tenants = weigh(random.between(1, 300), 0, 0).map((weighed) => ({
    ...weighed,
    locks: random.between(0, 200),
    sizeBytes: random.between(0, 3e8),
  }));
  const locks = random.between(2000, 20_000);
  const batches = cutBatches(tenants, { ...limits, locks });
  expect(
    batches
      .flat()
      .map(({ id }) => id)
      .toSorted(),
  ).toEqual(tenants.map(({ tenant }) => tenant.id).toSorted());
  const of = new Map(tenants.map((weighed) => [weighed.tenant, weighed]));
  for (const batch of batches) {
    const taken = batch.reduce((sum, tenant) => sum + of.get(tenant)!.locks, 0);
    // Dealt out by weight: one tenant more or less than what would be even.
    expect(batch.length === 1 || taken <= locks / limits.lanes + 400).toBe(true);
  }
});
