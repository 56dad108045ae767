import { UsageError } from '../errors.ts';
import { findMigration, type Migration, type MigrationFolder } from './folder.ts';
import type { AppliedMigration } from './history.ts';

/** How one history stands against the folder. Tenants with equal histories share one of these. */
export interface Standing {
  readonly applied: readonly AppliedMigration[];
  /** The newest applied migration in the folder's order, else the last one that ran; null: none. */
  readonly version: string | null;
  readonly pending: readonly Migration[];
  /** Applied, but not in the folder: another branch, or a newer release, has been here. */
  readonly ahead: readonly string[];
  /** Applied with another text than the file has now. */
  readonly edited: readonly Migration[];
  /** Pending although a later one was applied: two branches met. */
  readonly outOfOrder: readonly Migration[];
}

export function compareToFolder(applied: readonly AppliedMigration[], folder: MigrationFolder): Standing {
  const byName = new Map(applied.map((migration) => [migration.name, migration]));
  const known = folder.migrations.filter(({ name }) => byName.has(name));
  const newest = known.at(-1);
  const pending = folder.migrations.filter(({ name }) => !byName.has(name));
  const newestIndex = newest === undefined ? -1 : folder.migrations.indexOf(newest);
  return {
    applied,
    version: newest?.name ?? applied.at(-1)?.name ?? null,
    pending,
    ahead: applied.map(({ name }) => name).filter((name) => !folder.byName.has(name)),
    edited: known.filter(({ name, checksum }) => {
      const recorded = byName.get(name)?.checksum ?? null;
      return recorded !== null && recorded !== checksum;
    }),
    outOfOrder: pending.filter((migration) => folder.migrations.indexOf(migration) < newestIndex),
  };
}

/** The folder as it was known once: files that were added since are left alone. */
export function limitFolder(folder: MigrationFolder, names: ReadonlySet<string>): MigrationFolder {
  const migrations = folder.migrations.filter(({ name }) => names.has(name));
  return { ...folder, migrations, byName: new Map(migrations.map((migration) => [migration.name, migration])) };
}

/**
 * A standing with nothing pending beyond what was planned: whoever counts then counts what is left of the plan, and
 * does not begin to count anew.
 */
export function upToPlanned(standing: Standing, planned: readonly Migration[]): Standing {
  const meant = new Set(planned);
  const last = standing.pending.findLastIndex((migration) => meant.has(migration));
  return { ...standing, pending: standing.pending.slice(0, last + 1) };
}

/** How far to go: everything, up to and with one migration, or the next few. */
export interface Target {
  readonly to: Migration | null;
  readonly count: number | null;
}

export function readTarget(folder: MigrationFolder, to: string | null, count: number | null): Target {
  if (to !== null && count !== null) throw new UsageError('--to and --count exclude each other');
  return { to: to === null ? null : findMigration(folder, to), count };
}

/** What `migrate up` would run on a tenant that stands so, in order. */
export function planUp(standing: Standing, folder: MigrationFolder, target: Target): readonly Migration[] {
  if (target.count !== null) return standing.pending.slice(0, target.count);
  if (target.to === null) return standing.pending;
  const last = folder.migrations.indexOf(target.to);
  return standing.pending.filter((migration) => folder.migrations.indexOf(migration) <= last);
}

/** One step back of a tenant; `migration` null: its file is gone. */
export interface StepBack {
  readonly name: string;
  readonly migration: Migration | null;
}

/** What `migrate down` would take back, the newest first: `count` of them, or all that ran after `to`. */
export function planDown(standing: Standing, folder: MigrationFolder, target: Target): readonly StepBack[] {
  const { applied } = standing;
  if (target.to === null) return stepsBack(applied, folder).slice(0, target.count ?? 1);
  const position = applied.findIndex(({ name }) => name === target.to?.name);
  // Not applied at all: there is nothing that ran after it.
  return position === -1 ? [] : stepsBack(applied.slice(position + 1), folder);
}

/** Certain migrations of one history to be taken back. */
export interface BackOut {
  /** The newest first. */
  readonly steps: readonly StepBack[];
  /** What ran after the first of them and is not meant: it stands on what would be taken away. */
  readonly cameAfter: readonly string[];
}

/** What taking back exactly those migrations means that are meant. */
export function planBackOut(
  standing: Standing,
  folder: MigrationFolder,
  isMeant: (applied: AppliedMigration) => boolean,
): BackOut {
  const { applied } = standing;
  const first = applied.findIndex(isMeant);
  const later = first === -1 ? [] : applied.slice(first);
  return {
    steps: stepsBack(later.filter(isMeant), folder),
    cameAfter: later.filter((migration) => !isMeant(migration)).map(({ name }) => name),
  };
}

function stepsBack(applied: readonly AppliedMigration[], folder: MigrationFolder): readonly StepBack[] {
  return applied.toReversed().map(({ name }) => ({ name, migration: folder.byName.get(name) ?? null }));
}
