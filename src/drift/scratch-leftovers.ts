import { quoteIdentifier } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import { errorCode } from '../postgres/sqlstates.ts';

/** What the comment of a scratch database begins with; the run's id follows. */
const mark = 'scratch database of tenantctl drift, run ';

/** Follows the run while nobody has been in the database; then seconds of the server's clock. */
const unused = ', not in use yet at ';

/** For so long a database that nobody is in may be one whose run is just about to connect. */
const graceSeconds = 600;

/** At most 63 bytes, as a run's id has 22. */
export function scratchName(run: string, count: number): string {
  return `tenantctl_drift_${run}_${count}`;
}

/** What is said of a database while it is made: whoever finds it without any session a while later may drop it. */
export async function unusedComment(session: Session, run: string): Promise<string> {
  const [row] = await session.query<{ now: string }>(
    sql`SELECT EXTRACT(epoch FROM pg_catalog.clock_timestamp())::bigint::text AS now`,
  );
  return `${mark}${run}${unused}${row?.now}`;
}

/** Says what a database is for, from a session in it: from now on whoever finds it without any session may drop it. */
export async function markScratch(session: Session, name: string, run: string): Promise<void> {
  await session.raw(`COMMENT ON DATABASE ${quoteIdentifier(name)} IS '${`${mark}${run}`.replaceAll("'", "''")}'`);
}

/**
 * Drops the scratch databases that killed runs have left. A run that lives has a session in its own once it is in use,
 * and the server sees that session end when the run is killed.
 */
export async function dropLeftovers(session: Session): Promise<readonly string[]> {
  const left = await session.query<{ name: string }>(sql`
    SELECT d.datname AS name
      FROM pg_catalog.pg_database d
     WHERE d.datname LIKE 'tenantctl\\_drift\\_%'
       AND pg_catalog.starts_with(pg_catalog.shobj_description(d.oid, 'pg_database'), ${mark}::text)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid)
       AND coalesce(pg_catalog.substring(pg_catalog.shobj_description(d.oid, 'pg_database'), ${`${unused}([0-9]+)$`}::text)::bigint, 0)
             < EXTRACT(epoch FROM pg_catalog.clock_timestamp()) - ${graceSeconds}::int
     ORDER BY d.datname COLLATE "C"`);
  const dropped: string[] = [];
  for (const { name } of left) {
    try {
      // Not by force: who connects in this moment has a reason.
      await session.raw(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)}`);
      dropped.push(name);
    } catch (error) {
      if (!staysBehind.has(errorCode(error) ?? '')) throw error;
    }
  }
  return dropped;
}

/** It is in use, or another role's; or another run drops it in this moment (an internal error, or no such database). */
const staysBehind: ReadonlySet<string> = new Set(['55006', '42501', 'XX000', '3D000']);
