import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, inject, onTestFinished } from 'vitest';

/** A database of a test's own on the run's server. */
export interface TestDatabase {
  readonly name: string;
  /** For libpq's programs, node-postgres and inventories. */
  readonly url: string;
  /** Runs SQL as superuser on a session kept for that; gives the rows. */
  readonly query: <Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<Row[]>;
  /** A session of one's own, as superuser; to be ended by the test. */
  readonly connect: (options?: pg.ClientConfig) => Promise<pg.Client>;
}

/**
 * Makes a database with a name of its own and drops it at the end of the file (called at its top level) or of the test
 * (`until: 'test'`). A session that is then still open on it fails the file: somebody forgot to close it.
 */
export async function createTestDatabase(options: { readonly until?: 'file' | 'test' } = {}): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asSuperuser((admin) => admin.query(`create database ${name} template template0`));
  let session: pg.Client | undefined;
  const drop = async () => {
    await session?.end();
    await dropDatabase(name);
  };
  if (options.until === 'test') onTestFinished(drop);
  else afterAll(drop);
  return {
    name,
    url: databaseUrl(name),
    connect: (config) => connectTo(name, config),
    query: async (text, values = []) => {
      session ??= await connectTo(name);
      return (await session.query(text, [...values])).rows;
    },
  };
}

/** The address of any database on the run's server. */
export function databaseUrl(database: string): string {
  const { socketDir, port, user } = inject('cluster');
  return `postgres://${user}@${encodeURIComponent(socketDir)}:${port}/${encodeURIComponent(database)}`;
}

/** A superuser's session on the server's `postgres` database, for what belongs to no one database: roles, settings. */
export async function asSuperuser<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectTo('postgres');
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** For a test that makes databases itself: removes one, or fails when a session was left open on it. */
export async function dropDatabase(name: string): Promise<void> {
  const left = await sessionsLeft(name);
  // It stays then, and goes with the server: cutting its sessions would bury this message under their errors.
  if (left.length > 0) throw new Error(`sessions left open on ${name}:\n${left.join('\n')}`);
  await asSuperuser((admin) => admin.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`));
}

async function connectTo(database: string, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const { socketDir, port, user } = inject('cluster');
  const client = new pg.Client({ host: socketDir, port, user, database, ssl: false, ...config });
  await client.connect();
  return client;
}

/** A session's end reaches the server a moment after the client has gone, so a few seconds are allowed for it. */
async function sessionsLeft(database: string): Promise<readonly string[]> {
  return asSuperuser(async (admin) => {
    const deadline = Date.now() + 5_000;
    for (;;) {
      const { rows } = await admin.query<{ line: string }>(
        `select format('pid %s, %s, %s: %s', pid, application_name, state, left(query, 200)) as line
           from pg_catalog.pg_stat_activity
          where datname = $1 and backend_type = 'client backend'`,
        [database],
      );
      if (rows.length === 0 || Date.now() > deadline) return rows.map((row) => row.line);
      await delay(20);
    }
  });
}
