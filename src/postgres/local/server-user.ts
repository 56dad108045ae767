import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Who a temporary server runs as, when it cannot be ourselves. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root, so root hands it to `nobody`. Null for everyone else: they run it themselves. */
export async function findServerUser(): Promise<ServerUser | null> {
  if (ownUid() !== 0) return null;
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const fields = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === 'nobody');
  const uid = Number(fields?.[2] ?? 65534);
  const gid = Number(fields?.[3] ?? 65534);
  // macOS writes nobody as -2.
  return { name: 'nobody', uid: uid < 0 ? uid + 2 ** 32 : uid, gid: gid < 0 ? gid + 2 ** 32 : gid };
}

/** Our own uid; null for a uid that is not in the user database (a container's), which is never root. */
export function ownUid(): number | null {
  try {
    return userInfo().uid;
  } catch {
    return null;
  }
}

/** What `spawn` needs to run a program as that user. The folder we stand in may be closed to it, so it starts in `/`. */
export function spawnAs(user: ServerUser | null): { readonly cwd: '/'; readonly uid?: number; readonly gid?: number } {
  return user === null ? { cwd: '/' } : { cwd: '/', uid: user.uid, gid: user.gid };
}

/** Asks the system itself, as that user, so that groups and access lists count too. */
export async function canAccess(user: ServerUser | null, folder: string, access: 'enter' | 'write'): Promise<boolean> {
  const test = access === 'enter' ? 'test -r "$1" && test -x "$1"' : 'test -w "$1" && test -x "$1"';
  try {
    await run('/bin/sh', ['-c', test, 'sh', folder], spawnAs(user));
    return true;
  } catch {
    return false;
  }
}
