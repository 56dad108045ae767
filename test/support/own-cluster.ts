import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, inject } from 'vitest';
import { type LocalCluster, startCluster } from '../../src/postgres/local/cluster.ts';

/** A server of a test file's own: for tests that look at all of a server, or need settings or passwords. */
export interface OwnCluster extends Pick<LocalCluster, 'socketDir' | 'port' | 'user' | 'url'> {
  /** Runs SQL as superuser; several statements if need be. */
  readonly query: (database: string, text: string) => Promise<void>;
}

/** Takes about a second. Only the role `guarded` is asked for a password, and nobody gets into the database `refused`. Gone at the end of the file that calls it. */
export async function startOwnCluster(settings: Readonly<Record<string, string | number>> = {}): Promise<OwnCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-hba-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const hba = join(folder, 'pg_hba.conf');
  const rules = ['local refused all reject', 'local all guarded scram-sha-256', 'local all all trust', ''];
  await writeFile(hba, rules.join('\n'), { mode: 0o644 });
  const { postgres } = inject('cluster');
  const cluster = await startCluster({ postgres, env: process.env, settings: { ...settings, hba_file: hba } });
  afterAll(cluster.stop);
  return {
    socketDir: cluster.socketDir,
    port: cluster.port,
    user: cluster.user,
    url: cluster.url,
    query: async (database, text) => {
      const { socketDir: host, port, user } = cluster;
      const client = new pg.Client({ host, port, user, database, ssl: false });
      await client.connect();
      try {
        await client.query(text);
      } finally {
        await client.end();
      }
    },
  };
}
