import { TenantError } from '../../errors.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { sql } from '../../postgres/sql.ts';
import type { Toc } from '../archive/types.ts';

/** `pg_dump -n public` writes CREATE SCHEMA, and each new database has that schema: an empty one makes room. */
export async function makeRoomForPublic(session: Session, toc: Toc): Promise<void> {
  const makesPublic = toc.entries.some(({ kind, tag, definition }) => {
    return kind === 'SCHEMA' && tag === 'public' && /^\s*CREATE SCHEMA /m.test(definition ?? '');
  });
  if (makesPublic && (await countRelations(session, 'public')) === 0) {
    await session.raw('DROP SCHEMA IF EXISTS public RESTRICT');
  }
}

/** What stood there before would make a failed restore look good. Null: the whole database. */
export async function assertEmpty(session: Session, schema: string | null): Promise<void> {
  const [row] = await session.query<{ found: string | null }>(
    schema === null
      ? sql`SELECT pg_catalog.min(n.nspname || '.' || c.relname) AS found
              FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'`
      : sql`SELECT pg_catalog.min(n.nspname::text) AS found FROM pg_catalog.pg_namespace n WHERE n.nspname = ${schema}`,
  );
  const found = row?.found ?? null;
  if (found === null) return;
  throw new TenantError({ message: `the scratch database is not empty: ${found} is in it`, code: 'not-empty' });
}

/** Takes a restored tenant away again; false: the place cannot be used any more. */
export async function emptySchema(session: Session, schema: string): Promise<boolean> {
  try {
    await session.raw(`DROP SCHEMA IF EXISTS ${quoteIdentifier(schema)} CASCADE`);
    return true;
  } catch {
    // A lock for each of its tables: there may be more than the server has room for.
    return false;
  }
}

async function countRelations(session: Session, schema: string): Promise<number> {
  const [row] = await session.query<{ count: number }>(sql`
    SELECT pg_catalog.count(*)::int AS count FROM pg_catalog.pg_class c
     WHERE c.relnamespace = pg_catalog.to_regnamespace(${quoteIdentifier(schema)})`);
  return row?.count ?? 0;
}
