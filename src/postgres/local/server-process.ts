import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { UsageError } from '../../errors.ts';
import { type ServerUser, spawnAs } from './server-user.ts';

export interface ServerLaunch {
  readonly binDir: string;
  readonly dataDir: string;
  readonly socketDir: string;
  readonly port: number;
  readonly logFile: string;
  readonly user: ServerUser | null;
  readonly path: string | undefined;
  readonly settings: Readonly<Record<string, string | number>>;
}

/** One run of the `postgres` program. */
export interface ServerProcess {
  readonly pid: number;
  readonly hasExited: () => boolean;
  readonly exited: Promise<void>;
  readonly signal: (signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL') => void;
}

const startDeadlineMs = 60_000;

/** Starts the server in a process group of its own, so that a terminal's Ctrl-C does not reach it before us. */
export async function launchServer(launch: ServerLaunch): Promise<ServerProcess> {
  const program = join(launch.binDir, 'postgres');
  const log = await open(launch.logFile, 'a');
  try {
    const settings = Object.entries(launch.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = spawn(
      program,
      ['-D', launch.dataDir, '-k', launch.socketDir, '-p', String(launch.port), ...settings],
      { ...spawnAs(launch.user), env: serverEnv(launch.path), detached: true, stdio: ['ignore', log.fd, log.fd] },
    );
    let hasExited = false;
    const exited = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    }).then(() => {
      hasExited = true;
    });
    if (child.pid === undefined) throw await startFailure(program, launch.logFile, 'cannot be run');
    child.unref();
    return {
      pid: child.pid,
      hasExited: () => hasExited,
      exited,
      signal: (signal) => {
        child.ref();
        child.kill(signal);
      },
    };
  } finally {
    await log.close();
  }
}

/** Resolves when the server answers; throws with the end of its log when it ends or stays silent. */
export async function waitUntilReady(server: ServerProcess, launch: ServerLaunch): Promise<void> {
  const deadline = Date.now() + startDeadlineMs;
  while (!(await answers(launch))) {
    const failed = server.hasExited() ? 'ended while it started' : Date.now() > deadline ? 'does not answer' : null;
    if (failed !== null) throw await startFailure(join(launch.binDir, 'postgres'), launch.logFile, failed);
    await Promise.race([delay(20), server.exited]);
  }
}

/** PostgreSQL's programs read PG* and LC_*; theirs is a clean room. macOS wants LC_ALL set or the server will not start. */
export function serverEnv(path: string | undefined): Record<string, string | undefined> {
  return { PATH: path, LC_ALL: 'C', TZ: 'UTC' };
}

/** What a person needs to know about a program that failed, with the last lines that it wrote. */
export async function startFailure(program: string, logFile: string, what: string): Promise<UsageError> {
  const log = await readFile(logFile, 'utf8').catch(() => '');
  const lines = log.trimEnd().split('\n').slice(-20);
  return new UsageError(`the temporary PostgreSQL did not start: ${program} ${what}`, {
    details: lines.filter((line) => line !== ''),
  });
}

async function answers(launch: ServerLaunch): Promise<boolean> {
  const client = new pg.Client({
    host: launch.socketDir,
    port: launch.port,
    user: 'postgres',
    database: 'postgres',
    ssl: false,
    connectionTimeoutMillis: 5_000,
  });
  // A server that goes away while we look at it is not an answer, and no reason to fall over.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
