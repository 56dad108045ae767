import { TenantError } from '../errors.ts';
import { tenantKey } from './advisory-locks.ts';
import type { Queries, Session } from './session.ts';
import { fragment, sql } from './sql.ts';
import { errorCode, sqlStates } from './sqlstates.ts';

/** Where a tenant lives on its server. `schema` null: a database of its own. */
export interface RowPlace {
  readonly database: string;
  readonly schema: string | null;
}

/**
 * What `tenantctl.tenant` says of a tenant that was put to sleep. The table is in the tenant's database, or in that of the
 * server's `url` for a tenant with a database of its own, which may be closed or gone. An active tenant has no row.
 */
export interface TenantRow extends RowPlace {
  /** Its id. */
  readonly tenant: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: 'hibernating' | 'hibernated' | 'waking';
  /** A `SleepWay`. */
  readonly how: string;
  /** Id of the run that wrote it. */
  readonly run: string;
  /** When its state began. */
  readonly since: Date;
  /** Where whoever carries on begins. */
  readonly step: string;
  /** A `Fence`; null: none was closed. */
  readonly fence: unknown;
  /** A `Receipt`; null until there is one. */
  readonly receipt: unknown;
}

/** A row without its long parts, for all that only need to know who sleeps. */
export interface SleepRow extends Omit<TenantRow, 'fence' | 'receipt'> {
  /** Names of the migrations that it had, oldest first; null: not known. */
  readonly applied: readonly string[] | null;
  /** It sleeps in an archive, and something of its name stands in its place: whatever that is, it is not this tenant. */
  readonly isNameTaken: boolean;
}

/** True when somebody was ever put to sleep here; a piece of a statement. Needs no right on the schema. */
export const hasTenantTable = fragment`EXISTS (
  SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'tenantctl' AND c.relname = 'tenant' AND c.relkind = 'r')`;

/** Whether somebody was ever put to sleep here. */
export async function isTenantTableThere(session: Session): Promise<boolean> {
  const [row] = await session.query<{ isThere: boolean }>(sql`SELECT ${hasTenantTable} AS "isThere"`);
  return row?.isThere === true;
}

// The DateStyle of a login role must not decide how a time is read.
const commonColumns = fragment`database, nullif(schema, '') AS schema, tenant, labels, state, how, run,
  (pg_catalog.date_part('epoch', since) * 1000)::float8 AS "sinceMs", step`;

/** All that is known of who sleeps; empty when there is no table. */
export async function readTenantRows(session: Session): Promise<readonly SleepRow[]> {
  return (await isTenantTableThere(session)) ? readRowsThere(session) : [];
}

/** As `readTenantRows`, where the table is known to be there. */
export async function readRowsThere(session: Session): Promise<readonly SleepRow[]> {
  const rows = session.query<Raw<SleepRow>>(sql`
    SELECT ${commonColumns},
           CASE WHEN pg_catalog.jsonb_typeof(receipt->'applied') = 'array' THEN receipt->'applied' END AS applied,
           state = 'hibernated' AND how = 'archive' AND CASE
             WHEN schema = '' THEN EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname = database)
             ELSE database = pg_catalog.current_database()
                  AND EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = schema) END AS "isNameTaken"
      FROM tenantctl.tenant`);
  return (await rows.catch(explainDenied)).map(withSince);
}

/** The whole row of one tenant, or null. `lock`: nobody else changes it before the transaction ends. */
export async function readTenantRow(
  session: Session,
  place: RowPlace,
  options: { readonly lock?: boolean } = {},
): Promise<TenantRow | null> {
  if (!(await isTenantTableThere(session))) return null;
  const [row] = await session
    .query<Raw<TenantRow>>(sql`
    SELECT ${commonColumns}, fence, receipt FROM tenantctl.tenant WHERE ${isAt(place)}
    ${options.lock === true ? fragment`FOR UPDATE` : fragment``}`)
    .catch(explainDenied);
  return row === undefined ? null : withSince(row);
}

/** Code of the failure when the login may not see who sleeps. */
export const rowsDenied = 'sleepers-denied';

/** Whoever may not look cannot know which tenants to leave alone. */
function explainDenied(error: unknown): never {
  if (errorCode(error) !== sqlStates.insufficientPrivilege) throw error;
  throw new TenantError(
    {
      message: `who sleeps here cannot be read: ${(error as Error).message}`,
      code: rowsDenied,
      sqlState: sqlStates.insufficientPrivilege,
      hint: 'grant usage on schema tenantctl and select on tenantctl.tenant to the login, or use the one that hibernates',
    },
    { cause: error },
  );
}

type Raw<Row extends { readonly since: Date }> = Omit<Row, 'since'> & { readonly sinceMs: number };

function withSince<Row>({ sinceMs, ...row }: Row & { readonly sinceMs: number }): Omit<Row, 'sinceMs'> & {
  readonly since: Date;
} {
  return { ...row, since: new Date(sinceMs) };
}

/**
 * Makes schema and table where they are not there yet, outside any transaction: whoever makes them at the same time
 * waits for the end of this one. Where the table is there, no right to create anything is needed; it is refused where
 * others may write to it.
 */
export async function ensureTenantTable(session: Session): Promise<void> {
  if (await isTenantTableThere(session)) return checkTenantTable(session);
  const { completed: _, error } = await session.script(creation);
  if (error !== null) throw error;
}

// One statement, so that the lock ends with it whatever happens. Two that create one schema at once collide in spite of
// IF NOT EXISTS. The key is nobody's: a schema of this name is never a tenant.
const creation = `DO $do$ DECLARE it record; BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock(${tenantKey('tenantctl')});
  CREATE SCHEMA IF NOT EXISTS tenantctl;
  CREATE TABLE IF NOT EXISTS tenantctl.tenant (
    database text NOT NULL,
    schema text NOT NULL,
    tenant text NOT NULL,
    labels jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('hibernating', 'hibernated', 'waking')),
    how text NOT NULL,
    run text NOT NULL,
    since timestamptz NOT NULL,
    step text NOT NULL,
    fence jsonb,
    receipt jsonb,
    PRIMARY KEY (database, schema));
  -- Default privileges are meant for tables of the application. Who may write here can have rights given to them.
  FOR it IN SELECT object, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::pg_catalog.regrole::text END AS grantee
              FROM (SELECT 'SCHEMA tenantctl' AS object, n.nspowner AS owner, x.grantee
                      FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) x WHERE n.nspname = 'tenantctl'
                     UNION SELECT 'TABLE tenantctl.tenant', c.relowner, x.grantee
                      FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) x
                     WHERE c.oid = 'tenantctl.tenant'::pg_catalog.regclass) granted
             WHERE grantee <> owner
  LOOP
    EXECUTE 'REVOKE ALL ON ' || it.object || ' FROM ' || it.grantee || ' CASCADE';
  END LOOP;
END $do$`;

/**
 * Refuses a table that others may write to: what stands there decides to whom waking gives rights. Those who may only
 * read it were meant to. Roles that this login belongs to may own it.
 */
export async function checkTenantTable(session: Session): Promise<void> {
  const rows = await session.query<{ who: string }>(sql`
    WITH object AS (
      SELECT n.nspowner AS owner, n.nspacl AS acl, 'USAGE' AS harmless
        FROM pg_catalog.pg_namespace n WHERE n.nspname = 'tenantctl'
      UNION ALL
      SELECT c.relowner, c.relacl, 'SELECT' FROM pg_catalog.pg_class c
       WHERE c.oid = pg_catalog.to_regclass('tenantctl.tenant')
      UNION ALL
      SELECT c.relowner, a.attacl, 'SELECT'
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
       WHERE c.oid = pg_catalog.to_regclass('tenantctl.tenant')
    ), writer AS (
      SELECT x.grantee AS role FROM object, LATERAL pg_catalog.aclexplode(acl) x
       WHERE x.privilege_type <> harmless AND x.grantee <> owner
      UNION
      SELECT owner FROM object WHERE NOT pg_catalog.pg_has_role(owner, 'MEMBER')
    )
    SELECT coalesce(r.rolname, 'public')::text AS who
      FROM writer w LEFT JOIN pg_catalog.pg_roles r ON r.oid = w.role
     WHERE coalesce(NOT r.rolsuper AND r.rolname <> current_user, true)`);
  if (rows.length === 0) return;
  const who = rows.map((each) => each.who).join(', ');
  throw new TenantError({
    message: `others may write to tenantctl.tenant, which says whose rights tenants get back: ${who}`,
    code: 'state-unsafe',
    hint: 'look at its rows, then revoke all on schema tenantctl and on tenantctl.tenant from them; let the login that hibernates own both',
  });
}

/** Writes the row of a tenant, in the transaction of the caller. When the state moves on, it began at `since`: now, or earlier. */
export async function putTenantRow(
  session: Queries,
  row: Omit<TenantRow, 'since'>,
  since: Date | null = null,
): Promise<void> {
  await session.query(sql`
    INSERT INTO tenantctl.tenant AS it
           (database, schema, tenant, labels, state, how, run, since, step, fence, receipt)
    VALUES (${row.database}, ${row.schema ?? ''}, ${row.tenant}, ${json(row.labels)}::jsonb, ${row.state}, ${row.how},
            ${row.run}, coalesce(${since?.toISOString() ?? null}::timestamptz, pg_catalog.now()), ${row.step}, ${json(row.fence)}::jsonb, ${json(row.receipt)}::jsonb)
    ON CONFLICT (database, schema) DO UPDATE
       SET tenant = excluded.tenant, labels = excluded.labels, state = excluded.state, how = excluded.how,
           run = excluded.run, since = CASE WHEN it.state = excluded.state THEN it.since ELSE excluded.since END,
           step = excluded.step, fence = excluded.fence, receipt = excluded.receipt`);
}

/** The tenant is active again. `seen`: only when its row still says that; another run may have put it to sleep since. */
export async function deleteTenantRow(
  session: Session,
  place: RowPlace,
  seen: Pick<TenantRow, 'state' | 'step' | 'run'> | null = null,
): Promise<void> {
  const isSeen =
    seen === null ? fragment`` : fragment` AND state = ${seen.state} AND step = ${seen.step} AND run = ${seen.run}`;
  await session.query(sql`DELETE FROM tenantctl.tenant WHERE ${isAt(place)}${isSeen}`);
}

function isAt({ database, schema }: RowPlace): unknown {
  return fragment`database = ${database} AND schema = ${schema ?? ''}`;
}

function json(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}
