import { execFile } from 'node:child_process';
import { access, chown, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll } from 'vitest';
import type { LocalCluster } from '../../src/postgres/local/cluster.ts';
import { launchServer, serverEnv, waitUntilReady } from '../../src/postgres/local/server-process.ts';
import { findServerUser, spawnAs } from '../../src/postgres/local/server-user.ts';
import { startWatchdog } from '../../src/postgres/local/watchdog.ts';

const run = promisify(execFile);

/** The program that makes a standby of a server; null when this machine lacks it. */
export async function findBaseBackup({ postgres }: Pick<LocalCluster, 'postgres'>): Promise<string | null> {
  const program = join(postgres.binDir, 'pg_basebackup');
  return access(program).then(
    () => program,
    () => null,
  );
}

/** A hot standby that follows the cluster, on a socket of its own; gone at the end of the file. */
export async function startStandby(
  primary: LocalCluster,
  program: string,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<Pick<LocalCluster, 'socketDir' | 'port' | 'user' | 'url'>> {
  const user = await findServerUser();
  const path = process.env.PATH;
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-standby-'));
  if (user !== null) await chown(folder, user.uid, user.gid);
  const watchdog = startWatchdog(folder, user, path);
  const { socketDir, port, url } = primary;
  const from = ['-h', socketDir, '-p', String(port), '-U', 'postgres'];
  const dataDir = join(folder, 'data');
  const args = [
    ...from,
    '-D',
    dataDir,
    '--wal-method=stream',
    '--checkpoint=fast',
    '--no-sync',
    '--write-recovery-conf',
  ];
  await run(program, args, { ...spawnAs(user), env: serverEnv(path) });
  const launch = {
    binDir: primary.postgres.binDir,
    dataDir,
    socketDir: folder,
    port,
    logFile: join(folder, 'server.log'),
    user,
    path,
    settings: { listen_addresses: '', fsync: 'off', ...settings },
  };
  const server = await launchServer(launch);
  watchdog.watch(server.pid);
  afterAll(async () => {
    server.signal('SIGQUIT');
    await server.exited;
    watchdog.watch(null);
    await watchdog.end();
  });
  await waitUntilReady(server, launch);
  const here = (database: string) => url(database).replace(encodeURIComponent(socketDir), encodeURIComponent(folder));
  return { socketDir: folder, port, user: 'postgres', url: here };
}
