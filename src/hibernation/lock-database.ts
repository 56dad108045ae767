import { quoteIdentifier } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import { actAsOwner, readActors } from './actors.ts';
import { runStatements } from './run-statements.ts';
import { inTransaction } from './transaction.ts';

/**
 * Lets nobody into a database any more, superusers neither, or everybody again who may connect. In the caller's
 * transaction or in one of its own, on a session of the login itself in another database. Who is in there stays: see `endDatabaseSessions`.
 */
export async function setConnections(session: Session, database: string, areAllowed: boolean): Promise<void> {
  const [living] = await session.query<{ owner: string }>(sql`
    SELECT pg_catalog.pg_get_userbyid(datdba) AS owner FROM pg_catalog.pg_database WHERE datname = ${database}`);
  const actors = await readActors(session, living === undefined ? [] : [living.owner]);
  const role = living === undefined ? null : (actAsOwner(actors, living.owner) ?? null);
  const text = `ALTER DATABASE ${quoteIdentifier(database)} ALLOW_CONNECTIONS ${areAllowed}`;
  const run = () => runStatements(session, [{ role, text }]);
  if (!session.isIdle) return run();
  await inTransaction(session, run);
}
