import { TenantError } from '../errors.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import { Change } from './change.ts';
import type { Migration } from './folder.ts';
import {
  type AppliedMigration,
  type FingerprintKind,
  findHistories,
  fingerprintStatement,
  type HistoryFingerprint,
  type HistoryPlace,
  noHistory,
  prepareHistoryStatements,
  readHistories,
  sameHistory,
} from './history.ts';
import { type TakeOptions, takeTenant } from './take-tenant.ts';
import type { Engine } from './tenant-work.ts';

/** What was read of a tenant before its lock was held. */
export interface KnownHistory {
  readonly place: HistoryPlace;
  readonly fingerprint: HistoryFingerprint;
}

/** What `value` of a done outcome holds. */
export interface ChangeResult {
  /** Version before and after; null: no migration applied. */
  readonly from: string | null;
  readonly to: string | null;
  readonly applied?: readonly string[];
  readonly reverted?: readonly string[];
  /** Instead of the two above in a dry run: what would run. */
  readonly pending?: readonly string[];
}

/** The plan for one history; equal histories have the same plan object. */
export interface ChangePlan {
  readonly from: string | null;
  readonly to: string | null;
  readonly migrations: readonly Migration[];
}

export interface ChangeOptions extends TakeOptions {
  readonly engine: Engine;
  /** Plans for a history as it is under the lock; throws a TenantError when it must not go on. */
  readonly plan: (applied: readonly AppliedMigration[]) => ChangePlan;
}

/** Somebody else may change the tenant between two looks; more often than this is no accident. */
const maxLooks = 5;

/**
 * Brings one tenant where the plan wants it. Takes the tenant's locks, looks again under them (another operator may
 * have been quicker: then the plan is made anew), checks that the session really stands in the tenant's schema, and
 * runs what is left.
 */
export async function changeTenant(
  session: Session,
  tenant: Tenant,
  known: KnownHistory,
  planned: ChangePlan,
  options: ChangeOptions,
): Promise<ChangeResult> {
  const { place, plan } = await takeAsPlanned(session, tenant, known, planned, options);
  return runPlan(session, tenant, place, plan, options);
}

/** A tenant whose locks are held, in a transaction that is open: it stands as the plan wants it. */
export interface TakenTenant extends KnownHistory {
  readonly plan: ChangePlan;
}

/** Takes a tenant and plans it anew for as long as it is not what was expected. */
export async function takeAsPlanned(
  session: Session,
  tenant: Tenant,
  known: KnownHistory,
  planned: ChangePlan,
  options: ChangeOptions,
): Promise<TakenTenant> {
  await takeTenant(session, tenant, options);
  const kind = options.engine.direction === 'up' ? 'as-set' : 'as-sequence';
  let expected = known;
  let plan = planned;
  for (let look = 1; look <= maxLooks; look += 1) {
    const seen = await beginAndLook(session, tenant, expected, kind);
    if (sameHistory(seen.fingerprint, expected.fingerprint)) return { ...seen, plan };
    await session.raw('ROLLBACK');
    expected = seen;
    plan = options.plan(await readHistory(session, tenant, seen.place));
  }
  throw new TenantError({
    message: 'the history changes while it is locked: a tool that knows no lock of tenantctl is migrating this tenant',
    code: 'changed-meanwhile',
    hint: 'stop the other tool and run the same command again',
  });
}

/** Opens the transaction and reads in it what the plan rests on, in one round trip. */
export async function beginAndLook(
  session: Session,
  tenant: Tenant,
  expected: KnownHistory,
  kind: FingerprintKind,
): Promise<KnownHistory> {
  const schema = tenantSchema(tenant);
  const looks = [
    session.raw('BEGIN'),
    session.query<{ schema: string | null }>(sql`SELECT pg_catalog.current_schema() AS schema`),
    findHistories(session, [schema]),
  ] as const;
  const fingerprints = expected.place.tableExists
    ? session.query<{ count: string; hash: string }>(fingerprintStatement(tenant, expected.place, kind))
    : Promise.resolve([]);
  fingerprints.catch(() => {
    // It fails when the table is gone; the look before it tells that better.
  });
  const [, [standsIn], places] = await Promise.all(looks);
  const place = places.get(schema);
  if (place === undefined || !place.schemaExists) throw missingSchema(tenant);
  if (standsIn?.schema !== schema) throw noUsage(tenant, standsIn?.schema ?? null);
  // A table that came or went since was not read: it counts as another history, so that it is.
  if (place.tableExists !== expected.place.tableExists) return { place, fingerprint: { count: -1, hash: '' } };
  const [row] = await fingerprints;
  return { place, fingerprint: row === undefined ? noHistory : { count: Number(row.count), hash: row.hash } };
}

async function readHistory(
  session: Session,
  tenant: Tenant,
  place: HistoryPlace,
): Promise<readonly AppliedMigration[]> {
  const histories = await readHistories(session, [tenant], new Map([[tenantSchema(tenant), place]]));
  return histories.get(tenant) ?? [];
}

async function runPlan(
  session: Session,
  tenant: Tenant,
  place: HistoryPlace,
  plan: ChangePlan,
  options: ChangeOptions,
): Promise<ChangeResult> {
  const { engine } = options;
  if (plan.migrations.length === 0) {
    await session.raw('ROLLBACK');
  } else {
    const first = engine.direction === 'up' ? prepareHistoryStatements(tenant, place) : [];
    await new Change(session, tenant, engine, options).run(plan.migrations, first);
  }
  const names = namesOf(plan);
  return {
    from: plan.from,
    to: plan.to,
    ...(engine.direction === 'up' ? { applied: names } : { reverted: names }),
  };
}

const knownNames = new WeakMap<ChangePlan, readonly string[]>();

/** One list for all tenants with the same plan. */
function namesOf(plan: ChangePlan): readonly string[] {
  const names = knownNames.get(plan) ?? plan.migrations.map(({ name }) => name);
  knownNames.set(plan, names);
  return names;
}

/** The failure of a tenant that the inventory names and the database does not have. */
export function missingSchema(tenant: Tenant): TenantError {
  return new TenantError({
    message: `schema ${JSON.stringify(tenantSchema(tenant))} does not exist in database ${tenant.database}`,
    code: 'schema-missing',
    hint: 'create it, or take the tenant out of the inventory',
  });
}

/** With no right to the schema the server would silently go on in the next one of the path. */
function noUsage(tenant: Tenant, standsIn: string | null): TenantError {
  return new TenantError({
    message: `the session stands in schema ${JSON.stringify(standsIn)} and not in ${JSON.stringify(tenantSchema(tenant))}`,
    code: 'wrong-schema',
    hint: `grant USAGE on the schema to the ${tenant.role === null ? 'login role' : `role ${tenant.role}`}, and check searchPath`,
  });
}
