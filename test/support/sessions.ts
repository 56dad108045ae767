import type pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import { Session } from '../../src/postgres/session.ts';
import { sql } from '../../src/postgres/sql.ts';

/** A session of our own on the run's server, as superuser unless said otherwise; ended with the test. */
export async function openSession(database: string, config: pg.ClientConfig = {}): Promise<Session> {
  const session = await connectSession(database, config);
  onTestFinished(() => session.end());
  return session;
}

/** The same, to be ended by who asks for it. */
export function connectSession(database: string, config: pg.ClientConfig = {}): Promise<Session> {
  const { socketDir, port, user } = inject('cluster');
  return Session.connect({ host: socketDir, port, user, database, ssl: false, ...config });
}

export async function pidOf(session: Session): Promise<number> {
  const [row] = await session.query<{ pid: number }>(sql`SELECT pg_catalog.pg_backend_pid() AS pid`);
  if (row === undefined) throw new Error('a session without a backend');
  return row.pid;
}
