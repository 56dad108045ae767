import { TenantError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { endDatabaseSessions } from '../../hibernation/end-sessions.ts';
import { setConnections } from '../../hibernation/lock-database.ts';
import { inTransaction } from '../../hibernation/transaction.ts';
import type { TakeOptions } from '../../migrations/take-tenant.ts';
import { tenantKey } from '../../postgres/advisory-locks.ts';
import { lockTenant } from '../../postgres/lock-wait.ts';
import type { Session } from '../../postgres/session.ts';
import {
  deleteTenantRow,
  ensureTenantTable,
  putTenantRow,
  readTenantRow,
  type TenantRow,
} from '../../postgres/tenant-rows.ts';
import { listNames } from '../../words.ts';
import type { Fleet } from '../open-fleet.ts';
import { backendOf, inDatabase } from './change-sleepers.ts';

export interface LockJob {
  readonly fleet: Fleet;
  readonly tenant: Tenant;
  readonly drainMs: number;
  readonly stop: AbortSignal;
}

/**
 * Closes a database to everybody, a superuser too; it stays on disk. It sleeps when nobody is left in there; it is opened
 * again when its sessions do not end. Whoever is killed in between is carried on. A migration or dump of ours is waited for.
 */
export async function lockTenantDatabase(session: Session, job: LockJob, take: TakeOptions): Promise<void> {
  const { fleet, tenant } = job;
  await ensureTenantTable(session);
  const before = await readTenantRow(session, tenant);
  refuseOthers(before, take.run);
  if (before?.state === 'hibernated') return;
  // Closed by a run that was killed: its locks are asked for inside.
  if (before !== null) await setConnections(session, tenant.database, true);
  await fleet.pools.closeIdle(tenant.server, tenant.database);
  await inDatabase(fleet, tenant, take, async (inside) => {
    await lockTenant(inside, tenantKey(null));
    await closeAndEmpty(session, job, take, [await backendOf(inside)]);
  });
  await inTransaction(session, () => putTenantRow(session, lockRow(tenant, take.run, 'hibernated', 'hibernated')));
}

/** Nobody gets in any more, and nobody but `keepPids` is left. */
async function closeAndEmpty(
  session: Session,
  { tenant, drainMs, stop }: LockJob,
  take: TakeOptions,
  keepPids: readonly number[],
): Promise<void> {
  const { database } = tenant;
  take.onStep('closing the database');
  await inTransaction(session, async () => {
    refuseOthers(await readTenantRow(session, tenant, { lock: true }), take.run);
    await putTenantRow(session, lockRow(tenant, take.run, 'hibernating', 'closed'));
    await setConnections(session, database, false);
  });
  take.onStep('waiting for open sessions');
  const signal = AbortSignal.any([take.signal, stop]);
  const ending = endDatabaseSessions(session, database, { keepPids, budgetMs: drainMs, signal });
  const left = await ending.catch(async (error: unknown) => {
    // What cannot be undone is carried on by the same command.
    if (!session.isBroken) await openAgain(session, tenant).catch(() => {});
    throw error;
  });
  if (left.length === 0) return;
  await openAgain(session, tenant);
  throw new TenantError({
    message: `it is in use: ${listNames(left, 3)} would not let go of it in time`,
    code: 'busy',
    hint: 'the database was opened again; end that session, or give it more time: --drain 5min',
  });
}

function lockRow(
  { id, labels, database, schema }: Tenant,
  run: string,
  state: TenantRow['state'],
  step: string,
): Omit<TenantRow, 'since'> {
  return { database, schema, tenant: id, labels, run, fence: null, receipt: null, state, how: 'lock', step };
}

/** The answer to a COMMIT of this very run may have been lost. */
function refuseOthers(row: TenantRow | null, run: string): void {
  const isOurs = row === null || (row.how === 'lock' && (row.state === 'hibernating' || row.run === run));
  if (!isOurs) throw new TenantError({ message: `it is ${row.state} by run ${row.run} now`, code: row.state });
}

/** Lets everybody in again who may, and says that what it has missed is still to come: then its row goes. */
export async function unlockTenantDatabase(session: Session, row: TenantRow, run: string): Promise<void> {
  await inTransaction(session, async () => {
    await setConnections(session, row.database, true);
    await putTenantRow(session, { ...row, state: 'waking', step: 'behind', run });
  });
}

async function openAgain(session: Session, tenant: Tenant): Promise<void> {
  await inTransaction(session, async () => {
    await setConnections(session, tenant.database, true);
    await deleteTenantRow(session, tenant);
  });
}
