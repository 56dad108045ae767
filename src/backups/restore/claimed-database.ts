import { dropDatabase, literal, type SqlRunner } from './sql-text.ts';

/** What the advisory lock of a database that is being restored is made of, with its name. */
const mark = 'unfinished restore of tenantctl';

/**
 * Says on the server that somebody is at work on a database: an advisory lock, which ends with the session and so with
 * the process. pg_locks shows it to all sessions, whatever their database. Resolves to what lets it go.
 */
export async function claimDatabase(runner: SqlRunner, database: string): Promise<() => Promise<void>> {
  const key = `pg_catalog.hashtext(${literal(mark)}), pg_catalog.hashtext(${literal(database)})`;
  await runner.rows(`SELECT pg_catalog.pg_advisory_lock(${key})::text AS claimed`);
  return async () => {
    // With a lost session it is gone already.
    await runner.rows(`SELECT pg_catalog.pg_advisory_unlock(${key}) AS released`).catch(() => {});
  };
}

export function unfinishedComment(tenant: string, run: string): string {
  return `${unfinishedPrefix(tenant)}${run}`;
}

function unfinishedPrefix(tenant: string): string {
  return `tenantctl: unfinished restore of tenant ${tenant}, run `;
}

/**
 * Drops what killed runs have left of a tenant. Another fleet on this server may have a tenant of the same id: what
 * somebody is at work on is left alone.
 */
export async function dropUnfinished(runner: SqlRunner, tenant: string): Promise<void> {
  const left = await runner.rows<{ name: string }>(`
    SELECT d.datname AS name FROM pg_catalog.pg_database d
     WHERE pg_catalog.starts_with(d.datname, 'tenantctl_restore_')
       AND pg_catalog.starts_with(pg_catalog.shobj_description(d.oid, 'pg_database'), ${literal(unfinishedPrefix(tenant))})
       AND NOT EXISTS (
             SELECT FROM pg_catalog.pg_locks l
              WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
                AND l.classid = (pg_catalog.hashtext(${literal(mark)})::bigint & 4294967295)::oid
                AND l.objid = (pg_catalog.hashtext(d.datname::text)::bigint & 4294967295)::oid)`);
  for (const { name } of left) await runner.run(dropDatabase(name));
}
