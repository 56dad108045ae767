import { quoteIdentifier } from './identifiers.ts';
import type { Session } from './session.ts';
import { sql } from './sql.ts';

/** Makes an empty database; from any other one of the same server. */
export async function createScratchDatabase(session: Session, name: string): Promise<void> {
  // template0 is never in use, and has nothing that somebody put there.
  await session.raw(`CREATE DATABASE ${quoteIdentifier(name)} TEMPLATE template0`);
}

export async function dropScratchDatabase(session: Session, name: string): Promise<void> {
  await session.raw(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`);
}

/** What migrations may rely on although they did not make it. */
export async function listExtensions(session: Session): Promise<{ readonly name: string; readonly schema: string }[]> {
  return session.query(sql`
    SELECT e.extname AS name, n.nspname AS schema
      FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE n.nspname <> 'pg_catalog'
     ORDER BY e.extname COLLATE "C"`);
}
