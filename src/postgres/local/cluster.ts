import { chown, mkdtemp, rm } from 'node:fs/promises';
import { platform } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UsageError } from '../../errors.ts';
import type { PostgresInstallation } from './binaries.ts';
import { findTempFolder } from './cache-folder.ts';
import { initialiseData } from './initdb.ts';
import { launchServer, type ServerLaunch, type ServerProcess, waitUntilReady } from './server-process.ts';
import { findServerUser, type ServerUser } from './server-user.ts';
import { startWatchdog, type Watchdog } from './watchdog.ts';

export interface ClusterOptions {
  readonly postgres: PostgresInstallation;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Server settings over ours, for example `{ max_connections: 200 }`. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** A PostgreSQL of our own: temporary, without TCP, reachable only by us, gone when we are gone. */
export interface LocalCluster {
  readonly postgres: PostgresInstallation;
  /** The host of a connection: a folder only we and the server can enter. */
  readonly socketDir: string;
  readonly port: number;
  /** A superuser; no password is asked for. */
  readonly user: 'postgres';
  /** A connection URL that libpq's programs and node-postgres both read. */
  readonly url: (database: string) => string;
  /** Stops the server (`fast` ends its sessions, `immediate` is a crash) and starts it again. */
  readonly restart: (mode: 'fast' | 'immediate') => Promise<void>;
  /** SIGKILL, as the kernel does when memory runs out. `start` brings it back. */
  readonly kill: () => Promise<void>;
  readonly start: () => Promise<void>;
  /** Stops the server and removes every trace of it. Can be called twice. */
  readonly stop: () => Promise<void>;
}

/** What is in a temporary cluster can be made again, so it need not survive a power cut. */
const baseSettings: Readonly<Record<string, string | number>> = {
  listen_addresses: '',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
};

type StopSignal = 'SIGINT' | 'SIGQUIT' | 'SIGKILL';

const port = 5432;

/** How long a server may take to end before it is told so more strongly. */
const patienceMs = 10_000;

/** How long the backends of a killed server may take to notice. */
const afterKillMs = 10_000;

/** What the name of a socket may have, in bytes: 104 on macOS, 108 on Linux, with a NUL at the end. */
const longestSocketPath = 103;

/** Makes and starts one. It takes about a second, most of it initdb. */
export async function startCluster(options: ClusterOptions): Promise<LocalCluster> {
  if (platform() === 'win32') {
    throw new UsageError('a temporary PostgreSQL is not supported on Windows', { hint: 'run this in WSL' });
  }
  const user = await findServerUser();
  const path = options.env.PATH;
  const folder = await makeClusterFolder(user);
  const watchdog = startWatchdog(folder, user, path);
  const launch: ServerLaunch = {
    binDir: options.postgres.binDir,
    dataDir: join(folder, 'data'),
    socketDir: folder,
    port,
    logFile: join(folder, 'server.log'),
    user,
    path,
    settings: { ...baseSettings, ...options.settings },
  };
  const cluster = makeCluster(options.postgres, launch, watchdog);
  try {
    await initialiseData(launch);
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function makeCluster(postgres: PostgresInstallation, launch: ServerLaunch, watchdog: Watchdog): LocalCluster {
  let server: ServerProcess | null = null;
  let wasKilled = false;
  let stopped: Promise<void> | null = null;

  const end = async (signal: StopSignal) => {
    if (server === null) return;
    server.signal(signal);
    await server.exited;
    server = null;
  };
  const start = async () => {
    server = await startServer(launch, watchdog, wasKilled ? afterKillMs : 0);
    wasKilled = false;
  };
  const stop = async () => {
    if (server !== null) await endServer(server);
    await watchdog.end();
    await rm(launch.socketDir, { recursive: true, force: true });
  };
  return {
    postgres,
    socketDir: launch.socketDir,
    port: launch.port,
    user: 'postgres',
    url: (database) =>
      `postgres://postgres@${encodeURIComponent(launch.socketDir)}:${launch.port}/${encodeURIComponent(database)}`,
    restart: async (mode) => {
      await end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      await start();
    },
    kill: async () => {
      await end('SIGKILL');
      wasKilled = true;
    },
    start,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/**
 * After a SIGKILL the old server's backends need a moment to notice, and a new server refuses to start beside them: one
 * that ends at once is tried again for `retryMs`.
 */
async function startServer(launch: ServerLaunch, watchdog: Watchdog, retryMs: number): Promise<ServerProcess> {
  const deadline = Date.now() + retryMs;
  for (;;) {
    const server = await launchServer(launch);
    watchdog.watch(server.pid);
    void server.exited.then(() => watchdog.watch(null));
    try {
      await waitUntilReady(server, launch);
      return server;
    } catch (error) {
      await endServer(server);
      if (Date.now() >= deadline) throw error;
      await delay(100);
    }
  }
}

/** Asks the server to end, and insists when it does not. */
async function endServer(server: ServerProcess): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (server.hasExited()) return;
    server.signal(signal);
    const patience = new AbortController();
    await Promise.race([
      server.exited,
      delay(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined),
    ]);
    patience.abort();
  }
  await server.exited;
}

/** Closed to everyone but the server's user (and us, when we are root): in here nobody is asked for a password. */
async function makeClusterFolder(user: ServerUser | null): Promise<string> {
  const name = 'tenantctl-pg-';
  const temp = await findTempFolder(user);
  const isShort = Buffer.byteLength(join(temp, `${name}XXXXXX`, `.s.PGSQL.${port}`)) <= longestSocketPath;
  const folder = await mkdtemp(join(isShort ? temp : '/tmp', name));
  if (user !== null) await chown(folder, user.uid, user.gid);
  return folder;
}
