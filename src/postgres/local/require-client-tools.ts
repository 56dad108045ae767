import { RefusedError, UsageError } from '../../errors.ts';
import { findCacheFolder, hasToolchain, packageRoot } from './cache-folder.ts';
import { type ClientTools, clientToolsHint, findClientTools, findFetched, readClientTools } from './client-tools.ts';
import { candidateFolders } from './server-programs.ts';

type Env = Readonly<Record<string, string | undefined>>;

/**
 * pg_dump and pg_restore that understand a server of that major: `TENANTCTL_PG_BIN` if it is set, else those of the
 * same major, else of the next newer one. Refuses (5) when this machine has none.
 */
export async function requireClientTools(major: number, env: Env): Promise<ClientTools> {
  const chosen = chosenFolder(env);
  if (chosen !== null) return readChosen(chosen, major, env);
  const folders = await candidateFolders({ env });
  const found = (await findClientTools(major, { env, folders })) ?? (await findInCache(major, env));
  if (found !== null) return found;
  throw new RefusedError(`this machine has no pg_dump for a server of PostgreSQL ${major}`, {
    hint: `${clientToolsHint(major)}; or name its folder: TENANTCTL_PG_BIN`,
  });
}

/** Where the user says that PostgreSQL's programs are, and nowhere else; null: they are looked for. */
export function chosenFolder({ TENANTCTL_PG_BIN: chosen }: Env): string | null {
  return chosen === undefined || chosen === '' ? null : chosen;
}

/** What was fetched for the repository's own tests and demo. */
async function findInCache(major: number, env: Env): Promise<ClientTools | null> {
  if (!(await hasToolchain(packageRoot))) return null;
  return findFetched(major, await findCacheFolder(packageRoot, null), env);
}

async function readChosen(binDir: string, major: number, env: Env): Promise<ClientTools> {
  const tools = await readClientTools(binDir, { env });
  if (tools === null) {
    throw new UsageError(`TENANTCTL_PG_BIN=${binDir} has no pg_dump and pg_restore that run`, {
      hint: 'name a folder such as /usr/lib/postgresql/17/bin, or unset it',
    });
  }
  if (tools.major >= major) return tools;
  throw new RefusedError(`TENANTCTL_PG_BIN has pg_dump ${tools.version}, too old for a server of PostgreSQL ${major}`, {
    hint: clientToolsHint(major),
  });
}
