import { CreatedObjects } from './created-objects.ts';
import type { Migration } from './folder.ts';
import type { Inspector } from './inspection.ts';
import type { LaneMark } from './lane-marks.ts';
import { anyTenant, isOwnSchema, isShared, type TenantContext } from './schema-context.ts';
import type { ConcurrentIndex } from './statement-facts.ts';

/**
 * What a migration does to its database, so that those that hinder each other are kept apart: a concurrent index build
 * waits for every transaction that began before it, except for other plain ones.
 */
export type Lane = 'transaction' | 'index' | 'expression-index' | 'backfill' | 'build' | 'shared';

/**
 * The lanes of one migration. `transaction`: it runs in the tenant's own transaction; the others say what else it does.
 * `created` is what the plan has made before it, and gets what it makes. JavaScript cannot be looked into before it runs;
 * neither can DO blocks and functions.
 */
export function lanesOf(
  migration: Migration,
  direction: 'up' | 'down',
  inspector: Inspector,
  context: TenantContext = anyTenant,
  created: CreatedObjects = new CreatedObjects(isOwnSchema(context)),
): ReadonlySet<Lane> {
  const lanes = new Set<Lane>();
  if (migration.kind === 'js' || migration.sql.usesTransaction) lanes.add('transaction');
  for (const { lanes: marks, touches, creations } of inspector.inspect(migration, direction).facts) {
    for (const mark of marks) if (!isOnNewTables(mark, created)) lanes.add(mark.lane);
    if (touches.some((touch) => isShared(touch, context, created))) lanes.add('shared');
    for (const creation of creations) created.add(creation);
  }
  return lanes;
}

/** The lanes of all migrations of a plan together, in which a table made by one is new to those after it. */
export function lanesOfPlan(
  migrations: readonly Migration[],
  direction: 'up' | 'down',
  inspector: Inspector,
  context: TenantContext = anyTenant,
): ReadonlySet<Lane> {
  const created = new CreatedObjects(isOwnSchema(context));
  return new Set(migrations.flatMap((each) => [...lanesOf(each, direction, inspector, context, created)]));
}

function isOnNewTables({ relations }: LaneMark, created: CreatedObjects): boolean {
  return relations.length > 0 && relations.every((relation) => created.has(relation));
}

/** The indexes that a migration builds CONCURRENTLY, in order: a failed try leaves them behind, invalid. */
export function concurrentIndexes(
  migration: Migration,
  direction: 'up' | 'down',
  inspector: Inspector,
): readonly ConcurrentIndex[] {
  return inspector.inspect(migration, direction).facts.flatMap(({ index }) => (index === null ? [] : [index]));
}
