import type { Migration, MigrationFolder } from './folder.ts';
import { planUp, type Standing } from './plan.ts';

/** May an application that needs this migration be deployed? */
export interface Gate {
  /** The migration that must be there, with all before it. */
  readonly atLeast: string;
  /** As it was asked for: `100%`, `48`. */
  readonly quorum: string;
  /** Tenants that have it, of those that count: hibernated ones do not. */
  readonly there: number;
  readonly total: number;
  /** True exactly when the exit code is 0. */
  readonly passed: boolean;
}

/** What of the folder, up to and with `target`, is not applied; it does not matter what came after it. */
export function missingUpTo(standing: Standing, folder: MigrationFolder, target: Migration): readonly Migration[] {
  return planUp(standing, folder, { to: target, count: null });
}

/** So many of `total` are needed; a percentage is rounded up, so that a gate of 99% is never open at 98.6%. */
export function neededFor(quorum: { readonly count: number } | { readonly percent: number }, total: number): number {
  if ('count' in quorum) return quorum.count;
  // 99.7 has no exact binary form: what a rounding error adds must not ask for one tenant more.
  return Math.max(0, Math.ceil((quorum.percent * total) / 100 - 1e-9));
}
