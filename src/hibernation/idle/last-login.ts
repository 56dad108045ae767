import { TenantError } from '../../errors.ts';
import { readFirstRows } from '../../postgres/first-rows.ts';
import type { Session } from '../../postgres/session.ts';

/**
 * Asks the operator's own question in a session that is ready for its tenant: milliseconds since 1970, or null when
 * nobody ever logged in. It can only read. One value is what a scalar subquery gives: more than one row is an error.
 */
export async function askLastLogin(session: Session, query: string): Promise<number | null> {
  // A line end, for it may end in a comment.
  const question = query.replace(/[\s;]+$/, '');
  const { rows } = await readFirstRows(
    session,
    `SELECT (pg_catalog.date_part('epoch', (\n${question}\n)::pg_catalog.timestamptz) * 1000)::pg_catalog.float8`,
    { maxRows: 1, maxValueLength: 100 },
  );
  const text = rows[0]?.[0] ?? null;
  if (text === null || text === '-Infinity') return null;
  const at = Number(text);
  if (Number.isFinite(at)) return at;
  throw new TenantError({
    message: `hibernate.lastLogin gave ${text}, which is no time`,
    hint: 'give a query for one timestamp, like: select max(last_login_at) from users',
  });
}
