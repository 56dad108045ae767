import { TenantError } from '../errors.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import { Change } from './change.ts';
import {
  beginAndLook,
  type ChangeOptions,
  type ChangePlan,
  type KnownHistory,
  takeAsPlanned,
} from './change-tenant.ts';
import { historyTable, prepareHistoryStatements, sameHistory } from './history.ts';

/** A lock on a relation that was there before, as pg_locks names it: the strongest one that was held on it. */
export interface RehearsedLock {
  /** `tasks` in the tenant's own schema, else `public.plans`. */
  readonly relation: string;
  readonly mode: string;
}

/** What `value` of a done outcome holds. */
export interface RehearsalResult {
  /** Those that ran and were rolled back, in order. */
  readonly migrations: readonly { readonly name: string; readonly durationMs: number }[];
  /** Stronger than what INSERT, UPDATE and DELETE take. A run holds them to the end of the transaction. */
  readonly locks: readonly RehearsedLock[];
  /** Rows that were inserted, updated and deleted in relations that were there before. */
  readonly writes: readonly { readonly relation: string; readonly rows: number }[];
  /** From the first that cannot be rehearsed on. */
  readonly notRehearsed: readonly string[];
  /** How long the transaction was open. */
  readonly durationMs: number;
}

/** From weak to strong, as the server numbers them. Readers and writers take weaker ones than these. */
const strongModes: readonly string[] = [
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
];

/** What this backend has on one relation, in its open transaction. */
interface Hold {
  readonly oid: number;
  /** Position among the strong modes; -1: only what writers take. */
  readonly strength: number;
  readonly rows: number;
}

interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Of an index: its table. */
  readonly table: number | null;
}

/**
 * Runs a plan on one tenant as `changeTenant` does, under the same locks and with the same timeouts, measures it, and
 * rolls it back. What was made in it is gone afterwards, so that the relations that are still there were there before.
 */
export async function rehearseTenant(
  session: Session,
  tenant: Tenant,
  known: KnownHistory,
  planned: ChangePlan,
  options: ChangeOptions,
): Promise<RehearsalResult> {
  const { plan, ...before } = await takeAsPlanned(session, tenant, known, planned, options);
  const change = new Change(session, tenant, options.engine, options);
  const first = prepareHistoryStatements(tenant, before.place);
  const rehearsed = await change.rehearse(plan.migrations, first, () => readHolds(session));
  options.onStep('looking whether all is as before');
  await refuseTraces(session, tenant, before);
  const relations = await readRelations(session, rehearsed.seen);
  return {
    migrations: rehearsed.migrations,
    ...describeHolds(tenant, rehearsed.seen, relations),
    notRehearsed: plan.migrations.slice(rehearsed.migrations.length).map(({ name }) => name),
    durationMs: rehearsed.durationMs,
  };
}

async function readHolds(session: Session): Promise<readonly Hold[]> {
  const rows = await session.query<{ oid: number; modes: readonly string[]; rows: string }>(sql`
    SELECT l.relation AS oid, pg_catalog.array_agg(l.mode) AS modes,
           (pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation)
             + pg_catalog.pg_stat_get_xact_tuples_updated(l.relation)
             + pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation))::text AS rows
      FROM pg_catalog.pg_locks l
     WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted
       AND l.mode = ANY (${['RowExclusiveLock', ...strongModes]}::text[])
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
     GROUP BY l.relation`);
  return rows.map(({ oid, modes, rows: written }) => ({
    oid,
    strength: Math.max(...modes.map((mode) => strongModes.indexOf(mode))),
    rows: Number(written),
  }));
}

/** A rehearsal that left something behind was none. */
async function refuseTraces(session: Session, tenant: Tenant, before: KnownHistory): Promise<void> {
  const after = await beginAndLook(session, tenant, before, 'as-set');
  await session.raw('ROLLBACK');
  if (sameHistory(after.fingerprint, before.fingerprint)) return;
  throw new TenantError({
    message: 'the history is another one after the rehearsal was rolled back',
    code: 'changed-meanwhile',
    hint: 'something in the migrations commits by itself, or a tool that knows no lock of tenantctl is migrating: look at this tenant',
  });
}

/** Those that are there, without the server's own. */
async function readRelations(session: Session, holds: readonly Hold[]): Promise<ReadonlyMap<number, Relation>> {
  const rows = await session.query<Relation>(sql`
    SELECT c.oid, n.nspname AS schema, c.relname AS name, i.indrelid AS table
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
     WHERE c.oid = ANY (${holds.map(({ oid }) => oid)}::oid[]) AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
     ORDER BY n.nspname, c.relname`);
  return new Map(rows.map((row) => [row.oid, row]));
}

/** A lock on an index says nothing more when its table is held as strongly. */
function describeHolds(
  tenant: Tenant,
  holds: readonly Hold[],
  relations: ReadonlyMap<number, Relation>,
): Pick<RehearsalResult, 'locks' | 'writes'> {
  const byOid = new Map(holds.map((hold) => [hold.oid, hold]));
  const named = [...relations.values()].flatMap(({ oid, schema, name, table }) => {
    const hold = byOid.get(oid);
    if (hold === undefined) return [];
    const relation = schema === tenantSchema(tenant) ? name : `${schema}.${name}`;
    const isCovered = table !== null && (byOid.get(table)?.strength ?? -1) >= hold.strength;
    return [{ ...hold, relation, isCovered }];
  });
  const locks = named.flatMap(({ relation, strength, isCovered }) => {
    const mode = strongModes[strength];
    return mode === undefined || isCovered ? [] : [{ relation, mode, strength }];
  });
  return {
    locks: locks.sort((a, b) => b.strength - a.strength).map(({ relation, mode }) => ({ relation, mode })),
    writes: named.flatMap(({ relation, rows }) => {
      return rows > 0 && relation !== historyTable ? [{ relation, rows }] : [];
    }),
  };
}
