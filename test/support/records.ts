import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestFleet } from './fleet.ts';

/** The folder of a run's record. */
export function recordOf(fleet: Pick<TestFleet, 'folder'>, run: string): string {
  return join(fleet.folder, '.tenantctl', 'runs', run);
}

/** Ids of all recorded runs, the oldest first. */
export async function recordedRuns(fleet: Pick<TestFleet, 'folder'>): Promise<readonly string[]> {
  return (await readdir(join(fleet.folder, '.tenantctl', 'runs'))).toSorted();
}

/** As if the process had been killed before it wrote down what became of its tenants. */
export async function forgetOutcomes(fleet: Pick<TestFleet, 'folder'>, run: string): Promise<void> {
  await truncate(join(recordOf(fleet, run), 'outcomes.ndjson'), 0);
}

/** Changes a manifest as another version, or another machine, might have written it. */
export async function rewriteManifest(
  fleet: Pick<TestFleet, 'folder'>,
  run: string,
  change: (manifest: Record<string, unknown>) => Record<string, unknown>,
): Promise<void> {
  const file = join(recordOf(fleet, run), 'manifest.json');
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, JSON.stringify(change(manifest)));
}

/** A minute from now: a run that was killed gives no sign of life any more. */
export const inAMinute = { now: () => new Date(Date.now() + 60_000) } as const;
