import { quoteIdentifier } from '../../postgres/identifiers.ts';
import { literal, type SqlRunner } from './sql-text.ts';

/** Settings whose value is a list of quoted names: as one constant it would become one name. */
const listSettings = new Set([
  ...['search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries'],
  'unix_socket_directories',
]);

/** Gives the database `to` owner, grants, settings (of all and of single roles), connection limit and comment of `from`. */
export async function copyDatabaseProperties(runner: SqlRunner, from: string, to: string): Promise<void> {
  const [living] = await runner.rows<{ owner: string; connections: number; comment: string | null; acl: boolean }>(`
    SELECT pg_catalog.pg_get_userbyid(d.datdba) AS owner, d.datconnlimit AS connections, d.datacl IS NOT NULL AS acl,
           pg_catalog.shobj_description(d.oid, 'pg_database') AS comment
      FROM pg_catalog.pg_database d WHERE d.datname = ${literal(from)}`);
  if (living === undefined) return;
  const name = quoteIdentifier(to);
  await runner.run(`ALTER DATABASE ${name} OWNER TO ${quoteIdentifier(living.owner)}`);
  await runner.run(`ALTER DATABASE ${name} CONNECTION LIMIT ${Math.trunc(living.connections)}`);
  if (living.acl) await copyGrants(runner, from, to, living.owner);
  await copySettings(runner, from, to);
  await commentOnDatabase(runner, to, living.comment);
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

async function copyGrants(runner: SqlRunner, from: string, to: string, owner: string): Promise<void> {
  const name = quoteIdentifier(to);
  // Everybody may connect to a new database; its owner may do all.
  await runner.run(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`);
  await runner.run(`REVOKE ALL ON DATABASE ${name} FROM ${quoteIdentifier(owner)}`);
  const grants = await runner.rows<{ statement: string }>(`
    SELECT pg_catalog.format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, ${literal(to)}::pg_catalog.text,
             CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
             CASE WHEN a.is_grantable AND a.grantee <> d.datdba THEN ' WITH GRANT OPTION' ELSE '' END) AS statement
      FROM pg_catalog.pg_database d CROSS JOIN LATERAL pg_catalog.aclexplode(d.datacl) a
     WHERE d.datname = ${literal(from)}`);
  for (const { statement } of grants) await runner.run(statement);
}

async function copySettings(runner: SqlRunner, from: string, to: string): Promise<void> {
  const settings = await runner.rows<{ role: string | null; setting: string }>(`
    SELECT CASE s.setrole WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(s.setrole) END AS role, setting
      FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
      CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) setting
     WHERE d.datname = ${literal(from)}`);
  const database = quoteIdentifier(to);
  for (const { role, setting } of settings) {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(setting) ?? [];
    const target = role === null ? `DATABASE ${database}` : `ROLE ${quoteIdentifier(role)} IN DATABASE ${database}`;
    const parameter = name.split('.').map(quoteIdentifier).join('.');
    if (listSettings.has(name)) {
      await runner.rows(`SELECT pg_catalog.set_config(${literal(name)}, ${literal(value)}, true)`);
      await runner.run(`ALTER ${target} SET ${parameter} FROM CURRENT`);
    } else {
      await runner.run(`ALTER ${target} SET ${parameter} TO ${literal(value)}`);
    }
  }
}
