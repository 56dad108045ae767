import { databaseExists, sessionRunner } from '../../backups/restore/sql-text.ts';
import { TenantError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { dropDatabase } from '../../hibernation/drop-database.ts';
import { dropSchema } from '../../hibernation/drop-schema.ts';
import type { Receipt, TableRows } from '../../hibernation/receipt.ts';
import { inTransaction } from '../../hibernation/transaction.ts';
import type { TakeOptions } from '../../migrations/take-tenant.ts';
import { tenantKey } from '../../postgres/advisory-locks.ts';
import { lockTenant } from '../../postgres/lock-wait.ts';
import type { Session } from '../../postgres/session.ts';
import { putTenantRow, readTenantRow, type TenantRow } from '../../postgres/tenant-rows.ts';
import { listNames } from '../../words.ts';
import type { Fleet } from '../open-fleet.ts';
import { inDatabase } from './change-sleepers.ts';
import type { Fenced } from './fence-tenant.ts';
import { compareStructures, structureOfDatabase, structureReader } from './structure-of.ts';

export interface DropTenantJob {
  readonly fleet: Fleet;
  readonly tenant: Tenant;
  readonly fenced: Fenced;
  readonly receipt: Receipt;
  /** Of the restored copy. */
  readonly rows: readonly TableRows[];
  /** Milliseconds for whoever came in behind the fence to go. */
  readonly drainMs: number;
}

/**
 * Drops a fenced tenant, if it still is what its archive was proved to be, and says so in the same transaction. Throws a
 * TenantError `changed` when it is not, `taken-over` when another run works on it: then nothing was dropped.
 */
export async function dropTenant(session: Session, job: DropTenantJob, take: TakeOptions): Promise<void> {
  const { tenant, receipt } = job;
  // The answer to a COMMIT may have been lost.
  const row = await readTenantRow(session, tenant);
  if (row?.state === 'hibernated' && row.run === take.run) return;
  take.onStep('comparing with its archive');
  const changes = tenant.schema === null ? await dropOwn(session, job, take) : await dropShared(session, job, take);
  if (changes.length === 0) return;
  throw new TenantError({
    message: `it is not what its archive of ${receipt.backup.time} holds: ${listNames(changes, 3)}`,
    code: 'changed',
    ...(changes.length > 3 ? { detail: changes.join('\n') } : {}),
    hint: 'nothing was dropped; find out who writes to it past its rights (a superuser, a job), then run the same again',
  });
}

function dropShared(session: Session, job: DropTenantJob, take: TakeOptions): Promise<readonly string[]> {
  const { tenant, fenced, rows } = job;
  const schema = tenant.schema ?? '';
  return dropSchema(session, {
    ...{ schema, rows, structure: fenced.structure, structureOf: structureReader(tenant) },
    lockTimeoutMs: take.lockTimeoutMs,
    confirm: async (inside) => refuseOthers(await readTenantRow(inside, tenant, { lock: true }), take.run),
    record: (inside) => putTenantRow(inside, sleepingRow(job, 'hibernated')),
  });
}

async function dropOwn(session: Session, job: DropTenantJob, take: TakeOptions): Promise<readonly string[]> {
  const { tenant } = job;
  const row = await readTenantRow(session, tenant);
  refuseOthers(row, take.run);
  // The answer to DROP DATABASE may have been lost too.
  const isGone = row?.step === 'dropping' && !(await databaseExists(sessionRunner(session), tenant.database));
  const changes = isGone ? [] : await dropStanding(session, job, take);
  if (changes.length > 0) return changes;
  await inTransaction(session, () => putTenantRow(session, sleepingRow(job, 'hibernated')));
  return [];
}

async function dropStanding(session: Session, job: DropTenantJob, take: TakeOptions): Promise<readonly string[]> {
  const { fleet, tenant, fenced, rows } = job;
  const { server, database } = tenant;
  await fleet.pools.closeIdle(server, database);
  return inDatabase(fleet, tenant, take, async (inside) => {
    // A dump or migration of ours that came in behind the fence is not to be ended in the middle.
    await lockTenant(inside, tenantKey(null));
    return dropDatabase(session, inside, {
      ...{ database, rows, budgetMs: job.drainMs, signal: take.signal },
      compare: async (doomed) => {
        const structure = await inTransaction(doomed, () => structureOfDatabase(doomed, tenant));
        return compareStructures(fenced.structure, structure) === null ? [] : ['its structure was changed'];
      },
      record: (outside) => inTransaction(outside, () => putTenantRow(outside, sleepingRow(job, 'hibernating'))),
    });
  });
}

/**
 * A database is dropped outside of any transaction; a run was killed before it could write down that it is gone. `keep`
 * sees to its receipt in the store.
 */
export async function settleDropped(
  session: Session,
  tenant: Tenant,
  keep: (receipt: Receipt) => Promise<void>,
): Promise<Receipt> {
  return inTransaction(session, async () => {
    const row = await readTenantRow(session, tenant, { lock: true });
    if (row?.state !== 'hibernating' || row.receipt === null) throw takenOver(row);
    const receipt = row.receipt as Receipt;
    await keep(receipt);
    await putTenantRow(session, { ...row, state: 'hibernated', step: 'hibernated' });
    return receipt;
  });
}

function refuseOthers(row: TenantRow | null, run: string): void {
  if (row?.state !== 'hibernating' || row.run !== run) throw takenOver(row);
}

/** Two runs at once: nothing is lost, and the other one says what became of it. */
function takenOver(row: TenantRow | null): TenantError {
  return new TenantError({
    message: row === null ? 'another run has opened its fence' : `it is ${row.state} by run ${row.run} now`,
    code: 'taken-over',
    hint: 'nothing was dropped by this run; see where it stands: tenantctl tenants list',
  });
}

/** `hibernating`: the database is about to be dropped; whether it is, the server tells. */
function sleepingRow(
  { tenant, receipt, fenced }: DropTenantJob,
  state: 'hibernated' | 'hibernating',
): Omit<TenantRow, 'since'> {
  const { database, schema, id, labels } = tenant;
  const step = state === 'hibernated' ? 'hibernated' : 'dropping';
  const facts = { how: 'archive', run: receipt.run, fence: fenced.record, receipt };
  return { database, schema, tenant: id, labels, state, step, ...facts };
}
