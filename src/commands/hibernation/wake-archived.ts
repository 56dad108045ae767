import { databaseExists, schemaExists, sessionRunner } from '../../backups/restore/sql-text.ts';
import { TenantError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { openDatabase } from '../../hibernation/database-fence.ts';
import { closeSchema } from '../../hibernation/fence.ts';
import { openFence } from '../../hibernation/open-fence.ts';
import type { Receipt, Structure } from '../../hibernation/receipt.ts';
import { compareRows, readRows } from '../../hibernation/row-prints.ts';
import { inTransaction } from '../../hibernation/transaction.ts';
import type { TakeOptions } from '../../migrations/take-tenant.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { putTenantRow, readTenantRow, type TenantRow } from '../../postgres/tenant-rows.ts';
import { listNames, shellQuote } from '../../words.ts';
import type { PlannedRestore } from '../backups/restore-plan.ts';
import { inDatabase } from './change-sleepers.ts';
import { compareStructures, structureOfDatabase, structureReader } from './structure-of.ts';
import type { WakeJob, Woken } from './wake-tenant.ts';

/** What is made of a row once something of its tenant was put in place. */
type WakingRow = Omit<TenantRow, 'since'>;

/** Restores a tenant behind its fence, compares it, and opens the fence. `session` is where its row is. */
export async function wakeArchived(session: Session, row: TenantRow, job: WakeJob, take: TakeOptions): Promise<Woken> {
  const { tenant, restore } = job.planned;
  const receipt = row.receipt as Receipt | null;
  if (restore === null || receipt === null || job.restorer === null) {
    throw new TenantError({
      message: `it is ${row.state} by run ${row.run} by now`,
      code: row.state,
      hint: `run the same again: tenantctl wake -t ${shellQuote(tenant.id)}`,
    });
  }
  const waking: WakingRow = { ...row, state: 'waking', step: 'opening', run: take.run };
  const isThere = await stands(session, tenant);
  const isOurs = row.state === 'waking' && row.step === 'opening' && isThere;
  // What has its name now is somebody else's: a restore of ours is there with this step, or not at all.
  if (isThere && !isOurs) throw targetExists(tenant);
  const restored = isOurs ? nothing : await restoreFenced(session, row, waking, { receipt, restore, job, take });
  take.onStep('opening the fence');
  const opened = await open(session, { ...waking, step: 'behind' }, receipt, job, take);
  const remarks = [...restored.remarks, ...opened.remarks];
  const structure = judgeStructure(receipt, opened.structure);
  const what = [...(structure.isSame ? ['structure'] : []), ...(restored.differences.length === 0 ? ['rows'] : [])];
  return {
    compared: what.length === 0 ? null : what.join(' and '),
    remarks: [...remarks, ...structure.remarks],
    differs: structure.differs || restored.differences.length > 0,
    seenRun: take.run,
  };
}

interface Restored {
  readonly remarks: readonly string[];
  /** Accepted ones: rows that are not what the receipt says. */
  readonly differences: readonly string[];
}

const nothing: Restored = { remarks: [], differences: [] };

interface RestoreParts {
  readonly receipt: Receipt;
  readonly restore: PlannedRestore;
  readonly job: WakeJob;
  readonly take: TakeOptions;
}

/**
 * It gets its name, or appears at all, in the transaction that says so, and after it was compared: default privileges
 * of the login would let others in as soon as it is there, and what is not right is never there.
 */
async function restoreFenced(
  session: Session,
  before: TenantRow,
  waking: WakingRow,
  { receipt, restore, job, take }: RestoreParts,
): Promise<Restored> {
  const { tenant } = restore;
  let differences: readonly string[] = [];
  const hooks: PlannedRestore['hooks'] = {
    inside: async (inside, schema) => {
      if (schema !== null) await closeSchema(inside, schema, receipt.fence);
      take.onStep('comparing rows');
      differences = compareRows(receipt.rows, await readRows(inside, schema === null ? null : [schema]));
      if (differences.length > 0 && !job.acceptsDifferences) throw rowsDiffer(tenant, differences, receipt);
      return [];
    },
    named: async (inside) => {
      await putTenantRow(inside, waking);
      return [];
    },
  };
  await inTransaction(session, () => putTenantRow(session, { ...waking, step: 'restoring' }));
  try {
    const { remarks } = await job.restorer!.restoreHeld(session, { ...restore, hooks }, take);
    const accepted = differences.map((difference) => `accepted: ${difference}`);
    return { remarks: [...remarks, ...accepted], differences };
  } catch (error) {
    // Nothing of it is there: it sleeps as before, and may be looked at.
    if (error instanceof TenantError && error.failure.code === rowsDifferCode) await sleepOn(session, before, take.run);
    throw error;
  }
}

const rowsDifferCode = 'rows-differ';

function rowsDiffer({ id, schema }: Tenant, differences: readonly string[], { backup }: Receipt): TenantError {
  const look = `tenantctl restore -t ${shellQuote(id)} --to-${schema === null ? 'database' : 'schema'} <name>`;
  const again = `tenantctl wake -t ${shellQuote(id)} --accept-differences`;
  return new TenantError({
    message: `what its archive of ${backup.time} holds is not what its receipt says: ${listNames(differences, 3)}`,
    code: rowsDifferCode,
    ...(differences.length > 3 ? { detail: differences.join('\n') } : {}),
    hint: `it sleeps as before, and nothing of it was kept; look at it beside: ${look}; then take it as it is: ${again}`,
  });
}

async function sleepOn(session: Session, before: TenantRow, run: string): Promise<void> {
  await inTransaction(session, async () => {
    const row = await readTenantRow(session, before, { lock: true });
    if (row?.state !== 'waking' || row.step !== 'restoring' || row.run !== run) return;
    const since = before.state === 'hibernated' ? before.since : null;
    await putTenantRow(session, { ...row, state: 'hibernated', step: 'hibernated' }, since);
  });
}

function targetExists({ id, schema, database }: Tenant): TenantError {
  const [kind, name] = schema === null ? (['database', database] as const) : (['schema', schema] as const);
  return new TenantError({
    message: `${kind} ${quoteIdentifier(name)} is there, and it is not this tenant, which sleeps`,
    code: 'target-exists',
    hint: `it was left alone; look whose it is, rename it (ALTER ${kind.toUpperCase()} ${quoteIdentifier(name)} RENAME TO …), then run the same again: tenantctl wake -t ${shellQuote(id)}`,
  });
}

function stands(session: Session, { schema, database }: Tenant): Promise<boolean> {
  const runner = sessionRunner(session);
  return schema === null ? databaseExists(runner, database) : schemaExists(runner, schema);
}

interface Opened {
  readonly structure: Structure;
  readonly remarks: readonly string[];
}

/** Gives back exactly what was taken, in the transaction that says so. */
async function open(
  session: Session,
  row: WakingRow,
  { fence }: Receipt,
  { planned: { tenant }, fleet }: WakeJob,
  take: TakeOptions,
): Promise<Opened> {
  const { schema, database } = tenant;
  if (schema !== null) {
    return inTransaction(session, async () => {
      const remarks = await openFence(session, schema, fence);
      await putTenantRow(session, row);
      return { remarks, structure: await structureReader(tenant)(session, schema) };
    });
  }
  const structure = await inDatabase(fleet, tenant, take, (inside) => {
    return inTransaction(inside, () => structureOfDatabase(inside, tenant));
  });
  const remarks = await inTransaction(session, async () => {
    const said = await openDatabase(session, database, fence);
    await putTenantRow(session, row);
    return said;
  });
  return { structure, remarks };
}

/** Whether it reads as before; unknown is neither the same nor different. */
function judgeStructure(
  { structure, restored }: Receipt,
  now: Structure,
): { readonly isSame: boolean; readonly differs: boolean; readonly remarks: readonly string[] } {
  const isAsProved = restored !== null && compareStructures(restored, now) === null;
  const difference = isAsProved ? null : compareStructures(structure, now);
  if (difference === null) return { isSame: true, differs: false, remarks: [] };
  const why =
    difference === 'unknown'
      ? 'its structure was not compared: its receipt is of another PostgreSQL or another tenantctl'
      : 'its structure reads otherwise than before it slept: compare it with others, tenantctl drift';
  return { isSame: false, differs: difference === 'differs', remarks: [why] };
}
