import { resolve } from 'node:path';
import { UsageError } from '../../errors.ts';
import { findCacheFolder, packageRoot } from './cache-folder.ts';
import { type ClientTools, clientToolsHint, fetchClientTools, findClientTools } from './client-tools.ts';
import { findEmbeddedPackage, prepareEmbedded } from './embedded.ts';
import { candidateFolders, findServers, readServer, type ServerPrograms } from './server-programs.ts';
import { findServerUser, type ServerUser } from './server-user.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** A PostgreSQL whose server can be started here, now. */
export interface PostgresInstallation extends ServerPrograms {
  readonly source: 'TENANTCTL_TEST_PGBIN' | 'system' | 'toolchain';
  /** A pg_dump that can dump this server, here or elsewhere on the machine; null when there is none. */
  readonly client: ClientTools | null;
}

export interface PostgresSearch {
  readonly env: Env;
  /** The repository or the installed package. */
  readonly root?: string;
  /** Where installers put PostgreSQL; a `*` stands at the end of a folder's name. */
  readonly usualFolders?: readonly string[];
}

/**
 * Finds a PostgreSQL for the demo and the tests: `TENANTCTL_TEST_PGBIN`, else the newest complete installation (server
 * and pg_dump of one major) on PATH or in the usual folders, else the toolchain's, else a server without its pg_dump.
 * Null when the machine has none. A program counts only if it runs, as the user that will run the server.
 */
export async function findPostgres(search: PostgresSearch): Promise<PostgresInstallation | null> {
  const user = await findServerUser();
  const folders = await candidateFolders(search);
  const chosen = search.env.TENANTCTL_TEST_PGBIN;
  if (chosen !== undefined && chosen !== '') return readChosen(resolve(chosen), search, folders, user);

  const incomplete: PostgresInstallation[] = [];
  for (const server of await findServers(folders, search.env, user)) {
    const client = await findClient(server, search, folders);
    if (client?.major === server.major) return { ...server, source: 'system', client };
    incomplete.push({ ...server, source: 'system', client });
  }
  return (await findEmbedded(search)) ?? incomplete[0] ?? null;
}

/** The toolchain's own PostgreSQL, made ready to run; null when it is not installed. */
export async function findEmbedded(search: PostgresSearch): Promise<PostgresInstallation | null> {
  const root = search.root ?? packageRoot;
  const packageFolder = await findEmbeddedPackage(root);
  if (packageFolder === null) return null;
  const user = await findServerUser();
  const server = await readServer(await prepareEmbedded(packageFolder, root, user), search.env, user);
  if (server === null) return null;
  const client = await findClient(server, search, await candidateFolders(search));
  return { ...server, source: 'toolchain', client };
}

/** Fetches pg_dump where that can be done without touching the system, else says what to install. */
export async function ensureClientTools(
  postgres: PostgresInstallation,
  options: { readonly env: Env; readonly root?: string; readonly say: (text: string) => void },
): Promise<PostgresInstallation> {
  if (postgres.client !== null) return postgres;
  const client = await fetchClientTools(postgres.major, {
    env: options.env,
    findCacheFolder: () => findCacheFolder(options.root ?? packageRoot, null),
    say: options.say,
  });
  if (client === null) options.say(`no pg_dump for PostgreSQL ${postgres.major}: ${clientToolsHint(postgres.major)}`);
  return { ...postgres, client };
}

/** One line for a person: which PostgreSQL this is, and whether dumps are possible. */
export function describeInstallation(postgres: PostgresInstallation): string {
  const { version, source, binDir, client } = postgres;
  const dump = client === null ? 'no pg_dump' : `pg_dump ${client.version} in ${client.binDir}`;
  return `PostgreSQL ${version} (${source}) in ${binDir}, ${dump}`;
}

async function readChosen(
  binDir: string,
  search: PostgresSearch,
  folders: readonly string[],
  user: ServerUser | null,
): Promise<PostgresInstallation> {
  const server = await readServer(binDir, search.env, user);
  if (server === null) {
    const who = user === null ? '' : ` for user ${user.name}`;
    throw new UsageError(`TENANTCTL_TEST_PGBIN=${binDir} has no initdb and postgres that run${who}`, {
      hint: 'name the folder of a PostgreSQL server, for example /usr/lib/postgresql/17/bin, or unset it',
    });
  }
  const client = await findClient(server, search, folders);
  return { ...server, source: 'TENANTCTL_TEST_PGBIN', client };
}

/** The server's own folder first, then wherever else there is a pg_dump. */
async function findClient(
  server: ServerPrograms,
  search: PostgresSearch,
  folders: readonly string[],
): Promise<ClientTools | null> {
  return findClientTools(server.major, { env: search.env, folders: [server.binDir, ...folders] });
}
