import type { Outcome } from '../fleet/outcome.ts';
import type { Fleet } from './open-fleet.ts';

/** The fleet with, for each tenant that sleeps, the migrations of the folder that it will get when it wakes. */
export function oweMigrations(fleet: Fleet, names: readonly string[]): Fleet {
  return { ...fleet, rejected: fleet.rejected.map((outcome) => owe(outcome, fleet, names)) };
}

function owe(outcome: Outcome<never>, fleet: Fleet, names: readonly string[]): Outcome<never> {
  if (outcome.status !== 'skipped' || outcome.reason !== 'hibernated') return outcome;
  const applied = fleet.sleeping.get(outcome.tenant)?.applied ?? null;
  const had = new Set(applied);
  return { ...outcome, value: { owed: applied === null ? null : names.filter((name) => !had.has(name)) } };
}
