import { readdir, realpath } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import type { ServerUser } from './server-user.ts';
import { compareVersions, readVersion } from './version.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** A folder with initdb and postgres that run here. */
export interface ServerPrograms {
  readonly binDir: string;
  /** `15.18` */
  readonly version: string;
  readonly major: number;
}

/** Debian and Ubuntu, PGDG on Fedora and RHEL, Alpine, from source, Homebrew (Apple and Intel), Postgres.app. */
const installersFolders: readonly string[] = [
  '/usr/lib/postgresql/*/bin',
  '/usr/pgsql-*/bin',
  '/usr/libexec/postgresql*',
  '/usr/local/pgsql/bin',
  '/opt/homebrew/opt/postgresql@*/bin',
  '/usr/local/opt/postgresql@*/bin',
  '/Applications/Postgres.app/Contents/Versions/*/bin',
];

/** Older ones are out of the community's support. */
const oldestMajor = 14;

/** The folders of PATH, then the usual ones that are there. */
export async function candidateFolders(options: {
  readonly env: Env;
  readonly usualFolders?: readonly string[];
}): Promise<readonly string[]> {
  const onPath = (options.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const usual = await Promise.all((options.usualFolders ?? installersFolders).map(expand));
  return [...new Set([...onPath, ...usual.flat()])];
}

/** Every supported server in those folders, newest first. Links are followed: initdb and postgres share a real folder. */
export async function findServers(
  folders: readonly string[],
  env: Env,
  user: ServerUser | null,
): Promise<readonly ServerPrograms[]> {
  const homes = await Promise.all(
    folders.map((folder) => realpath(join(folder, 'postgres')).then(dirname, () => null)),
  );
  const unique = [...new Set(homes.filter((home) => home !== null))];
  const servers = await Promise.all(unique.map((home) => readServer(home, env, user)));
  return servers
    .filter((server) => server !== null)
    .filter((server) => server.major >= oldestMajor)
    .sort((a, b) => compareVersions(b.version, a.version));
}

/** Null unless both programs run, as the user that will run the server. */
export async function readServer(binDir: string, env: Env, user: ServerUser | null): Promise<ServerPrograms | null> {
  const [server, initdb] = await Promise.all([
    readVersion(join(binDir, 'postgres'), { env, user }),
    readVersion(join(binDir, 'initdb'), { env, user }),
  ]);
  return server === null || initdb === null ? null : { binDir, version: server.text, major: server.major };
}

/** `/usr/lib/postgresql/*\/bin` -> the folders that match. */
async function expand(pattern: string): Promise<readonly string[]> {
  const [before, after] = pattern.split('*');
  if (before === undefined || after === undefined) return [pattern];
  const parent = before.endsWith('/') ? before : dirname(before);
  const start = before.endsWith('/') ? '' : basename(before);
  const names = await readdir(parent).catch(() => []);
  return names.filter((name) => name.startsWith(start)).map((name) => join(parent, name, after));
}
