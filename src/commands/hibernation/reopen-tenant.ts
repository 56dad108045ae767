import type { Tenant } from '../../fleet/tenant.ts';
import { openDatabase } from '../../hibernation/database-fence.ts';
import { openFence } from '../../hibernation/open-fence.ts';
import { inTransaction } from '../../hibernation/transaction.ts';
import type { Session } from '../../postgres/session.ts';
import { deleteTenantRow, readTenantRow } from '../../postgres/tenant-rows.ts';
import { findStanding, misplaced } from './fence-place.ts';
import type { FenceRecord } from './fence-record.ts';

export interface Reopened {
  /** In use now (`opened`), or before we came (`already`); it sleeps (`dropped`); another run has it (`left`). */
  readonly what: 'opened' | 'already' | 'dropped' | 'left';
  /** Rights that could not be given back: whose role is gone, and on what is gone. */
  readonly remarks: readonly string[];
}

/**
 * Gives a tenant back what was taken, and takes its row away: it is in use as before. Of `run` alone, or of whoever began
 * it (null). What is not there under its name keeps its row, and what was taken stays known.
 */
export async function reopenTenant(session: Session, tenant: Tenant, run: string | null): Promise<Reopened> {
  return inTransaction(session, async () => {
    const row = await readTenantRow(session, tenant, { lock: true });
    if (row === null) return bare('already');
    if (run !== null && row.run !== run) return bare('left');
    if (row.state !== 'hibernating') return bare(row.state === 'hibernated' ? 'dropped' : 'left');
    const fence = row.fence as FenceRecord;
    const standing = await findStanding(session, tenant, fence.oid);
    if (standing.oid === null) {
      if (row.step === 'dropping' && row.receipt !== null && standing.nameNow === null) return bare('dropped');
      throw misplaced(tenant, standing);
    }
    const remarks =
      tenant.schema === null
        ? await openDatabase(session, tenant.database, fence)
        : await openFence(session, tenant.schema, fence);
    await deleteTenantRow(session, tenant);
    return { what: 'opened', remarks };
  });
}

function bare(what: Reopened['what']): Reopened {
  return { what, remarks: [] };
}
