import { quoteQualified } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';

/** Tables of a schema that can be locked: all that have rows of their own, and partitioned ones. */
export async function readTableNames(session: Session, schema: string): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(sql`
    SELECT c.relname AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ${schema} AND c.relkind IN ('r', 'p') ORDER BY c.relname COLLATE "C"`);
  return rows.map(({ name }) => name);
}

/** In the caller's transaction; waits no longer than `timeoutMs` for each. */
export async function lockTables(
  session: Session,
  schema: string,
  mode: 'SHARE ROW EXCLUSIVE' | 'ACCESS EXCLUSIVE',
  timeoutMs: number,
): Promise<void> {
  await session.raw(`SET LOCAL lock_timeout = ${Math.max(1, Math.trunc(timeoutMs))}`);
  const names = await readTableNames(session, schema);
  if (names.length === 0) return;
  // ONLY: what inherits from them in another schema is not this tenant's.
  await session.raw(
    `LOCK TABLE ${names.map((name) => `ONLY ${quoteQualified(schema, name)}`).join(', ')} IN ${mode} MODE`,
  );
}
