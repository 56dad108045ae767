import { randomBytes } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { TenantError } from '../../errors.ts';
import { readContent } from './content.ts';
import { codeOf, readError, writeError } from './file-errors.ts';
import { inParallel } from './in-parallel.ts';
import { isRewritable, namePattern } from './names.ts';
import type { BackupStore, Content, StoredFile } from './store.ts';

/** What is being written has this at its end, and no reader takes it for more. */
const partialSuffix = '.partial';

/** Files that are looked at at the same time; more does not help a disk. */
const lookingAt = 32;

/** Backups are all of a customer's data: for their owner and its group. Archives are not even written by these. */
const modes = { folder: 0o750, fixed: 0o440, rewritable: 0o640 } as const;

/** Where a file system has no hard links, or allows no more of them. */
const noLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV']);

/** What a store's folder holds, each written as `<key>.<random>.partial`, flushed, and given its name at last. */
export class FolderStore implements BackupStore {
  readonly name: string;
  readonly #root: string;
  /** Folders that are there. */
  readonly #made = new Set<string>();

  /** `root`: absolute. */
  constructor(root: string) {
    this.#root = root;
    this.name = root;
  }

  localPath(key: string): string {
    return path.join(this.#root, ...key.split('/'));
  }

  async spoolFolder(key: string): Promise<string> {
    const folder = path.dirname(this.localPath(key));
    try {
      await this.#makeOnce(folder);
    } catch (cause) {
      throw writeError(folder, cause);
    }
    return folder;
  }

  /** A tenant's folder gets two files: it is looked for once. */
  async #makeOnce(folder: string): Promise<void> {
    if (this.#made.has(folder)) return;
    await makeFolder(folder);
    this.#made.add(folder);
  }

  async put(key: string, content: Content, signal?: AbortSignal): Promise<void> {
    const target = this.localPath(key);
    const folder = path.dirname(target);
    const isHere = content.kind === 'file' && content.isOurs && path.dirname(path.resolve(content.path)) === folder;
    const partial = isHere ? content.path : partialPath(target);
    try {
      await this.#makeOnce(folder);
      const mode = isRewritable(key) ? modes.rewritable : modes.fixed;
      if (isHere) await flushFile(partial, mode);
      else await writeFlushed(partial, content, mode, signal);
      signal?.throwIfAborted();
      await (isRewritable(key) ? rename(partial, target) : giveName(partial, target));
      await flushFolder(folder);
    } catch (cause) {
      // Or it was taken away meanwhile.
      this.#made.delete(folder);
      // A spooled file is its maker's to throw away, who may want to send it elsewhere.
      if (!isHere) await rm(partial, { force: true }).catch(() => {});
      signal?.throwIfAborted();
      throw writeError(target, cause);
    }
  }

  async read(key: string, signal?: AbortSignal): Promise<Readable | null> {
    const file = this.localPath(key);
    let handle: FileHandle;
    try {
      handle = await open(file);
    } catch (cause) {
      if (isMissing(cause)) return null;
      throw readError(file, cause);
    }
    return handle.createReadStream({ highWaterMark: 1 << 18, ...(signal && { signal }) });
  }

  async readSmall(key: string): Promise<Uint8Array | null> {
    const file = this.localPath(key);
    try {
      return await readFile(file);
    } catch (cause) {
      if (isMissing(cause)) return null;
      throw readError(file, cause);
    }
  }

  async *list(prefix: string): AsyncGenerator<StoredFile> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    for await (const file of this.#walk(folder)) {
      if (file.key.startsWith(prefix) && !file.key.endsWith(partialSuffix)) yield file;
    }
  }

  async remove(keys: readonly string[]): Promise<void> {
    const files = keys.map((key) => this.localPath(key));
    await inParallel(files, lookingAt, async (file) => {
      await rm(file, { force: true }).catch((cause) => {
        throw new TenantError(
          { message: `${file} cannot be removed: ${codeOf(cause)}`, code: 'store', hint: 'look at its permissions' },
          { cause },
        );
      });
    });
    // Or a power cut could bring back what was removed first, and not what was removed after it.
    await inParallel([...new Set(files.map((file) => path.dirname(file)))], lookingAt, (folder) =>
      flushFolder(folder).catch((cause) => {
        if (!isMissing(cause)) throw writeError(folder, cause);
      }),
    );
  }

  async removeLeftovers(since: Date): Promise<readonly string[]> {
    const removed: string[] = [];
    for await (const { key, modifiedAt } of this.#walk('')) {
      if (!key.endsWith(partialSuffix) || modifiedAt >= since) continue;
      await rm(this.localPath(key), { force: true });
      removed.push(key);
    }
    return removed;
  }

  /** All files below, in the order of their keys. `folder` ends in a slash, or is empty. */
  async *#walk(folder: string): AsyncGenerator<StoredFile> {
    const where = this.localPath(folder);
    let entries: Dirent[];
    try {
      entries = await readdir(where, { withFileTypes: true });
    } catch (cause) {
      if (isMissing(cause)) return;
      throw readError(where, cause);
    }
    const ours = entries
      .filter((entry) => isOurs(entry.name) && (entry.isDirectory() || entry.isFile()))
      .map((entry) => ({ key: `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`, isFile: entry.isFile() }))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
    const files = await inParallel(
      ours.filter(({ isFile }) => isFile),
      lookingAt,
      ({ key }) => this.#look(key),
    );
    const known = new Map(files.flatMap((file) => (file === null ? [] : [[file.key, file] as const])));
    for (const { key, isFile } of ours) {
      const file = known.get(key);
      if (!isFile) yield* this.#walk(key);
      else if (file !== undefined) yield file;
    }
  }

  /** Null: it went away meanwhile. */
  async #look(key: string): Promise<StoredFile | null> {
    try {
      const { size, mtime } = await lstat(this.localPath(key));
      return { key, sizeBytes: size, modifiedAt: mtime };
    } catch (cause) {
      if (isMissing(cause)) return null;
      throw readError(this.localPath(key), cause);
    }
  }
}

/** What stands beside the backups (`lost+found`, `.snapshot`) may well be closed to us. Times have upper case. */
function isOurs(name: string): boolean {
  return !name.startsWith('.') && namePattern.test(name.toLowerCase());
}

/** A name that no other process has. */
function partialPath(target: string): string {
  return `${target}.${randomBytes(6).toString('hex')}${partialSuffix}`;
}

async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: modes.folder });
  if (first === undefined) return;
  // What was made is only there for good when the folder around it is flushed as well.
  for (let made = folder; made.length >= first.length; made = path.dirname(made)) await flushFolder(path.dirname(made));
}

async function writeFlushed(file: string, content: Content, mode: number, signal?: AbortSignal): Promise<void> {
  await withHandle(await open(file, 'wx', mode), async (handle) => {
    let written = 0;
    for await (const chunk of readContent(content, signal)) {
      signal?.throwIfAborted();
      await handle.appendFile(chunk);
      written += chunk.length;
    }
    if (written !== content.sizeBytes) throw new Error(`${written} bytes came, not ${content.sizeBytes}`);
    await handle.sync();
  });
}

async function flushFile(file: string, mode: number): Promise<void> {
  await withHandle(await open(file, 'r+'), async (handle) => {
    await handle.chmod(mode);
    await handle.sync();
  });
}

async function withHandle(handle: FileHandle, work: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    await work(handle);
  } finally {
    await handle.close();
  }
}

/** Without ever writing over what is there, also when two processes come to it at once. */
async function giveName(partial: string, target: string): Promise<void> {
  try {
    await link(partial, target);
    await unlink(partial);
  } catch (error) {
    if (!noLinks.has(codeOf(error))) throw error;
    if ((await lstat(target).catch(() => null)) !== null) throw Object.assign(new Error('exists'), { code: 'EEXIST' });
    await rename(partial, target);
  }
}

/** So that its list of names survives a power cut. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch((error: unknown) => {
    // Windows opens no folders, and writes their lists through.
    if (codeOf(error) === 'EISDIR' || codeOf(error) === 'EPERM') return null;
    throw error;
  });
  if (handle === null) return;
  await withHandle(handle, () =>
    handle.sync().catch((error: unknown) => {
      // Some network file systems cannot.
      if (!['EINVAL', 'ENOTSUP', 'EPERM', 'EBADF'].includes(codeOf(error))) throw error;
    }),
  );
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
}
