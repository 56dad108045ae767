import type { BackupPlace } from '../../fleet/inventory/backups.ts';
import { FolderStore } from './folder-store.ts';
import { isRewritable } from './names.ts';
import type { BackupStore } from './store.ts';

/** The AWS SDK is loaded here, and only for a bucket. */
export async function openStore(place: BackupPlace): Promise<BackupStore> {
  if (place.kind === 'folder') return new FolderStore(place.path);
  const { openS3Store } = await import('../../aws/s3-store.ts');
  return openS3Store(place, isRewritable);
}
