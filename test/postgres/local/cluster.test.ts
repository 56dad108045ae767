import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, describe, expect, inject, test, vi } from 'vitest';
import { type ClusterOptions, type LocalCluster, startCluster } from '../../../src/postgres/local/cluster.ts';

import { closedFolder, openFolder } from '../../support/folders.ts';

const { postgres } = inject('cluster');

async function withCluster(
  work: (cluster: LocalCluster) => Promise<void>,
  settings: ClusterOptions['settings'] = {},
): Promise<void> {
  const cluster = await startCluster({ postgres, env: process.env, settings });
  try {
    await work(cluster);
  } finally {
    await cluster.stop();
  }
}

async function ask(cluster: LocalCluster, sql: string): Promise<string> {
  const client = new pg.Client({ connectionString: cluster.url('postgres') });
  // Servers die here: what a cut session has to say about it comes with the query's own failure.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<[string]>({ text: sql, rowMode: 'array' });
    return String(rows[0]?.[0]);
  } finally {
    await client.end();
  }
}

const countBusy = `select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()`;

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

afterEach(() => void vi.unstubAllEnvs());

describe('a temporary cluster', () => {
  test('is UTF8, closed to others, without TCP, with the settings asked for, and leaves nothing', async () => {
    let folder = '';
    await withCluster(
      async (cluster) => {
        folder = cluster.socketDir;
        expect((await stat(folder)).mode & 0o777).toBe(0o700);
        expect(await ask(cluster, 'show server_encoding')).toBe('UTF8');
        expect(await ask(cluster, 'show listen_addresses')).toBe('');
        expect(await ask(cluster, 'show max_locks_per_transaction')).toBe('31');
        expect(await ask(cluster, 'select current_user')).toBe('postgres');
      },
      { max_locks_per_transaction: 31 },
    );
    expect(await isThere(folder)).toBe(false);
  });

  test('comes back with its data after a restart, a crash and a SIGKILL', async () => {
    await withCluster(async (cluster) => {
      await ask(cluster, 'create table kept as select 7 as n');
      await cluster.restart('fast');
      expect(await ask(cluster, 'select n from kept')).toBe('7');
      await cluster.restart('immediate');
      expect(await ask(cluster, 'select n from kept')).toBe('7');
      // A backend that computes does not notice the death of its server until it is done.
      const busy = ask(cluster, 'select count(*) from generate_series(1, 5000000)').catch(() => 'cut off');
      await expect.poll(() => ask(cluster, countBusy)).toBe('1');
      await cluster.kill();
      await expect(ask(cluster, 'select 1')).rejects.toThrow();
      await cluster.start();
      await busy;
      expect(await ask(cluster, 'select n from kept')).toBe('7');
    });
  });

  test('a server that will not start says why, and leaves nothing', async () => {
    const temp = await openFolder();
    vi.stubEnv('TMPDIR', temp);
    const failure = await startCluster({ postgres, env: process.env, settings: { max_connections: 'many' } }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ name: 'UsageError', details: [expect.stringContaining('max_connections')] });
    expect(await readdir(temp)).toEqual([]);
  });

  test('a temporary folder whose name is too long for a socket is not used', async () => {
    const temp = join(await openFolder(), 'x'.repeat(80));
    await mkdir(temp);
    await chmod(temp, 0o777);
    vi.stubEnv('TMPDIR', temp);
    await withCluster(async (cluster) => expect(await ask(cluster, 'select 1')).toBe('1'));
  });

  test('a temporary folder that the server cannot enter is not used', async () => {
    vi.stubEnv('TMPDIR', await closedFolder());
    await withCluster(async (cluster) => expect(await ask(cluster, 'select 1')).toBe('1'));
  });

  test('does not outlive a program that is killed', async () => {
    const script = fileURLToPath(new URL('../../support/hold-cluster.ts', import.meta.url));
    const child = spawn(process.execPath, [script], {
      env: { ...process.env, HOLD_CLUSTER: JSON.stringify(postgres) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const { pid, socketDir } = JSON.parse(line.toString()) as { pid: number; socketDir: string };
    expect(await isThere(socketDir)).toBe(true);
    child.kill('SIGKILL');
    await expect.poll(() => isThere(socketDir), { timeout: 20_000 }).toBe(false);
    expect(isRunning(pid)).toBe(false);
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
