import { quoteIdentifier } from '../../postgres/identifiers.ts';
import { literal, type SqlRunner } from './sql-text.ts';

/** Settings whose value is a list of quoted names: as one constant it would become one name. */
const listSettings = new Set([
  ...['search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries'],
  'unix_socket_directories',
]);

/** Gives the database `to` all that is not in it: who may do what, settings, connection limit and comment of `from`. */
export async function copyDatabaseProperties(runner: SqlRunner, from: string, to: string): Promise<void> {
  await copyDatabaseAccess(runner, from, to);
  await copyDatabaseSettings(runner, from, to);
  await commentOnDatabase(runner, to, await databaseComment(runner, from));
}

/** Owner and grants: who may connect to the one may connect to the other. False: there is no `from`. */
export async function copyDatabaseAccess(runner: SqlRunner, from: string, to: string): Promise<boolean> {
  const [living] = await runner.rows<{ owner: string }>(`
    SELECT pg_catalog.pg_get_userbyid(d.datdba) AS owner
      FROM pg_catalog.pg_database d WHERE d.datname = ${literal(from)}`);
  if (living === undefined) return false;
  await runner.run(`ALTER DATABASE ${quoteIdentifier(to)} OWNER TO ${quoteIdentifier(living.owner)}`);
  await copyGrants(runner, from, to);
  return true;
}

/** Settings (of all and of single roles) and connection limit. In a transaction of the caller's. */
export async function copyDatabaseSettings(runner: SqlRunner, from: string, to: string): Promise<void> {
  const [living] = await runner.rows<{ connections: number }>(
    `SELECT datconnlimit AS connections FROM pg_catalog.pg_database WHERE datname = ${literal(from)}`,
  );
  if (living === undefined) return;
  await runner.run(`ALTER DATABASE ${quoteIdentifier(to)} CONNECTION LIMIT ${Math.trunc(living.connections)}`);
  const database = quoteIdentifier(to);
  for (const { role } of await readSettings(runner, to))
    await runner.run(`ALTER ${targetOf(role, database)} RESET ALL`);
  await copySettings(runner, from, to);
}

export async function commentOnDatabase(runner: SqlRunner, database: string, comment: string | null): Promise<void> {
  await runner.run(
    `COMMENT ON DATABASE ${quoteIdentifier(database)} IS ${comment === null ? 'NULL' : literal(comment)}`,
  );
}

export async function databaseComment(runner: SqlRunner, database: string): Promise<string | null> {
  const [row] = await runner.rows<{ comment: string | null }>(`
    SELECT pg_catalog.shobj_description(d.oid, 'pg_database') AS comment
      FROM pg_catalog.pg_database d WHERE d.datname = ${literal(database)}`);
  return row?.comment ?? null;
}

/** Grants as they stand, those of a new database spelled out. */
async function copyGrants(runner: SqlRunner, from: string, to: string): Promise<void> {
  const grantee = `CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END`;
  const rightsOf = (name: string) => `
      FROM pg_catalog.pg_database d
      CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
     WHERE d.datname = ${literal(name)}`;
  const statements = [
    `SELECT DISTINCT pg_catalog.format('REVOKE ALL ON DATABASE %I FROM %s', d.datname, ${grantee}) AS statement ${rightsOf(to)}`,
    `SELECT pg_catalog.format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, ${literal(to)}::pg_catalog.text, ${grantee},
            CASE WHEN a.is_grantable AND a.grantee <> d.datdba THEN ' WITH GRANT OPTION' ELSE '' END) AS statement ${rightsOf(from)}`,
  ];
  for (const select of statements) {
    for (const { statement } of await runner.rows<{ statement: string }>(select)) await runner.run(statement);
  }
}

interface Setting {
  /** Null: of everybody. */
  readonly role: string | null;
  readonly setting: string;
}

function readSettings(runner: SqlRunner, database: string): Promise<readonly Setting[]> {
  return runner.rows<Setting>(`
    SELECT CASE s.setrole WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(s.setrole) END AS role, setting
      FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
      CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) setting
     WHERE d.datname = ${literal(database)}`);
}

function targetOf(role: string | null, database: string): string {
  return role === null ? `DATABASE ${database}` : `ROLE ${quoteIdentifier(role)} IN DATABASE ${database}`;
}

async function copySettings(runner: SqlRunner, from: string, to: string): Promise<void> {
  const database = quoteIdentifier(to);
  for (const { role, setting } of await readSettings(runner, from)) {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(setting) ?? [];
    const target = targetOf(role, database);
    const parameter = name.split('.').map(quoteIdentifier).join('.');
    if (listSettings.has(name)) {
      await runner.rows(`SELECT pg_catalog.set_config(${literal(name)}, ${literal(value)}, true)`);
      await runner.run(`ALTER ${target} SET ${parameter} FROM CURRENT`);
    } else {
      await runner.run(`ALTER ${target} SET ${parameter} TO ${literal(value)}`);
    }
  }
}
