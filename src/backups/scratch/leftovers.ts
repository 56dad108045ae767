import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { sql } from '../../postgres/sql.ts';
import { errorCode } from '../../postgres/sqlstates.ts';

/** What the comment of a scratch database begins with; the run's id follows. */
const mark = 'scratch database of tenantctl, run ';

/**
 * Says on a server that a run is alive: an advisory lock, which ends with the session and with the process. pg_locks
 * shows it to all sessions, whatever their database.
 */
export async function claimRun(session: Session, run: string): Promise<void> {
  await session.query(
    sql`SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtext(${mark}), pg_catalog.hashtext(${run}))`,
  );
}

export async function markDatabase(session: Session, name: string, run: string): Promise<void> {
  const comment = `${mark}${run}`.replaceAll("'", "''");
  await session.raw(`COMMENT ON DATABASE ${quoteIdentifier(name)} IS '${comment}'`);
}

/** Drops the scratch databases of runs that are no more. One that somebody is connected to stays. */
export async function dropLeftovers(session: Session): Promise<readonly string[]> {
  const left = await session.query<{ name: string }>(sql`
    WITH marked AS (
      SELECT d.oid, d.datname,
             pg_catalog.substr(pg_catalog.shobj_description(d.oid, 'pg_database'), pg_catalog.length(${mark}::text) + 1) AS run
        FROM pg_catalog.pg_database d
       WHERE d.datname LIKE 'tenantctl\\_verify\\_%'
         AND pg_catalog.starts_with(pg_catalog.shobj_description(d.oid, 'pg_database'), ${mark}::text))
    SELECT m.datname AS name
      FROM marked m
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = m.oid)
       AND NOT EXISTS (
             SELECT FROM pg_catalog.pg_locks l
              WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
                AND l.classid = (pg_catalog.hashtext(${mark}::text)::bigint & 4294967295)::oid
                AND l.objid = (pg_catalog.hashtext(m.run)::bigint & 4294967295)::oid)`);
  const dropped: string[] = [];
  for (const { name } of left) {
    try {
      // Not by force: who connects in this moment has a reason.
      await session.raw(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)}`);
      dropped.push(name);
    } catch (error) {
      // It is in use, or another role's: not ours to clear away.
      if (!staysBehind.has(errorCode(error) ?? '')) throw error;
    }
  }
  return dropped;
}

/** object_in_use, insufficient_privilege. */
const staysBehind: ReadonlySet<string> = new Set(['55006', '42501']);
