import { TenantError } from '../errors.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import { identifier, sql } from '../postgres/sql.ts';
import { plural } from '../words.ts';
import { missingSchema } from './change-tenant.ts';
import type { Migration } from './folder.ts';
import {
  type AppliedMigration,
  fakedRun,
  findHistories,
  historyTable,
  prepareHistoryStatements,
  readHistories,
  recordApplied,
} from './history.ts';
import type { OtherHistory } from './other-tools.ts';
import type { Standing } from './plan.ts';
import { type Difference, describeDifferences } from './structure-differences.ts';
import { type TakeOptions, takeTenant } from './take-tenant.ts';

/** How a tenant compares to what the migrations would build. */
export interface Comparison {
  readonly comparison: 'equal' | 'different' | 'not-possible';
  /** Only when it is different. */
  readonly differences?: readonly Difference[];
  /** Why it was not possible. */
  readonly because?: string;
  /** Other migration tools that were here before. */
  readonly tools: readonly OtherHistory[];
}

/** `value` of a done outcome. */
export interface BaselineResult extends Partial<Comparison> {
  readonly at: string;
  /** Written to the history now (with a dry run: would be); empty: it had exactly these already. */
  readonly recorded: readonly string[];
}

/** Whether a history is already what a baseline would write, is in its way, or is not there. */
export function judgeHistory(
  applied: readonly AppliedMigration[],
  migrations: readonly Migration[],
): 'none' | 'same' | 'other' {
  if (applied.length === 0) return 'none';
  const names = new Set(applied.map(({ name }) => name));
  const isSame = names.size === migrations.length && migrations.every(({ name }) => names.has(name));
  return isSame ? 'same' : 'other';
}

export function hasHistory({ applied }: Pick<Standing, 'applied'>): TenantError {
  const last = applied.at(-1)?.name;
  return new TenantError({
    message: `it has a history: ${plural(applied.length, 'migration')}, the last ${last}`,
    code: 'has-history',
    hint: 'a baseline is for tenants without one: leave it out of the selection, and migrate it as it is',
  });
}

export function differs(at: string, differences: readonly Difference[]): TenantError {
  return new TenantError({
    message: `the schema is not what the migrations up to ${at} build: ${describeDifferences(differences)}`,
    code: 'differs',
    ...(differences.length > 3 ? { detail: describeDifferences(differences, 50) } : {}),
    hint: 'change the schema, or choose another migration with --at; --accept-differences records it as it is',
  });
}

/**
 * Writes down that a tenant has these migrations, which nobody ran: in one transaction, under the tenant's locks. Can
 * be repeated after a COMMIT that was sent and not answered, which `onCommit` tells of: what this run wrote is done.
 */
export async function recordBaseline(
  session: Session,
  tenant: Tenant,
  migrations: readonly Migration[],
  options: TakeOptions,
  onCommit: () => void = () => {},
): Promise<void> {
  await takeTenant(session, tenant, options);
  options.onStep('recording the history');
  const schema = tenantSchema(tenant);
  await session.raw('BEGIN');
  const places = await findHistories(session, [schema]);
  const place = places.get(schema);
  if (place === undefined || !place.schemaExists) throw missingSchema(tenant);
  await Promise.all(prepareHistoryStatements(tenant, place).map((statement) => session.query(statement)));
  // Against tools that know no lock of ours, until the end of the transaction.
  await session.query(sql`LOCK TABLE ${identifier(schema, historyTable)} IN SHARE ROW EXCLUSIVE MODE`);
  const now = await findHistories(session, [schema]);
  const applied = (await readHistories(session, [tenant], now)).get(tenant) ?? [];
  const own = fakedRun(options.run);
  if (judgeHistory(applied, migrations) === 'same' && applied.every(({ run }) => run === own)) {
    await session.raw('ROLLBACK');
    return;
  }
  if (applied.length > 0) throw hasHistory({ applied });
  await session.query(recordApplied(tenant, migrations, own));
  onCommit();
  await session.raw('COMMIT');
}
