import type { TakeOptions } from '../../migrations/take-tenant.ts';
import type { Session } from '../../postgres/session.ts';
import { readTenantRow } from '../../postgres/tenant-rows.ts';
import type { Restorer } from '../backups/restore-job.ts';
import type { Fleet } from '../open-fleet.ts';
import { unlockTenantDatabase } from './lock-tenant.ts';
import { reopenTenant } from './reopen-tenant.ts';
import { wakeArchived } from './wake-archived.ts';
import type { PlannedWake } from './wake-plan.ts';

/** A tenant whose application can use it again. */
export interface Woken {
  /** What was found to be as it was; null: it never left its place, or an earlier run has looked. */
  readonly compared: string | null;
  readonly remarks: readonly string[];
  /** Its structure is another one than it was, or its rows are and that was accepted. */
  readonly differs: boolean;
  /** The run that its row names until it is forgotten; null: it has none. */
  readonly seenRun: string | null;
}

export interface WakeJob {
  readonly fleet: Fleet;
  readonly planned: PlannedWake;
  readonly restorer: Restorer | null;
  /** Rows that are not what the receipt says are no reason to leave it asleep: somebody has looked. */
  readonly acceptsDifferences: boolean;
}

/** Brings one tenant back from where its row says that it is. `session` is where the row is, and holds its locks. */
export async function wakeTenant(session: Session, job: WakeJob, take: TakeOptions): Promise<Woken> {
  const { tenant } = job.planned;
  const row = await readTenantRow(session, tenant);
  if (row === null) return remarked('it is awake by now', null);
  if (row.how === 'lock') {
    take.onStep('opening the database');
    await unlockTenantDatabase(session, row, take.run);
    return remarked('its database was closed, and nothing of it has changed', take.run);
  }
  if (row.state === 'hibernating') {
    take.onStep('opening the fence');
    const { what, remarks } = await reopenTenant(session, tenant, null);
    if (what === 'opened') return remarked('it was not asleep yet: its fence was opened again', null, remarks);
  }
  if (row.step === 'behind') return remarked('an earlier run had restored it', row.run);
  return wakeArchived(session, row, job, take);
}

function remarked(remark: string, seenRun: string | null, more: readonly string[] = []): Woken {
  return { compared: null, remarks: [remark, ...more], differs: false, seenRun };
}
