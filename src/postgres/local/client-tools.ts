import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { compareVersions, readVersion } from './version.ts';

const run = promisify(execFile);

type Env = Readonly<Record<string, string | undefined>>;

/** pg_dump and pg_restore of one version. */
export interface ClientTools {
  readonly binDir: string;
  readonly version: string;
  readonly major: number;
  /** What the programs need in their environment besides the caller's own. */
  readonly env: Readonly<Record<string, string>>;
}

/** The tools in one folder, or null when it lacks pg_dump or pg_restore, or they do not run here. */
export async function readClientTools(
  binDir: string,
  options: { readonly env: Env; readonly libraries?: string },
): Promise<ClientTools | null> {
  const own: Readonly<Record<string, string>> =
    options.libraries === undefined ? {} : { LD_LIBRARY_PATH: options.libraries };
  const env = { ...options.env, ...own };
  const version = await readVersion(join(binDir, 'pg_dump'), { env });
  if (version === null || (await readVersion(join(binDir, 'pg_restore'), { env })) === null) return null;
  return { binDir, version: version.text, major: version.major, env: own };
}

/** The tools that can dump a server of that major: its own major if there is one, else the next newer. */
export async function findClientTools(
  major: number,
  options: { readonly env: Env; readonly folders: readonly string[] },
): Promise<ClientTools | null> {
  const found = await Promise.all(options.folders.map((binDir) => readClientTools(binDir, { env: options.env })));
  const fitting = found
    .filter((tools) => tools !== null)
    .filter((tools) => tools.major >= major)
    .sort((a, b) => a.major - b.major || compareVersions(b.version, a.version));
  return fitting[0] ?? null;
}

/** How many majors newer than the server's are asked for, when a distribution has only one (Ubuntu 24.04 has 16). */
const newerMajors = 4;

/**
 * Fetches the tools from a Debian or Ubuntu machine's own package sources into the cache folder, without root and
 * without touching the system: the packages are unpacked, not installed. Null where that is not possible; `say` hears
 * what is done.
 */
export async function fetchClientTools(
  major: number,
  options: {
    readonly env: Env;
    /** Asked only when something can be fetched, for asking makes the folder. */
    readonly findCacheFolder: () => Promise<string>;
    readonly say: (text: string) => void;
  },
): Promise<ClientTools | null> {
  const { env, say } = options;
  if (!(await hasProgram('apt-get', env)) || !(await hasProgram('dpkg', env))) return null;
  const cacheFolder = await options.findCacheFolder();
  const fetched = await findFetched(major, cacheFolder, env);
  if (fetched !== null) return fetched;
  for (let candidate = major; candidate <= major + newerMajors; candidate += 1) {
    const tools = await fetchMajor(candidate, { env, cacheFolder });
    if (tools === null) continue;
    say(`fetched postgresql-client-${candidate} into ${cacheFolder} with apt-get download; nothing was installed`);
    return tools;
  }
  return null;
}

/** For a person on a machine without pg_dump: what to install. */
export function clientToolsHint(major: number): string {
  return `install pg_dump ${major} or newer: postgresql-client-${major} (Debian, Ubuntu), postgresql${major} (PGDG on Fedora and RHEL) or postgresql@${major} (Homebrew)`;
}

async function fetchMajor(
  major: number,
  options: { readonly env: Env; readonly cacheFolder: string },
): Promise<ClientTools | null> {
  const target = fetchedFolder(major, options.cacheFolder);
  const partial = `${target}-${randomBytes(6).toString('hex')}.partial`;
  try {
    await mkdir(partial);
    // apt-get fetches as its own user where it can; in a folder closed to that user it says so and fetches as root.
    await chmod(partial, 0o755);
    const env = { ...options.env };
    await run('apt-get', ['download', '-q', `postgresql-client-${major}`, 'libpq5'], { cwd: partial, env });
    for (const file of (await readdir(partial)).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg', ['-x', file, '.'], { cwd: partial, env });
      await rm(join(partial, file));
    }
    // Seen to run before it gets its name: an unpacked program may lack a library that installing would have brought.
    if ((await readFetched(partial, major, options.env)) === null) return null;
    await rename(partial, target).catch(() => undefined);
    return await readFetched(target, major, options.env);
  } catch {
    return null;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

function fetchedFolder(major: number, cacheFolder: string): string {
  return join(cacheFolder, `postgresql-client-${major}`);
}

/** Tools that were fetched before and can dump a server of that major. */
export async function findFetched(major: number, cacheFolder: string, env: Env): Promise<ClientTools | null> {
  for (let candidate = major; candidate <= major + newerMajors; candidate += 1) {
    const tools = await readFetched(fetchedFolder(candidate, cacheFolder), candidate, env);
    if (tools !== null) return tools;
  }
  return null;
}

/** libpq lies in a folder named for the machine: usr/lib/x86_64-linux-gnu. */
async function readFetched(folder: string, major: number, env: Env): Promise<ClientTools | null> {
  const names = await readdir(join(folder, 'usr', 'lib')).catch(() => []);
  const machine = names.find((name) => name.includes('-linux-'));
  if (machine === undefined) return null;
  const binDir = join(folder, 'usr', 'lib', 'postgresql', String(major), 'bin');
  return readClientTools(binDir, { env, libraries: join(folder, 'usr', 'lib', machine) });
}

async function hasProgram(name: string, env: Env): Promise<boolean> {
  for (const folder of (env.PATH ?? '').split(':').filter((part) => part !== '')) {
    const found = await access(join(folder, name)).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
