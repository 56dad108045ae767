import type { Backup } from './backup.ts';
import { baseKey } from './names.ts';

export function isEncrypted(backup: Backup): boolean {
  return backup.keys.file?.endsWith('.age') === true;
}

/** Was it ever complete? Records are only written beside a manifest: where they are alone, it was lost. */
export function wasComplete({ keys }: Backup): boolean {
  return keys.manifest !== null || keys.verified !== null || keys.pin !== null || keys.receipt !== null;
}

/** The way to its files, also where its id is not known because it was too long for a folder's name. */
export function baseOf({ keys, subject, time }: Backup): string {
  const known = keys.file ?? keys.manifest ?? keys.verified ?? keys.pin ?? keys.receipt;
  return known === null ? baseKey(subject, time) : `${known.slice(0, known.lastIndexOf('/'))}/${time}`;
}

export function filesBesideManifest(backup: Backup): readonly string[] {
  return ['.dump', '.dump.age', '.sql', '.sql.age', '.verified.json', '.pin.json', '.receipt.json'].map(
    (end) => baseOf(backup) + end,
  );
}
