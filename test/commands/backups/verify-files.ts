import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupManifest } from '../../../src/backups/repository/manifest.ts';
import { manifestText } from '../../../src/backups/repository/record-text.ts';
import type { TestFleet } from '../../support/fleet.ts';

/** What stands beside the one archive of a tenant in the fleet's store. */
export async function jsonFile<T>(fleet: Pick<TestFleet, 'folder'>, tenant: string, ending: string): Promise<T> {
  const folder = join(fleet.folder, 'backups', tenant);
  const name = (await readdir(folder)).find((file) => file.endsWith(ending));
  if (name === undefined) throw new Error(`there is no ${ending} in ${folder}`);
  return JSON.parse(await readFile(join(folder, name), 'utf8')) as T;
}

/** Changes a manifest as somebody would who can make its checksum fit. */
jsonFile.rewrite = async (file: string, change: (manifest: BackupManifest) => BackupManifest): Promise<void> => {
  const { checksum: _, ...manifest } = JSON.parse(await readFile(file, 'utf8')) as BackupManifest & {
    readonly checksum?: string;
  };
  await chmod(file, 0o644);
  await writeFile(file, manifestText(change(manifest)));
};
