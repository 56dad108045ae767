import { hash } from 'node:crypto';
import type { Context } from '../../context.ts';
import type { NotHeld } from '../../drift/reference.ts';
import { RefusedError, StoppedError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Migration, MigrationFolder } from '../../migrations/folder.ts';
import { Inspector } from '../../migrations/inspection.ts';
import { loadParser } from '../../migrations/statements.ts';
import type { Fleet } from '../open-fleet.ts';
import { type Built, buildChain, type MigrationSet, notBuilt } from './build-chain.ts';
import { type BuildSite, describeSite, fileKey } from './build-site.ts';
import { BuiltCache } from './built-cache.ts';

/**
 * What each of these sets of a folder's migrations builds for a tenant like `model`: out of the cache, else in a scratch
 * database on its server. Refuses (5) where none can be made.
 */
export async function buildFacts(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  model: Tenant,
  sets: readonly MigrationSet[],
): Promise<ReadonlyMap<MigrationSet, Built>> {
  const built = new Map<MigrationSet, Built>();
  const inspector = new Inspector(await loadParser());
  for (const set of sets) {
    const why = whyNever(set, inspector);
    if (why !== null) built.set(set, why);
  }
  try {
    const site = await describeSite(context, fleet, model);
    await buildMissing(context, fleet, { folder, site, inspector, sets, built });
  } catch (error) {
    if (context.interrupts.stop.aborted) throw new StoppedError('stopped before the migrations were built');
    if (error instanceof RefusedError) throw error;
    for (const set of sets) if (!built.has(set)) built.set(set, notBuilt(error));
  }
  return built;
}

interface Missing {
  readonly folder: MigrationFolder;
  readonly site: BuildSite;
  readonly inspector: Inspector;
  readonly sets: readonly MigrationSet[];
  /** What is known already; the rest is put in. */
  readonly built: Map<MigrationSet, Built>;
}

async function buildMissing(context: Context, fleet: Fleet, { sets, built, ...means }: Missing): Promise<void> {
  const { site, folder } = means;
  const cache = new BuiltCache(fleet.inventory.state);
  const keyOf = (set: MigrationSet) => hash('sha256', JSON.stringify([site.checksum, ...set.map(fileKey)]));
  const isCached = (set: MigrationSet) => !reachesOut([...folder.migrations, ...sharedMigrations(site)], set);
  for (const set of sets) {
    const known = built.has(set) || !isCached(set) ? null : await cache.read(keyOf(set));
    if (known !== null) built.set(set, known);
  }
  const missing = sets.filter((set) => !built.has(set));
  if (missing.length === 0) return;
  context.emit({ type: 'phase', name: 'building the migrations', servers: new Map() });
  try {
    for (const chain of cutChains(missing)) {
      for (const [set, facts] of await buildChain(context, fleet, means, chain)) {
        built.set(set, facts);
        if ('facts' in facts && isCached(set)) await cache.write(keyOf(set), facts);
      }
    }
  } finally {
    context.emit({ type: 'phase-ended', name: 'building the migrations' });
  }
}

function sharedMigrations({ shared }: BuildSite): readonly Migration[] {
  return shared.flatMap(({ migrations }) => migrations);
}

/**
 * Does a file in JavaScript load others that no checksum covers? All of a folder are loaded, for their shorthands, as
 * soon as one of them is to run.
 */
function reachesOut(all: readonly Migration[], set: MigrationSet): boolean {
  if (![...set, ...all].some(({ kind }) => kind === 'js')) return false;
  return all.some(
    ({ kind, text }) => kind === 'js' && /(?:\bfrom|\bimport|\brequire)\s*\(?\s*['"`]\.{0,2}\//.test(text),
  );
}

/** Each set goes on from one that it begins with, so that one database serves them all: mostly there is one chain. */
export function cutChains(sets: readonly MigrationSet[]): readonly (readonly MigrationSet[])[] {
  const chains: MigrationSet[][] = [];
  for (const set of sets.toSorted((a, b) => a.length - b.length)) {
    const chain = chains.find((each) => beginsWith(set, each.at(-1) ?? []));
    if (chain === undefined) chains.push([set]);
    else chain.push(set);
  }
  return chains;
}

function beginsWith(set: MigrationSet, beginning: MigrationSet): boolean {
  return beginning.every((migration, index) => set[index] === migration);
}

/** What is done to a whole server must not be done for a trial. */
function whyNever(set: MigrationSet, inspector: Inspector): NotHeld | null {
  for (const migration of set) {
    const found = inspector.inspect(migration, 'up').objections.find(({ scope }) => scope === 'server');
    if (found !== undefined) {
      return { why: `the migrations are not built: ${found.at}: ${found.message}`, hint: found.hint };
    }
  }
  return null;
}
