import pLimit from 'p-limit';
import type { Failure } from '../errors.ts';
import { type Candidate, discoveredRows } from './discovery-rows.ts';
import { type FailedTenant, settleDiscovered } from './discovery-settle.ts';
import { explicitTenants } from './inventory/tenants.ts';
import type { DiscoverEntry, Inventory } from './inventory/types.ts';
import type { Tenant } from './tenant.ts';

/**
 * Reads one source: for `schemas` and `databases` the names that are there (at least those that begin with
 * `literalPrefix(entry.pattern)`; what matches is decided here), for `query` the rows as objects.
 */
export type ReadSource = (entry: DiscoverEntry) => Promise<readonly unknown[]>;

/** Who is in the fleet right now. */
export interface Discovered {
  /** Those of the file in its order, then those found, by id. */
  readonly tenants: readonly Tenant[];
  /** Found, but not fit to be worked on; each is an outcome of its own, by id. */
  readonly failed: readonly FailedTenant[];
  /** One for each entry that was read, in the order of the file. */
  readonly sources: readonly Source[];
}

export interface Source {
  /** `tenants.yaml:30:5`. */
  readonly at: string;
  readonly server: string;
  /** Null for a source that lists the databases of its server. */
  readonly database: string | null;
  readonly status: 'ok' | 'failed';
  /** Tenants that it named, also those that failed. */
  readonly count: number;
  readonly error?: Failure;
}

export interface DiscoverOptions {
  /** Only these entries (see `sourcesToRead`); all when not said. */
  readonly entries?: readonly DiscoverEntry[];
  /** Sources read at once. */
  readonly concurrency?: number;
  /** What an error of `readSource` means. */
  readonly toFailure: (error: unknown) => Failure;
}

/** Adds what the sources name to the tenants of the file. A source that cannot be read does not stop the others. */
export async function discoverTenants(
  inventory: Inventory,
  readSource: ReadSource,
  options: DiscoverOptions,
): Promise<Discovered> {
  const limit = pLimit(options.concurrency ?? 8);
  const entries = options.entries ?? inventory.discover;
  const read = await Promise.all(
    entries.map((entry) => limit(() => readOne(inventory, entry, readSource, options.toFailure))),
  );
  const explicit = explicitTenants(inventory);
  const settled = settleDiscovered(
    explicit,
    inventory.shared,
    read.flatMap((each) => each.candidates),
  );
  return {
    tenants: [...explicit, ...settled.tenants],
    failed: settled.failed,
    sources: read.map((each) => each.source),
  };
}

async function readOne(
  inventory: Inventory,
  entry: DiscoverEntry,
  readSource: ReadSource,
  toFailure: DiscoverOptions['toFailure'],
): Promise<{ readonly source: Source; readonly candidates: readonly Candidate[] }> {
  const database = entry.kind === 'databases' ? null : entry.database;
  const source = { at: entry.at, server: entry.server, database };
  let rows: readonly unknown[];
  try {
    rows = await readSource(entry);
  } catch (error) {
    return { source: { ...source, status: 'failed', count: 0, error: toFailure(error) }, candidates: [] };
  }
  const candidates = discoveredRows(inventory, entry, rows);
  return { source: { ...source, status: 'ok', count: candidates.length }, candidates };
}
