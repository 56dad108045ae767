import { access, chmod, lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../../errors.ts';
import { canAccess, ownUid, type ServerUser } from './server-user.ts';

/** The repository, or the installed package: three folders up from here, in `src` as in `dist`. */
export const packageRoot = fileURLToPath(new URL('../../../', import.meta.url));

/** Only the repository has a toolchain; the published package does not. */
export async function hasToolchain(root: string): Promise<boolean> {
  return access(join(root, 'toolchain', 'package.json')).then(
    () => true,
    () => false,
  );
}

/** A folder for temporary things that `user` can work in: `TMPDIR`, or `/tmp` when that is closed to it (root's own). */
export async function findTempFolder(user: ServerUser | null): Promise<string> {
  const folder = tmpdir();
  return (await canAccess(user, folder, 'write')) ? folder : '/tmp';
}

/**
 * Where copies of PostgreSQL's programs are kept between runs: the repository's ignored `.cache`, or a folder of our
 * own under the temporary one when the repository cannot be written or `user` cannot read it (it lies in a folder that
 * only its owner may enter).
 */
export async function findCacheFolder(root: string, user: ServerUser | null): Promise<string> {
  if (await hasToolchain(root)) {
    const folder = join(root, '.cache');
    const usable = await makePublicFolder(folder).then(
      () => canAccess(null, folder, 'write'),
      () => false,
    );
    if (usable && (await canAccess(user, folder, 'enter'))) return folder;
  }
  return makeOwnFolder(join(await findTempFolder(user), `tenantctl-cache-${ownUid() ?? 'user'}`));
}

/** Programs are run from here, so a folder that somebody else put into the shared `/tmp` first is refused. */
async function makeOwnFolder(folder: string): Promise<string> {
  await makePublicFolder(folder);
  const stats = await lstat(folder);
  const uid = ownUid();
  const isOurs = stats.isDirectory() && (uid === null || stats.uid === uid) && (stats.mode & 0o022) === 0;
  if (!isOurs) {
    throw new UsageError(`the cache folder ${folder} belongs to someone else or can be written by others`, {
      hint: 'remove it, or set TMPDIR to a folder of your own',
    });
  }
  return folder;
}

async function makePublicFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true });
  // mkdir's mode is cut by the umask, and the server's user has to read what is in it.
  if (made !== undefined) await chmod(folder, 0o755);
}
