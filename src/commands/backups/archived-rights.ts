import type { Repository } from '../../backups/repository/repository.ts';
import type { ChosenBackup } from '../../backups/restore/choose-backup.ts';
import type { RestoreHooks } from '../../backups/restore/restore-types.ts';
import { TenantError } from '../../errors.ts';
import { openFence, openRights } from '../../hibernation/open-fence.ts';
import type { Fence, Receipt } from '../../hibernation/receipt.ts';
import { readDatabaseRights } from '../../hibernation/rights.sql.ts';
import type { Queries } from '../../postgres/session.ts';

/**
 * Rights that an archive lacks: one that a tenant was put to sleep on was dumped behind a fence, and what it makes is
 * nobody's to use. Its receipt says what they were. Null: it has them itself.
 */
export async function readArchivedRights(
  repository: Repository,
  { backup, manifest }: ChosenBackup,
): Promise<RestoreHooks | null> {
  if (backup.receipt === null) return null;
  const receipt = (await repository.readReceipt(backup)) as Partial<Receipt> | null;
  if (receipt?.fence === undefined) {
    throw new TenantError({
      message: `the backup of ${backup.time} was dumped behind a fence, and its receipt, which says who may use it, cannot be read`,
      code: 'no-rights',
      hint: 'take an earlier one: --at; see what there is: tenantctl backups list',
    });
  }
  // Who may log in today is not the archive's to say.
  const fence: Fence = { ...receipt.fence, closedRoles: [] };
  const { database } = manifest.place;
  return manifest.place.schema === null
    ? { named: (session) => openRights(session, fence, () => readOne(session, database)) }
    : { inside: (session, schema) => openFence(session, schema ?? '', fence) };
}

export const rightsRemark = 'it was dumped behind a fence: it gets the rights that it had before that';

/** Its fence knows it by the name that it had; under another one it gets the rights of a new database. */
async function readOne(session: Queries, database: string) {
  const object = await readDatabaseRights(session, database);
  return object === null ? [] : [object];
}
