import { TenantError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { closeDatabase } from '../../hibernation/database-fence.ts';
import { drain } from '../../hibernation/drain.ts';
import { endDatabaseSessions, endRoleSessions } from '../../hibernation/end-sessions.ts';
import { addNewcomers, closeSchema, readLogins } from '../../hibernation/fence.ts';
import { setConnections } from '../../hibernation/lock-database.ts';
import type { Structure } from '../../hibernation/receipt.ts';
import { inTransaction } from '../../hibernation/transaction.ts';
import type { TakeOptions } from '../../migrations/take-tenant.ts';
import { tenantKey } from '../../postgres/advisory-locks.ts';
import { lockTenant } from '../../postgres/lock-wait.ts';
import type { Session } from '../../postgres/session.ts';
import { ensureTenantTable, putTenantRow, readTenantRow, type TenantRow } from '../../postgres/tenant-rows.ts';
import { listNames } from '../../words.ts';
import type { Fleet } from '../open-fleet.ts';
import { backendOf, inDatabase } from './change-sleepers.ts';
import { findStanding, misplaced } from './fence-place.ts';
import { type FenceRecord, readApplied } from './fence-record.ts';
import type { PlannedSleep } from './hibernate-plan.ts';
import { structureOfDatabase, structureReader } from './structure-of.ts';

/** A tenant that nobody but tenantctl gets at any more. */
export interface Fenced {
  readonly record: FenceRecord;
  /** As it stands behind its fence: nothing of it may change before it is dropped. */
  readonly structure: Structure;
  /** An earlier run had dropped its database and died before it could say so. */
  readonly isGone: boolean;
  /** When an earlier run had fenced it; null: it was this one. */
  readonly since: Date | null;
}

export interface FenceJob {
  readonly fleet: Fleet;
  readonly planned: PlannedSleep;
  readonly drainMs: number;
  /** Aborted: give up waiting. */
  readonly stop: AbortSignal;
}

/** Shuts everybody out of a tenant and waits until nobody is left inside. `session` is where its row is. */
export async function fenceTenant(session: Session, job: FenceJob, take: TakeOptions): Promise<Fenced> {
  await ensureTenantTable(session);
  return job.planned.tenant.schema === null ? fenceDatabase(session, job, take) : fenceSchema(session, job, take);
}

async function fenceSchema(session: Session, job: FenceJob, take: TakeOptions): Promise<Fenced> {
  const { tenant, ownRoles, sizeBytes } = job.planned;
  const schema = tenant.schema ?? '';
  const structureOf = structureReader(tenant);
  take.onStep('closing the fence');
  const { record, since } = await inTransaction(session, async () => {
    const row = await readTenantRow(session, tenant, { lock: true });
    const kept = keptRecord(row);
    if (kept !== null) await refuseMisplaced(session, tenant, kept);
    const begun: FenceRecord = kept ?? {
      ...(await newRecord(session, tenant, ownRoles)),
      structure: await structureOf(session, schema),
      applied: await readApplied(session, tenant),
      sizeBytes: sizeBytes ?? 0,
    };
    const record = { ...begun, objects: addNewcomers(begun.objects, await closeSchema(session, schema, begun)) };
    await putTenantRow(session, fencedRow(tenant, take.run, record));
    return { record, since: row?.since ?? null };
  });
  await endRoleSessions(session, record.closedRoles);
  take.onStep('waiting for open transactions');
  const signal = AbortSignal.any([take.signal, job.stop]);
  const blockers = await drain(session, schema, { budgetMs: job.drainMs, signal });
  if (blockers !== null)
    throw busy(blockers.map(({ application, pid }) => `${application || 'a session'} (pid ${pid})`));
  const structure = await inTransaction(session, () => structureOf(session, schema));
  return { record, structure, isGone: false, since };
}

async function fenceDatabase(session: Session, job: FenceJob, take: TakeOptions): Promise<Fenced> {
  const { tenant, ownRoles, sizeBytes } = job.planned;
  const { database } = tenant;
  take.onStep('closing the fence');
  const before = await readTenantRow(session, tenant);
  const kept = keptRecord(before);
  const since = before?.since ?? null;
  if (kept !== null) {
    if (await isDropped(session, tenant, kept, before)) {
      return { record: kept, structure: kept.structure, isGone: true, since };
    }
    await refuseMisplaced(session, tenant, kept);
    // Closed by a run that was killed before it could drop it.
    await setConnections(session, database, true);
  }
  await job.fleet.pools.closeIdle(tenant.server, database);
  return inDatabase(job.fleet, tenant, take, async (inside) => {
    await lockTenant(inside, tenantKey(null));
    const structure = await inTransaction(inside, () => structureOfDatabase(inside, tenant));
    const applied = await readApplied(inside, tenant);
    const record = await inTransaction(session, async () => {
      const kept = keptRecord(await readTenantRow(session, tenant, { lock: true }));
      const begun: FenceRecord = kept ?? {
        ...(await newRecord(session, tenant, ownRoles)),
        ...{ structure, applied, sizeBytes: sizeBytes ?? 0 },
      };
      const record = { ...begun, objects: addNewcomers(begun.objects, await closeDatabase(session, database, begun)) };
      await putTenantRow(session, fencedRow(tenant, take.run, record));
      return record;
    });
    await endRoleSessions(session, record.closedRoles);
    take.onStep('waiting for open sessions');
    const left = await endDatabaseSessions(session, database, {
      keepPids: [await backendOf(inside)],
      budgetMs: job.drainMs,
      signal: AbortSignal.any([take.signal, job.stop]),
    });
    if (left.length > 0) throw busy(left);
    return { record, structure, isGone: false, since };
  });
}

/** What an earlier run has written down; null: nothing was taken yet. Refuses what is in another state by now. */
function keptRecord(row: TenantRow | null): FenceRecord | null {
  if (row === null) return null;
  if (row.state === 'hibernating' && row.how === 'archive') return row.fence as FenceRecord;
  throw new TenantError({
    message: `it is ${row.state} by now, since ${row.since.toISOString()} by run ${row.run}`,
    code: row.state,
    hint: 'look at it: tenantctl tenants list',
  });
}

/** Before anything was taken: what `closeSchema` or `closeDatabase` finds is what it records. */
async function newRecord(session: Session, tenant: Tenant, ownRoles: readonly string[]) {
  const { oid } = await findStanding(session, tenant, null);
  return { oid, objects: [], closedRoles: await readLogins(session, ownRoles) };
}

async function refuseMisplaced(session: Session, tenant: Tenant, { oid }: FenceRecord): Promise<void> {
  const standing = await findStanding(session, tenant, oid);
  if (standing.oid === null || standing.oid !== oid) throw misplaced(tenant, standing);
}

/** Only what was written down to be dropped may be gone. */
async function isDropped(
  session: Session,
  tenant: Tenant,
  { oid }: FenceRecord,
  row: TenantRow | null,
): Promise<boolean> {
  if (row?.step !== 'dropping' || row.receipt === null) return false;
  const standing = await findStanding(session, tenant, oid);
  return standing.oid === null && standing.nameNow === null;
}

/** The row of a tenant behind its fence. */
function fencedRow(
  { database, schema, id, labels }: Tenant,
  run: string,
  fence: FenceRecord,
): Omit<TenantRow, 'since'> {
  return {
    ...{ database, schema, tenant: id, labels, run, fence },
    ...{ state: 'hibernating', how: 'archive', step: 'fenced', receipt: null },
  };
}

function busy(who: readonly string[]): TenantError {
  return new TenantError({
    message: `it is in use: ${listNames(who, 3)} would not let go of it in time`,
    code: 'busy',
    hint: 'end that session, or give it more time: --drain 5min',
  });
}
