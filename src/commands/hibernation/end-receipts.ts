import type { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { toFailure } from '../../postgres/failure.ts';
import { openRepository, type RepositoryOptions } from '../backups/open-repository.ts';
import type { Fleet } from '../open-fleet.ts';

/**
 * Of a tenant that is in use again: its archive is a backup like others now, and so are those of runs that were killed
 * before they could drop it. What goes wrong is told, and is no reason to keep it closed.
 */
export async function endReceipts({ emit }: Context, { id }: Tenant, repository: Repository): Promise<void> {
  try {
    const backups = await repository.listBackups({ tenants: [id], kinds: ['tenant'], withManifests: false });
    for (const backup of backups) if (backup.receipt?.living === true) await repository.endReceipt(backup);
  } catch (error) {
    const message = `${id}: its receipt in ${repository.name} could not be ended, so that its archive does not expire: ${toFailure(error).message}`;
    emit({ type: 'notice', level: 'warning', message });
  }
}

/** The same for tenants whose fence was opened before they were dropped: no store is needed for that, so none may be there. */
export async function endReceiptsOfOpened(
  context: Context,
  { inventory }: Fleet,
  tenants: readonly Tenant[],
  options: { readonly repository: RepositoryOptions },
): Promise<void> {
  if (tenants.length === 0) return;
  try {
    await using repository = await openRepository(context, inventory, { ...options.repository, for: 'change' });
    for (const tenant of tenants) await endReceipts(context, tenant, repository);
  } catch (error) {
    const message = `receipts of tenants that are in use again could not be ended: ${toFailure(error).message}`;
    context.emit({ type: 'notice', level: 'warning', message });
  }
}
