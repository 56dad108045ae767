import type { Tenant } from '../fleet/tenant.ts';
import { compareFacts } from './compare.ts';
import type { FactSet } from './fact.ts';

/** A tenant with all its facts. */
export interface ReadTenant {
  readonly tenant: Tenant;
  readonly facts: FactSet;
}

/** So many are read in full and held in memory: the answer must not cost a fleet. */
export const mostCompared = 20;

/**
 * The tenant that differs least from the others: it has the smallest sum of differences with each of them, the first by
 * id of equals. Of many it is sought among the first twenty by id. Who cannot be read is left out; rejects when nobody can.
 */
export async function findNearest(
  tenants: readonly Tenant[],
  read: (tenant: Tenant) => Promise<FactSet>,
): Promise<ReadTenant> {
  const sorted = tenants.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const known: ReadTenant[] = [];
  let lastError: unknown;
  for (const tenant of sorted.slice(0, mostCompared)) {
    try {
      known.push({ tenant, facts: await read(tenant) });
    } catch (error) {
      lastError = error;
    }
  }
  const distances = sumDistances(known);
  const nearest = known[distances.indexOf(Math.min(...distances))];
  if (nearest === undefined) throw lastError;
  return nearest;
}

/** Of each to all others together. */
function sumDistances(known: readonly ReadTenant[]): readonly number[] {
  const sums = known.map(() => 0);
  for (const [index, one] of known.entries()) {
    for (const [other, { facts }] of known.slice(0, index).entries()) {
      // Looks do not count, as they do not when structures are.
      const distance = compareFacts(facts, one.facts).filter((each) => each.class !== 'cosmetic').length;
      sums[index]! += distance;
      sums[other]! += distance;
    }
  }
  return sums;
}
