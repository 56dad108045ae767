import type { Migration } from './folder.ts';
import { dropLeftovers, refuseInvalid } from './invalid-indexes.ts';
import type { ConcurrentIndex } from './statement-facts.ts';
import type { TenantWork } from './tenant-work.ts';

/** The statements of one migration that refuses a transaction. */
export interface LoneSteps<T> {
  readonly migration: Migration;
  readonly steps: readonly T[];
  /** Indexes that they build CONCURRENTLY. */
  readonly indexes: readonly ConcurrentIndex[];
  readonly run: (step: T) => Promise<unknown>;
}

/**
 * Runs and records a migration outside of a transaction, where each step stays when the next one fails: then
 * `onPartial` is told how far it came, for the operator must know.
 */
export async function runAlone<T extends { readonly text: string }>(
  work: TenantWork,
  { migration, steps, indexes, run }: LoneSteps<T>,
  onPartial: (completed: string) => void,
): Promise<void> {
  const { inspector } = work.engine;
  const setsOwn = steps.some(({ text }) => inspector.setsTimeouts(text));
  let completed = 0;
  try {
    await clearTheWay(work, migration, indexes);
    for (const step of steps) {
      work.settings.signal.throwIfAborted();
      const mayWait = !setsOwn && inspector.worksOnIndexConcurrently(step.text);
      await (mayWait ? work.withIndexTimeouts(() => run(step)) : run(step));
      work.checkTransaction(migration);
      completed += 1;
    }
    if (indexes.length > 0) await refuseInvalid(work.session, indexes, migration);
    await work.record([migration]);
  } catch (error) {
    if (completed > 0) onPartial(`${completed} of ${steps.length} statements of ${migration.name}`);
    throw error;
  }
}

/** An index that a failed attempt left invalid would fail this one, or with IF NOT EXISTS pass for a good one. */
async function clearTheWay(work: TenantWork, migration: Migration, indexes: readonly ConcurrentIndex[]): Promise<void> {
  if (indexes.length === 0) return;
  const { onStep } = work.settings;
  const onDrop = (name: string) => onStep(`dropping the invalid index ${name}`);
  await work.withIndexTimeouts(() => dropLeftovers(work.session, indexes, migration, onDrop));
  onStep(migration.name);
}
