import path from 'node:path';
import { checkRecipients, readIdentities } from '../../backups/repository/encryption.ts';
import { openStore } from '../../backups/repository/open-store.ts';
import { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { type BackupPlace, buildPlace } from '../../fleet/inventory/backups.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import type { Flag, RawOptions } from '../command.ts';
import { readText } from '../read-options.ts';

export const storeFlag: Flag = {
  flags: '--store <url>',
  description: 'a folder or s3://bucket/prefix, in place of backups.to of the inventory',
  fromEnvironment: false,
  group: 'Backups:',
};

export const identityFlag: Flag = {
  flags: '--identity <file>',
  description: 'a file of age-keygen with the key that opens encrypted backups',
  fromEnvironment: true,
  group: 'Backups:',
};

/** For commands that open archives. */
export const repositoryFlags: readonly Flag[] = [storeFlag, identityFlag];

export interface RepositoryOptions {
  readonly store: string | null;
  readonly identity: string | null;
}

export function readRepositoryOptions(raw: RawOptions): RepositoryOptions {
  return { store: readText(raw, 'store'), identity: readText(raw, 'identity') };
}

/** The backups of a fleet, ready to be read and written. Mistakes in what was given end here, with exit code 2. */
export async function openRepository(
  context: Context,
  inventory: Inventory,
  options: RepositoryOptions,
): Promise<Repository> {
  const { backups } = inventory;
  const to = placeOf(context, inventory, options.store);
  await checkRecipients(backups.encryptTo, 'backups.encryptTo');
  const identities =
    options.identity === null ? null : await readIdentities(path.resolve(context.cwd, options.identity));
  // A store that was named is that one alone, so that nobody removes from the copy what they meant to remove from it.
  const copyTo = options.store === null ? backups.copyTo : null;
  return new Repository({
    store: await openStore(to),
    copy: copyTo === null ? null : await openStore(copyTo),
    recipients: backups.encryptTo,
    identities,
    now: context.now,
  });
}

function placeOf(context: Context, { file, backups }: Inventory, store: string | null): BackupPlace {
  const named = store === null ? backups.to : buildPlace(store, context.cwd);
  if (named === null) {
    throw new UsageError(`${file} does not say where backups are`, {
      hint: 'add `backups: { to: ./backups }`, or name the place: --store <folder or s3://bucket/prefix>',
    });
  }
  // The region, the endpoint and the key of a bucket stand in the inventory, and belong to it.
  return [backups.to, backups.copyTo].find((known) => known !== null && isSame(known, named)) ?? named;
}

function isSame(a: BackupPlace, b: BackupPlace): boolean {
  if (a.kind === 'folder') return b.kind === 'folder' && a.path === b.path;
  return b.kind === 's3' && a.bucket === b.bucket && a.prefix === b.prefix;
}
