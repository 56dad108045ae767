import { findOutside } from '../postgres/find-outside.ts';
import { quoteIdentifier } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import { listNames } from '../words.ts';
import { actAsOwner, readActors } from './actors.ts';
import { lockTables } from './lock-tables.ts';
import type { Structure, TableRows } from './receipt.ts';
import { compareRows, readRows } from './row-prints.ts';
import { runStatements } from './run-statements.ts';
import { decideInTransaction } from './transaction.ts';

export interface DropJob {
  readonly schema: string;
  /** Of the restored copy. */
  readonly rows: readonly TableRows[];
  /** Read right after the fence was closed. */
  readonly structure: Structure;
  readonly structureOf: (session: Session, schema: string) => Promise<Structure>;
  /** For each table, in milliseconds. */
  readonly lockTimeoutMs: number;
  /** First in the transaction: throws when the tenant's row is no longer ours. */
  readonly confirm: (session: Session) => Promise<void>;
  /** In the transaction, before the drop: writes the receipt into the tenant's row. */
  readonly record: (session: Session) => Promise<void>;
}

/**
 * Drops a schema if it is, under locks that let nobody else even read, what was restored from its archive. One transaction:
 * what anybody wrote after the dump is found or comes too late, and the receipt is there exactly when the schema is gone.
 * Resolves to what differs; then nothing was done. [] : it is dropped, and that is committed. On a session of the login
 * itself without a transaction; lock timeouts are thrown, and leave nothing.
 */
export function dropSchema(session: Session, job: DropJob): Promise<readonly string[]> {
  return decideInTransaction(session, async () => {
    const wrong = await findWrong(session, job);
    if (wrong.length > 0) return { keep: false, value: wrong };
    const relations = await readRelations(session, job.schema);
    await job.record(session);
    await runDrop(session, job.schema);
    const surprises = await findSurprises(session, relations);
    return { keep: surprises.length === 0, value: surprises };
  });
}

/** From the cheapest question to the dearest; the rows last, when nothing can change them any more. */
async function findWrong(session: Session, job: DropJob): Promise<readonly string[]> {
  const { schema } = job;
  await job.confirm(session);
  await lockTables(session, schema, 'ACCESS EXCLUSIVE', job.lockTimeoutMs);
  const outside = await findOutside(session, schema);
  if (outside.length > 0) return [`what is not in the schema refers to it now: ${listNames(outside)}`];
  const structure = await job.structureOf(session, schema);
  if (JSON.stringify(ordered(structure)) !== JSON.stringify(ordered(job.structure))) {
    return ['its structure or rights were changed after it was fenced'];
  }
  return compareRows(job.rows, await readRows(session, [schema]));
}

function ordered({ format, major, shape }: Structure): readonly unknown[] {
  return [format, major, shape];
}

async function runDrop(session: Session, schema: string): Promise<void> {
  const [owner] = await session.query<{ name: string }>(sql`
    SELECT pg_catalog.pg_get_userbyid(nspowner) AS name FROM pg_catalog.pg_namespace WHERE nspname = ${schema}`);
  const actors = await readActors(session, owner === undefined ? [] : [owner.name]);
  const role = owner === undefined ? null : (actAsOwner(actors, owner.name) ?? null);
  await runStatements(session, [{ role, text: `DROP SCHEMA ${quoteIdentifier(schema)} CASCADE` }]);
}

/** Everything with storage that stands in a schema when it was looked at, with TOAST tables and indexes. */
async function readRelations(session: Session, schema: string): Promise<readonly string[]> {
  const rows = await session.query<{ oid: string }>(sql`
    WITH c AS (SELECT c.oid, c.reltoastrelid FROM pg_catalog.pg_class c
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ${schema})
    SELECT c.oid::text FROM c UNION SELECT c.reltoastrelid::text FROM c WHERE c.reltoastrelid <> 0
    UNION SELECT i.indexrelid::text FROM c JOIN pg_catalog.pg_index i ON i.indrelid = c.reltoastrelid`);
  return rows.map(({ oid }) => oid);
}

/**
 * A table that somebody made between the last look and the drop was never compared, and goes with CASCADE: the drop waits
 * for its maker. Our locks tell of it, and then nothing is kept.
 */
async function findSurprises(session: Session, known: readonly string[]): Promise<readonly string[]> {
  const [row] = await session.query<{ count: number }>(sql`
    SELECT pg_catalog.count(DISTINCT l.relation)::int AS count FROM pg_catalog.pg_locks l
     WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = l.relation)
       AND l.relation::text <> ALL (${known}::text[])`);
  return row !== undefined && row.count > 0 ? ['something was made in it at the last moment'] : [];
}
