import { stat } from 'node:fs/promises';
import path from 'node:path';
import { checkRecipients, readIdentities } from '../../backups/repository/encryption.ts';
import { readError } from '../../backups/repository/file-errors.ts';
import { openStore } from '../../backups/repository/open-store.ts';
import { Repository } from '../../backups/repository/repository.ts';
import { markedStore, readStoreOwner } from '../../backups/repository/store-mark.ts';
import type { Context } from '../../context.ts';
import { RefusedError, UsageError } from '../../errors.ts';
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

const identityFlag: Flag = {
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

/**
 * What a store is opened for. `write`: dumps, which make a folder and claim the store for their environment; `change`:
 * pins and what is removed; `read`: what is read of another environment's store must have been named by `--store`;
 * `look`: whoever's it is.
 */
export type StoreUse = 'write' | 'change' | 'read' | 'look';

/**
 * The backups of a fleet, ready to be read and written. Mistakes in what was given end here, with exit code 2; a store
 * that keeps another environment's backups with 5.
 */
export async function openRepository(
  context: Context,
  inventory: Inventory,
  options: RepositoryOptions & { readonly for?: StoreUse },
): Promise<Repository> {
  const { backups, environment } = inventory;
  const use = options.for ?? 'read';
  const to = placeOf(context, inventory, options.store);
  await checkRecipients(backups.encryptTo, 'backups.encryptTo');
  const identities =
    options.identity === null ? null : await readIdentities(path.resolve(context.cwd, options.identity));
  if (use !== 'write') await refuseMissing(to);
  // A store that was named is that one alone, so that nobody removes from the copy what they meant to remove from it.
  const copyTo = options.store === null ? backups.copyTo : null;
  const open = async (place: BackupPlace) => {
    const store = await openStore(place);
    const owner = await readStoreOwner(store);
    if (owner.environment !== null && owner.environment !== environment) {
      const isNamed = options.store !== null;
      meetForeign(context, { store: store.name, of: owner.environment, environment, use, isNamed });
    }
    if (owner.isMarked || use !== 'write') return { store, environment: owner.environment };
    return { store: markedStore(store, environment, context.now), environment };
  };
  const copy = copyTo === null ? null : (await open(copyTo)).store;
  return new Repository({ ...(await open(to)), copy, recipients: backups.encryptTo, identities, now: context.now });
}

/** An empty store is one thing, a mistyped or unmounted folder another: it must not pass for nothing to do. */
async function refuseMissing(place: BackupPlace): Promise<void> {
  if (place.kind !== 'folder') return;
  const found = await stat(place.path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return null;
    throw readError(place.path, cause);
  });
  if (found?.isDirectory()) return;
  throw new UsageError(`there is no folder ${place.path}`, {
    hint: 'look at backups.to of the inventory and at --store; the first dump makes the folder',
  });
}

interface Foreign {
  readonly store: string;
  /** Whose it is. */
  readonly of: string;
  readonly environment: string;
  readonly use: StoreUse;
  /** By --store. */
  readonly isNamed: boolean;
}

/** Tenants of two environments have the same names: one fleet's newest backup would be the other's. */
function meetForeign(context: Context, { store, of, environment, use, isNamed }: Foreign): void {
  if (use === 'look') return;
  const message = `${store} keeps the backups of environment ${of}, and the inventory is of ${environment}`;
  if (use === 'read' && isNamed) {
    context.emit({ type: 'notice', level: 'warning', message });
    return;
  }
  const own = 'give each environment a place of its own in backups.to';
  throw new RefusedError(message, {
    hint: use === 'read' ? `${own}; to read from this one all the same, name it: --store <url>` : own,
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
