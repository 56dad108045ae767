import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, chown, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { findServerUser } from '../../src/postgres/local/server-user.ts';

const run = promisify(execFile);

interface Program {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * A real PgBouncer: of this machine, else unpacked from Debian's packages into a cache folder without touching the
 * system. Null where neither is possible; the test that needs it must say so loudly.
 */
export async function findPgBouncer(): Promise<Program | null> {
  const installed = await run('sh', ['-c', 'PATH=$PATH:/usr/sbin command -v pgbouncer']).catch(() => null);
  if (installed !== null) return { path: installed.stdout.trim(), env: process.env };
  const cache = path.join(tmpdir(), `tenantctl-pgbouncer-${process.getuid?.() ?? 0}`);
  const program = path.join(cache, 'usr', 'sbin', 'pgbouncer');
  if (!(await exists(program)) && !(await fetchInto(cache))) return null;
  const libraries = path.join(cache, 'usr', 'lib', `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`);
  return { path: program, env: { ...process.env, LD_LIBRARY_PATH: libraries } };
}

async function fetchInto(cache: string): Promise<boolean> {
  const partial = await mkdtemp(`${cache}-partial-`);
  try {
    await chmod(partial, 0o755);
    await run('apt-get', ['download', 'pgbouncer', 'libevent-2.1-7', 'libc-ares2'], { cwd: partial });
    const unpacked = path.join(partial, 'unpacked');
    for (const file of await readdir(partial)) await run('dpkg', ['-x', path.join(partial, file), unpacked]);
    await chmod(unpacked, 0o755);
    await rename(unpacked, cache);
    process.stderr.write('tests: fetched pgbouncer with apt-get download; nothing was installed\n');
    return true;
  } catch {
    return exists(path.join(cache, 'usr', 'sbin', 'pgbouncer'));
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

export interface PgBouncer {
  /** A server's url in an inventory. */
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** Starts one in front of the run's server. `settings` are lines of its [pgbouncer] section. */
export async function startPgBouncer(program: Program, settings: readonly string[]): Promise<PgBouncer> {
  const { socketDir, port, user } = inject('cluster');
  const folder = await mkdtemp(path.join(tmpdir(), 'tenantctl-test-pgbouncer-'));
  const listenPort = await freePort();
  await mkdir(path.join(folder, 'run'));
  const file = path.join(folder, 'pgbouncer.ini');
  await writeFile(
    file,
    ['[databases]', `* = host=${socketDir} port=${port} user=${user}`, '[pgbouncer]', 'listen_addr = 127.0.0.1']
      .concat(`listen_port = ${listenPort}`, 'auth_type = any', 'unix_socket_dir =', ...settings, '')
      .join('\n'),
  );
  // It refuses to run as root, and the server's folder lets in nobody but the server's own user.
  const owner = await findServerUser();
  if (owner !== null) for (const name of [folder, file]) await chown(name, owner.uid, owner.gid);
  const child = spawn(program.path, [file], {
    env: program.env,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(owner === null ? {} : { uid: owner.uid, gid: owner.gid }),
  });
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => reject(new Error(`pgbouncer ended: ${log}`)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (/process up/i.test(log)) resolve();
    });
  });
  return {
    url: `postgres://${user}@127.0.0.1:${listenPort}/postgres?sslmode=disable`,
    stop: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
