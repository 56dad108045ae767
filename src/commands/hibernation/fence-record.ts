import type { Tenant } from '../../fleet/tenant.ts';
import { tenantSchema } from '../../fleet/tenant.ts';
import type { Fence, Structure } from '../../hibernation/receipt.ts';
import { findHistories, readHistories } from '../../migrations/history.ts';
import type { Session } from '../../postgres/session.ts';

/**
 * What `tenantctl.tenant` keeps of a tenant that is being put to sleep: what was taken from whom, and what it was before
 * anything was taken. Whoever carries on must not read that of a fenced tenant.
 */
export interface FenceRecord extends Fence {
  /** Of the schema or database: one that is renamed keeps it. */
  readonly oid: string | null;
  readonly structure: Structure;
  /** Names of applied migrations, oldest first; null: no history table. */
  readonly applied: readonly string[] | null;
  /** On disk. */
  readonly sizeBytes: number;
}

/** Names of the migrations that a tenant has, oldest first; null: it has no history. */
export async function readApplied(session: Session, tenant: Tenant): Promise<readonly string[] | null> {
  const places = await findHistories(session, [tenantSchema(tenant)]);
  if (places.get(tenantSchema(tenant))?.tableExists !== true) return null;
  const histories = await readHistories(session, [tenant], places);
  return (histories.get(tenant) ?? []).map(({ name }) => name);
}
