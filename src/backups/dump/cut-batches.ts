import type { Tenant } from '../../fleet/tenant.ts';

/** A tenant and what its dump costs. */
export interface WeighedTenant {
  readonly tenant: Tenant;
  /** That pg_dump takes in it. */
  readonly locks: number;
  /** Of its rows on disk. */
  readonly sizeBytes: number;
}

export interface BatchLimits {
  /** Locks that all batches together may hold. */
  readonly locks: number;
  /** Batches that run side by side. */
  readonly lanes: number;
  /** A tenant with more bytes gets a pg_dump of its own. */
  readonly aloneAboveBytes: number;
  /** A batch is at most so large, that is, so long. */
  readonly batchBytes: number;
}

/** Locks that pg_dump takes on the system's own tables and indexes. */
const locksOfCatalogue = 150;

/** A batch of more tenants saves nothing, and its failure costs more. */
const mostTenants = 500;

/** For fewer tenants a second reading of the catalogue is not worth it. */
const worthSharing = 25;

/**
 * Cuts tenants into batches. Each pg_dump reads the whole catalogue, so there are as few as the locks allow, of about
 * the same weight, a whole number of rounds for the lanes; the heaviest first.
 */
export function cutBatches(tenants: readonly WeighedTenant[], limits: BatchLimits): readonly (readonly Tenant[])[] {
  const isLarge = ({ sizeBytes }: WeighedTenant) => sizeBytes > limits.aloneAboveBytes;
  const large = tenants.filter(isLarge).toSorted(heavierFirst);
  const small = tenants.filter((weighed) => !isLarge(weighed)).toSorted(heavierFirst);
  const locksEach = Math.max(1, Math.floor(limits.locks / limits.lanes) - locksOfCatalogue);
  const needed = Math.max(
    Math.ceil(sum(small, ({ locks }) => locks) / locksEach),
    Math.ceil(sum(small, ({ sizeBytes }) => sizeBytes) / limits.batchBytes),
    Math.ceil(small.length / mostTenants),
  );
  const fullRounds = Math.ceil(needed / limits.lanes) * limits.lanes;
  const count = Math.max(needed, Math.min(fullRounds, Math.ceil(small.length / worthSharing)));
  return [...large.map(({ tenant }) => [tenant]), ...spread(small, count)];
}

/** Deals the heaviest out first, each to the batch that has the least so far: by locks, then by bytes. */
function spread(tenants: readonly WeighedTenant[], count: number): Tenant[][] {
  const batches = Array.from({ length: count }, () => ({ tenants: [] as Tenant[], load: 0 }));
  const locks = sum(tenants, (weighed) => weighed.locks) || 1;
  const bytes = sum(tenants, ({ sizeBytes }) => sizeBytes) || 1;
  for (const weighed of tenants) {
    const least = batches.reduce((a, b) => (b.load < a.load ? b : a));
    least.tenants.push(weighed.tenant);
    least.load += weighed.locks / locks + weighed.sizeBytes / bytes;
  }
  return batches.map((batch) => batch.tenants).filter((batch) => batch.length > 0);
}

function heavierFirst(a: WeighedTenant, b: WeighedTenant): number {
  return b.sizeBytes - a.sizeBytes || b.locks - a.locks;
}

function sum(tenants: readonly WeighedTenant[], of: (tenant: WeighedTenant) => number): number {
  return tenants.reduce((total, tenant) => total + of(tenant), 0);
}
