import { toFailure } from '../postgres/failure.ts';
import { quoteIdentifier } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import { errorCode, sqlStates } from '../postgres/sqlstates.ts';

/** What a tenant's schema has before its first migration, as statements: owner, privileges, default privileges. */
export interface Ground {
  readonly statements: readonly string[];
}

/**
 * Reads what migrations build upon. Whoever made the schema gave it these; without them what the migrations make would
 * belong to, and be open to, others than it is for the tenants.
 */
export async function readGround(session: Session, schema: string): Promise<Ground> {
  const [own, grants, defaults] = await Promise.all([
    session.query<{ statement: string }>(ownerStatements(schema)),
    session.query<{ statement: string }>(grantStatements(schema)),
    session.query<{ statement: string }>(defaultStatements(schema)),
  ]);
  return { statements: [...own, ...grants, ...defaults].map(({ statement }) => statement) };
}

function ownerStatements(schema: string) {
  return sql`
    SELECT s.statement
      FROM pg_catalog.pg_namespace n
      CROSS JOIN LATERAL (VALUES
        (1, pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname)),
        -- From PostgreSQL 15 on it is public's owner in each new database.
        (2, CASE WHEN pg_catalog.pg_get_userbyid(n.nspowner) <> 'pg_database_owner'
                 THEN pg_catalog.format('ALTER SCHEMA %I OWNER TO %I', n.nspname, pg_catalog.pg_get_userbyid(n.nspowner))
            END)) s(step, statement)
     WHERE n.nspname = ${schema} AND s.statement IS NOT NULL
     ORDER BY s.step`;
}

function grantStatements(schema: string) {
  return sql`
    SELECT s.statement
      FROM pg_catalog.pg_namespace n
      CROSS JOIN LATERAL (
        SELECT 1, pg_catalog.format('REVOKE ALL ON SCHEMA %I FROM PUBLIC, %I', n.nspname,
                                    pg_catalog.pg_get_userbyid(n.nspowner))
        UNION ALL
        SELECT 2, pg_catalog.format('GRANT %s ON SCHEMA %I TO %s%s', a.privilege_type, n.nspname,
                                    CASE a.grantee WHEN 0 THEN 'PUBLIC'
                                      ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
                                    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
          FROM pg_catalog.aclexplode(n.nspacl) a) s(step, statement)
     WHERE n.nspname = ${schema} AND n.nspacl IS NOT NULL
     ORDER BY s.step, s.statement COLLATE "C"`;
}

/** Those of the schema, and those of the database, which hold for it too. */
function defaultStatements(schema: string) {
  return sql`
    WITH defaults AS (
      SELECT d.defaclnamespace = 0 AS everywhere, pg_catalog.pg_get_userbyid(d.defaclrole) AS role, d.defaclacl AS acl,
             CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                                  WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' WHEN 'L' THEN 'LARGE OBJECTS' END AS what,
             pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I', pg_catalog.pg_get_userbyid(d.defaclrole))
               || CASE WHEN n.oid IS NULL THEN '' ELSE pg_catalog.format(' IN SCHEMA %I', n.nspname) END AS head
        FROM pg_catalog.pg_default_acl d
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
       WHERE d.defaclnamespace = 0 OR n.nspname = ${schema})
    SELECT s.statement
      FROM defaults d
      CROSS JOIN LATERAL (
        SELECT 1, pg_catalog.format('%s REVOKE ALL ON %s FROM PUBLIC, %I', d.head, d.what, d.role) WHERE d.everywhere
        UNION ALL
        SELECT 2, pg_catalog.format('%s GRANT %s ON %s TO %s%s', d.head, a.privilege_type, d.what,
                                    CASE a.grantee WHEN 0 THEN 'PUBLIC'
                                      ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
                                    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
          FROM pg_catalog.aclexplode(d.acl) a) s(step, statement)
     WHERE d.what IS NOT NULL
     ORDER BY d.head COLLATE "C", d.what COLLATE "C", s.step, s.statement COLLATE "C"`;
}

/**
 * Makes the ground, and extensions on it, in an empty database. What cannot be made is returned, a line each: whether the
 * migrations can do without, they show.
 */
export async function makeGround(
  session: Session,
  { statements }: Ground,
  extensions: readonly { readonly name: string; readonly schema: string }[],
): Promise<readonly string[]> {
  const schemas = [...new Set(extensions.map(({ schema }) => schema))]
    // Those of the system are there, and nobody may make one that is called like them.
    .filter((schema) => !schema.startsWith('pg_'))
    .map((schema) => `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
  const lacking: string[] = [];
  for (const statement of [...statements, ...schemas]) {
    try {
      await session.raw(statement);
    } catch (error) {
      if (errorCode(error) !== sqlStates.insufficientPrivilege) throw error;
      lacking.push(`the login role may not run ${statement}`);
    }
  }
  for (const extension of extensions) lacking.push(...(await makeExtension(session, extension)));
  return lacking;
}

/** Some want a place in the server's settings, or one database of the server for themselves: none needs to be here. */
async function makeExtension(
  session: Session,
  { name, schema }: { readonly name: string; readonly schema: string },
): Promise<readonly string[]> {
  try {
    await session.raw(
      `CREATE EXTENSION IF NOT EXISTS ${quoteIdentifier(name)} SCHEMA ${quoteIdentifier(schema)} CASCADE`,
    );
    return [];
  } catch (error) {
    if (session.isBroken) throw error;
    return [`extension ${name} cannot be made: ${toFailure(error).message}`];
  }
}

/** Those of these schemas in which somebody made something: what belongs to extensions comes with them. */
export async function filledSchemas(session: Session, schemas: readonly string[]): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(sql`
    SELECT n.nspname AS name
      FROM pg_catalog.pg_namespace n
     WHERE n.nspname = ANY (${schemas}::text[])
       AND EXISTS (
             SELECT FROM pg_catalog.pg_depend d
              WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = n.oid
                AND d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                                 WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e'))
     ORDER BY n.nspname COLLATE "C"`);
  return rows.map(({ name }) => name);
}
