import { access, constants, realpath, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { type Finding, findingsAbout } from './finding.ts';

type Env = Readonly<Record<string, string | undefined>>;

const about = findingsAbout('local');

/** File systems by the number that statfs gives: one that lives in memory, and a container's own layer. */
const fileSystems = { tmpfs: 0x01021994, overlay: 0x794c7630 } as const;

const lost = 'the records of runs go with it: --from-run will not find them';
const elsewhere = 'set `state` in the inventory to a folder that lasts';

/** Whether the records of runs can be written, and whether they will be there tomorrow. Writes nothing. */
export async function checkStateFolder(folder: string, env: Env): Promise<readonly Finding[]> {
  const { existing, obstacle } = await lookAtFolder(folder);
  if (obstacle === 'file') {
    return [about.error('state-folder', `the state folder ${folder} cannot be made: ${existing} is a file`, elsewhere)];
  }
  if (obstacle === 'closed') {
    const fix = `make ${existing} writable for this user, or ${elsewhere}`;
    return [about.error('state-folder', `the state folder ${folder} cannot be written`, fix)];
  }
  return [
    about.ok('state-folder', `the state folder ${folder} can be written`),
    await checkLasting(folder, existing, env),
  ];
}

/**
 * Can files be made in a folder, or can it be made first? `existing` is the folder itself, or the nearest around it
 * that there is; `obstacle` is what is wrong with that.
 */
export async function lookAtFolder(
  folder: string,
): Promise<{ readonly existing: string; readonly obstacle: 'file' | 'closed' | null }> {
  const existing = await nearestExisting(folder);
  if (!(await stat(existing)).isDirectory()) return { existing, obstacle: 'file' };
  const isWritable = await access(existing, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  return { existing, obstacle: isWritable ? null : 'closed' };
}

async function checkLasting(folder: string, existing: string, env: Env): Promise<Finding> {
  const id = 'state-lasts';
  const real = join(await realpath(existing), relative(existing, folder));
  const temporary = await temporaryFolders(env);
  const { type } = await statfs(existing);
  const tempFolder = temporary.find((each) => isInside(real, each));
  if (tempFolder !== undefined) {
    return about.warning(id, `the state folder lies under ${tempFolder}, which is cleared: ${lost}`, elsewhere);
  }
  if (type === fileSystems.tmpfs) {
    return about.warning(id, `the state folder lies in memory (tmpfs): ${lost}`, elsewhere);
  }
  if (env.CI && env.CI !== 'false' && env.CI !== '0') {
    const fix = `keep ${folder} with the CI’s cache or artifacts, or ${elsewhere}`;
    return about.warning(id, `this is a CI job (CI is set), and the state folder ends with it: ${lost}`, fix);
  }
  if (type === fileSystems.overlay) {
    return about.info(
      id,
      `the state folder lies in a container’s own layer: when the container is removed, ${lost}`,
      elsewhere,
    );
  }
  return about.ok(id, 'the state folder lasts');
}

async function nearestExisting(folder: string): Promise<string> {
  for (let each = folder; ; each = dirname(each)) {
    const isThere = await stat(each).then(
      () => true,
      () => false,
    );
    if (isThere || each === dirname(each)) return each;
  }
}

async function temporaryFolders(env: Env): Promise<readonly string[]> {
  const named = [env.TMPDIR ?? '', tmpdir(), '/tmp', '/var/tmp', '/dev/shm', '/run'].filter((each) => each !== '');
  const real = await Promise.all(named.map((each) => realpath(each).catch(() => each)));
  return [...new Set(real)];
}

function isInside(folder: string, parent: string): boolean {
  return folder === parent || folder.startsWith(parent.endsWith('/') ? parent : `${parent}/`);
}
