import { quoteIdentifier } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import { actAsOwner, readActors } from './actors.ts';
import { endDatabaseSessions } from './end-sessions.ts';
import { setConnections } from './lock-database.ts';
import type { TableRows } from './receipt.ts';
import { compareRows, readRows } from './row-prints.ts';

export interface DropDatabaseJob {
  readonly database: string;
  /** Of the restored copy, in all its schemas. */
  readonly rows: readonly TableRows[];
  /** Whatever else must be equal, asked inside (its structure); differences in words. */
  readonly compare: (inside: Session) => Promise<readonly string[]>;
  /** Asked outside, once nothing can change any more: writes down that it is being dropped, with the receipt, and commits. */
  readonly record: (outside: Session) => Promise<void>;
  /** How long to wait until nobody is in there, in milliseconds. */
  readonly budgetMs: number;
  readonly signal: AbortSignal;
}

/**
 * Drops a database if it is what was restored from its archive. Nobody gets in from the first step on, superusers
 * neither; `inside` is the one session that is left and does the comparing, and is ended here. `outside` is one of the
 * login in another database, without a transaction. Resolves to what differs or who could not be put out; then it stands as
 * it did, and those who may connect can do so again. [] : it is dropped. After `record` only the drop itself is left to do, and an
 * error leaves it closed: whoever carries on allows connections (`setConnections`) and compares anew.
 */
export async function dropDatabase(
  outside: Session,
  inside: Session,
  job: DropDatabaseJob,
): Promise<readonly string[]> {
  const { database, budgetMs, signal } = job;
  await setConnections(outside, database, false);
  try {
    const keepPids = [await readPid(inside)];
    const wrong = await endDatabaseSessions(outside, database, { keepPids, budgetMs, signal });
    const differences =
      wrong.length > 0 ? wrong.map((who) => `still in there: ${who}`) : await findDifferences(inside, job);
    if (differences.length > 0) {
      await setConnections(outside, database, true);
      return differences;
    }
    await job.record(outside);
  } catch (error) {
    // It was not written down that it goes.
    if (!outside.isBroken) await setConnections(outside, database, true).catch(() => {});
    throw error;
  }
  await inside.end();
  await finishDrop(outside, database);
  return [];
}

async function findDifferences(inside: Session, { rows, compare }: DropDatabaseJob): Promise<readonly string[]> {
  const differences = await compare(inside);
  return differences.length > 0 ? differences : compareRows(rows, await readRows(inside, null));
}

async function readPid(session: Session): Promise<number> {
  const [row] = await session.query<{ pid: number }>(sql`SELECT pg_catalog.pg_backend_pid() AS pid`);
  if (row === undefined) throw new Error('a session without a backend');
  return row.pid;
}

/** Not FORCE: a session that is there after all has something to lose. The server itself waits some seconds for it to go. */
async function finishDrop(outside: Session, database: string): Promise<void> {
  const [living] = await outside.query<{ owner: string }>(sql`
    SELECT pg_catalog.pg_get_userbyid(datdba) AS owner FROM pg_catalog.pg_database WHERE datname = ${database}`);
  if (living === undefined) return;
  const role = actAsOwner(await readActors(outside, [living.owner]), living.owner) ?? null;
  if (role !== null) await outside.raw(`SET ROLE ${quoteIdentifier(role)}`);
  try {
    await outside.raw(`DROP DATABASE ${quoteIdentifier(database)}`);
  } finally {
    if (role !== null && !outside.isBroken) await outside.raw('RESET ROLE');
  }
}
