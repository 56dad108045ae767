import type { Session } from './session.ts';
import { sql } from './sql.ts';

/** What matters of a server and of the login on it, for a person who asks whether all is well. */
export interface ServerHealth {
  readonly versionNum: number;
  readonly isStandby: boolean;
  /** As the server sees it: behind a pooler, the pooler's own connection. */
  readonly isEncrypted: boolean;
  readonly role: string;
  readonly isSuperuser: boolean;
  readonly canCreateDatabases: boolean;
  readonly canCreateRoles: boolean;
  readonly bypassesRls: boolean;
  /** Null before PostgreSQL 14, which has no pg_read_all_data. */
  readonly readsAllData: boolean | null;
  readonly maxConnections: number;
  /** Of them, for superusers and pg_use_reserved_connections. */
  readonly reservedConnections: number;
  readonly usedConnections: number;
  readonly maxPreparedTransactions: number;
  readonly maxLocksPerTransaction: number;
}

/** One statement; `session` may stand in any database of the server. */
export async function readServerHealth(session: Session): Promise<ServerHealth> {
  const [row] = await session.query<ServerHealth>(sql`
    SELECT pg_catalog.current_setting('server_version_num')::int AS "versionNum",
           pg_catalog.pg_is_in_recovery() AS "isStandby",
           coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()), false)
             AS "isEncrypted",
           current_user::text AS role,
           r.rolsuper AS "isSuperuser",
           r.rolcreatedb OR r.rolsuper AS "canCreateDatabases",
           r.rolcreaterole OR r.rolsuper AS "canCreateRoles",
           r.rolbypassrls OR r.rolsuper AS "bypassesRls",
           (SELECT pg_catalog.pg_has_role(g.oid, 'USAGE') FROM pg_catalog.pg_roles g
             WHERE g.rolname = 'pg_read_all_data') AS "readsAllData",
           pg_catalog.current_setting('max_connections')::int AS "maxConnections",
           pg_catalog.current_setting('superuser_reserved_connections')::int
             + coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0) AS "reservedConnections",
           (SELECT pg_catalog.sum(numbackends)::int FROM pg_catalog.pg_stat_database) AS "usedConnections",
           pg_catalog.current_setting('max_prepared_transactions')::int AS "maxPreparedTransactions",
           pg_catalog.current_setting('max_locks_per_transaction')::int AS "maxLocksPerTransaction"
      FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`);
  if (row === undefined) throw new Error('the server did not describe itself');
  return row;
}
