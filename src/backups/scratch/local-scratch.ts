import { RefusedError } from '../../errors.ts';
import { connect } from '../../postgres/connect.ts';
import { findEmbedded } from '../../postgres/local/binaries.ts';
import { startCluster } from '../../postgres/local/cluster.ts';
import { chosenFolder } from '../../postgres/local/require-client-tools.ts';
import { candidateFolders, findServers, type ServerPrograms } from '../../postgres/local/server-programs.ts';
import { findServerUser } from '../../postgres/local/server-user.ts';
import { resolveConnection } from '../../postgres/settings/resolve-connection.ts';
import { applicationName } from '../../postgres/tenant-session.ts';
import type { ScratchServer } from './scratch.ts';
import { openScratchServer } from './scratch-server.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Nothing in it is worth a flush; dropping a schema takes a lock for each of its tables. */
const settings = {
  max_connections: 100,
  max_locks_per_transaction: 1024,
  wal_level: 'minimal',
  max_wal_senders: 0,
  maintenance_work_mem: '256MB',
  max_parallel_maintenance_workers: 0,
  autovacuum: 'off',
} as const;

/**
 * Starts a PostgreSQL of our own for scratch databases: of that major, else of the next newer one that this machine has.
 * Refuses (5) when there is none. It is gone when we are gone.
 */
export async function startLocalScratch(options: {
  readonly major: number;
  readonly run: string;
  readonly env: Env;
}): Promise<ScratchServer> {
  const { major, run, env } = options;
  const programs = await requireServer(major, env);
  const postgres = { ...programs, source: 'system', client: null } as const;
  const cluster = await startCluster({ postgres, env, settings });
  try {
    // No variable of the caller's environment has a say in how our own server is reached.
    const resolve = (database: string) =>
      resolveConnection({
        serverId: 'local',
        conninfo: cluster.url(database),
        env: {},
        homeDir: cluster.socketDir,
        baseDir: cluster.socketDir,
        osUser: cluster.user,
        connectTimeoutMs: 60_000,
      });
    const server = await openScratchServer({
      name: 'local',
      isTemporary: true,
      access: {
        connect: (database) => connect(resolve(database), { applicationName: applicationName(run, 'verify') }),
        settings: resolve,
      },
      database: 'postgres',
      run,
      env,
    });
    const close = () => server.close().finally(cluster.stop);
    return {
      name: server.name,
      major: server.major,
      version: server.version,
      isTemporary: true,
      createDatabase: () => server.createDatabase(),
      close,
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** Finds the programs of a server of that major or newer on this machine; refuses (5) when there are none. */
export async function requireServer(major: number, env: Env): Promise<ServerPrograms> {
  const chosen = chosenFolder(env);
  const folders = [...(chosen === null ? [] : [chosen]), ...(await candidateFolders({ env }))];
  const servers = (await findServers(folders, env, await findServerUser())).filter((it) => it.major >= major);
  const embedded = servers.some((it) => it.major === major) ? null : await findEmbedded({ env });
  if (embedded !== null && embedded.major >= major) servers.push(embedded);
  // The same major shows best what a restore would; among its minors the newest stands first.
  const [best] = servers.toSorted((a, b) => a.major - b.major);
  if (best !== undefined) return best;
  throw new RefusedError(`this machine has no PostgreSQL ${major} or newer to restore into`, {
    hint: `install its server: postgresql-${major} (Debian, Ubuntu), postgresql${major}-server (PGDG on Fedora and RHEL) or postgresql@${major} (Homebrew); or name a server of the inventory: --scratch <server>`,
  });
}
