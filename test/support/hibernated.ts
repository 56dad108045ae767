import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { asSuperuser } from './database.ts';
import type { FleetReport } from './fleet.ts';

/** `value` of a done outcome of `hibernate` or `wake`; fails with what went wrong. */
export function doneValue(report: FleetReport, tenant: string): Record<string, unknown> {
  const outcome = report.of(tenant);
  if (outcome.status !== 'done') throw new Error(`${tenant} is ${outcome.status}: ${JSON.stringify(outcome)}`);
  return outcome.value as unknown as Record<string, unknown>;
}

/**
 * A beginning of names for roles that a test makes; they go when it ends. To be called before the fleet is made, whose
 * databases have to go first.
 */
export function dropRolesAtEnd(...names: readonly string[]): string {
  const prefix = `role_${randomBytes(4).toString('hex')}`;
  onTestFinished(() => {
    return asSuperuser(async (admin) => {
      for (const name of names) await admin.query(`drop role if exists ${pg.escapeIdentifier(`${prefix}_${name}`)}`);
    });
  });
  return prefix;
}
