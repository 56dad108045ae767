import { openStore } from '../../backups/repository/open-store.ts';
import { readStoreOwner } from '../../backups/repository/store-mark.ts';
import { lookAtFolder } from '../../diagnosis/check-state-folder.ts';
import { type Finding, findingsAbout } from '../../diagnosis/finding.ts';
import { TenantError, UsageError } from '../../errors.ts';
import type { BackupPlace } from '../../fleet/inventory/backups.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';

const about = findingsAbout('inventory');
const id = 'backup-store';

/** Whether the places of backups can be reached, and are this environment's. Writes nothing. */
export async function checkStores({ backups, environment }: Inventory): Promise<readonly Finding[]> {
  const places = { 'backups.to': backups.to, 'backups.copyTo': backups.copyTo };
  const named = Object.entries(places).filter((entry): entry is [string, BackupPlace] => entry[1] !== null);
  return Promise.all(named.map(([key, place]) => checkStore(key, place, environment)));
}

async function checkStore(key: string, place: BackupPlace, environment: string): Promise<Finding> {
  if (place.kind === 'folder') {
    const { existing, obstacle } = await lookAtFolder(place.path);
    if (obstacle === 'file') return about.error(id, `${key}: ${existing} is a file`, `name a folder in ${key}`);
    if (obstacle === 'closed') {
      return about.error(id, `${key}: ${existing} cannot be written`, 'make it writable for this user');
    }
    if (existing !== place.path)
      return about.info(id, `${key}: ${place.path} is not there yet`, 'the first `tenantctl dump` makes it');
  }
  try {
    const store = await openStore(place);
    const owner = await readStoreOwner(store);
    // A mark is found by its name: whether the bucket can be listed it does not say.
    for await (const _ of store.list('')) break;
    if (owner.environment !== null && owner.environment !== environment) {
      const message = `${key}: ${store.name} keeps the backups of environment ${owner.environment}`;
      return about.error(id, message, `give environment ${environment} a place of its own`);
    }
    return about.ok(id, `${key}: ${store.name} can be reached`);
  } catch (error) {
    const known = error instanceof TenantError ? error.failure : error instanceof UsageError ? error : null;
    if (known === null) throw error;
    return about.error(id, `${key}: ${known.message}`, known.hint ?? `look at ${key}`);
  }
}
