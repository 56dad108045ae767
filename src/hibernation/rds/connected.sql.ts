import type { Session } from '../../postgres/session.ts';
import { sql } from '../../postgres/sql.ts';

/** Who is connected to a whole server, our own run left out. */
export interface Connected {
  /** Names of sessions of other runs of tenantctl: dumps, migrations, drift scans. */
  readonly runs: readonly string[];
  /** Sessions of everybody else, replication included. */
  readonly others: number;
}

/** `ownPrefix`: how names of this run's sessions begin: `tenantctl/k3f9/`. */
export async function readConnected(session: Session, ownPrefix: string): Promise<Connected> {
  const [row] = await session.query<Connected>(sql`
    SELECT coalesce(pg_catalog.array_agg(DISTINCT a.application_name)
                      FILTER (WHERE a.application_name LIKE 'tenantctl/%'), '{}') AS runs,
           (count(*) FILTER (WHERE a.application_name NOT LIKE 'tenantctl/%'))::int AS others
      FROM pg_catalog.pg_stat_activity a
     WHERE a.pid <> pg_catalog.pg_backend_pid()
       AND NOT pg_catalog.starts_with(a.application_name, ${ownPrefix})
       -- The kind of a backend that this login may not look into is null.
       AND coalesce(a.backend_type, 'client backend') IN ('client backend', 'walsender')
       AND a.usename IS NOT NULL
       -- Amazon's own, which is always there.
       AND a.usename <> 'rdsadmin'`);
  return row ?? { runs: [], others: 0 };
}
