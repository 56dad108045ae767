import { TenantError } from '../../errors.ts';
import { readRecord } from './catalogue.ts';
import { textContent } from './content.ts';
import { parseKey } from './names.ts';
import { readManifest } from './record-text.ts';
import type { BackupStore } from './store.ts';

/**
 * Stands at the root of a store as `_store.json`: of which environment its backups are. Two fleets that name one store
 * would restore each other's tenants, and expire them.
 */
interface StoreMark {
  readonly schema: 'tenantctl-store/1';
  /** As the inventory of the first dump named it. */
  readonly environment: string;
  /** RFC 3339, UTC. */
  readonly createdAt: string;
}

const schema = 'tenantctl-store/1';
const key = '_store.json';

/** Whose backups a store keeps. `environment` is null when there are none. */
export interface StoreOwner {
  readonly environment: string | null;
  /** False: nothing was ever dumped there, or its mark was lost. */
  readonly isMarked: boolean;
}

/** By its mark; where that was lost, by the backups themselves. */
export async function readStoreOwner(store: BackupStore): Promise<StoreOwner> {
  const mark = await readMark(store);
  if (mark !== null) return { environment: mark.environment, isMarked: true };
  return { environment: await environmentOfBackups(store), isMarked: false };
}

/** What the first manifest says that can be believed. */
async function environmentOfBackups(store: BackupStore): Promise<string | null> {
  for await (const { key: file } of store.list('')) {
    if (parseKey(file)?.part !== 'manifest') continue;
    const read = await readRecord(store, file, readManifest);
    if (read !== null && 'value' in read) return read.value.environment;
  }
  return null;
}

/** Null: there is none. One that cannot be understood is an error: it may be another fleet's. */
async function readMark(store: BackupStore): Promise<StoreMark | null> {
  const bytes = await store.readSmall(key);
  if (bytes === null) return null;
  const mark = parse(Buffer.from(bytes).toString());
  if (mark !== null) return mark;
  throw new TenantError({
    message: `${store.name}/${key} cannot be understood: nobody can say whose backups these are`,
    code: 'store',
    hint: `it should hold {"schema": "${schema}", "environment": "…", "createdAt": "2026-11-22T10:15:00Z"}: put it right`,
  });
}

/** A store without a mark, which gets one before the first file that is put: nothing is ever in it that is nobody's. */
export function markedStore(store: BackupStore, environment: string, now: () => Date): BackupStore {
  let isMarked = false;
  return {
    name: store.name,
    spoolFolder: (file) => store.spoolFolder(file),
    put: async (file, content, signal) => {
      // Several puts may come to it at once: one of them writes the mark, and the others find it.
      if (!isMarked) await writeMark(store, { schema, environment, createdAt: now().toISOString() }, signal);
      isMarked = true;
      await store.put(file, content, signal);
    },
    localPath: (file) => store.localPath(file),
    read: (file, signal) => store.read(file, signal),
    readSmall: (file) => store.readSmall(file),
    list: (prefix) => store.list(prefix),
    remove: (files) => store.remove(files),
    removeLeftovers: (since) => store.removeLeftovers(since),
  };
}

async function writeMark(store: BackupStore, mark: StoreMark, signal?: AbortSignal): Promise<void> {
  try {
    await store.put(key, textContent(`${JSON.stringify(mark, null, 2)}\n`), signal);
  } catch (error) {
    signal?.throwIfAborted();
    // Another dump of this fleet was quicker, or of another one.
    const other = await readMark(store);
    if (other === null) throw error;
    if (other.environment === mark.environment) return;
    const message = `${store.name} has become the store of environment ${other.environment} meanwhile`;
    throw new TenantError({ message, code: 'store', hint: 'give each environment a place of its own' });
  }
}

function parse(json: string): StoreMark | null {
  try {
    const mark = JSON.parse(json) as Partial<StoreMark> | null;
    const { environment, createdAt } = mark ?? {};
    if (mark?.schema !== schema || typeof environment !== 'string' || typeof createdAt !== 'string') return null;
    return { schema, environment, createdAt };
  } catch {
    return null;
  }
}
