import type { Migration } from './folder.ts';
import type { Lane } from './lanes.ts';

/** A part of a tenant's work that is a turn of its own: what runs in one transaction, or one file that refuses one. */
export interface Stage {
  readonly migrations: readonly Migration[];
  readonly lanes: ReadonlySet<Lane>;
}

/** An index that is built concurrently waits for every snapshot older than its own. */
const waiters: readonly Lane[] = ['index', 'expression-index'];
/** Long statements, whose snapshots are old. */
const waitedFor: readonly Lane[] = ['backfill', 'build'];

/** Must these two not run at the same time in one database, each on a tenant of its own? */
export function conflict(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  // What locks a table that all tenants use runs one tenant at a time.
  if (a.has('shared') && b.has('shared')) return true;
  return crosses(a, b) || crosses(b, a);
}

function crosses(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return waiters.some((lane) => a.has(lane)) && waitedFor.some((lane) => b.has(lane));
}

/**
 * Cuts a tenant's migrations into stages, only where a transaction ends anyway. When nothing in `all`, the lanes of
 * everybody's work in the database, keeps out anything else, there is one stage: a tenant is done in one go.
 */
export function cutStages(
  migrations: readonly Migration[],
  lanesOf: (migration: Migration) => ReadonlySet<Lane>,
  all: ReadonlySet<Lane>,
): readonly Stage[] {
  const stages: { migrations: Migration[]; lanes: Set<Lane>; isAlone: boolean }[] = [];
  const isWhole = !conflict(all, all);
  for (const migration of migrations) {
    const isAlone = migration.kind === 'sql' && !migration.sql.usesTransaction;
    const last = stages.at(-1);
    if (last !== undefined && (isWhole || (!isAlone && !last.isAlone))) {
      last.migrations.push(migration);
      for (const lane of lanesOf(migration)) last.lanes.add(lane);
    } else stages.push({ migrations: [migration], lanes: new Set(lanesOf(migration)), isAlone });
  }
  return stages;
}
