import { quoteIdentifier } from '../../postgres/identifiers.ts';
import { oldComment } from './restore-types.ts';
import { literal, renameSchema, type SqlRunner } from './sql-text.ts';

/** Privileges that a list of access rights (`acl`, of which `owner` is not told) gives, as the words of a GRANT. */
function grants(acl: string, target: string): string {
  return `
    SELECT pg_catalog.format('GRANT %s ON %s TO %s%s', a.privilege_type, ${target},
             CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
             CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS statement
      FROM pg_catalog.aclexplode(${acl}) a`;
}

/** Takes away all that a list of access rights gives. */
function revokes(acl: string, target: string): string {
  return `
    SELECT DISTINCT pg_catalog.format('REVOKE ALL ON %s FROM %s', ${target},
             CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END)
           AS statement
      FROM pg_catalog.aclexplode(${acl}) a`;
}

async function runAll(runner: SqlRunner, select: string): Promise<void> {
  for (const { statement } of await runner.rows<{ statement: string }>(select)) await runner.run(statement);
}

/** Gives the schema `to` owner, grants, default privileges and comment of the schema `from`. Both are there. */
async function copySchemaProperties(runner: SqlRunner, from: string, to: string): Promise<void> {
  const schema = (name: string) => `FROM pg_catalog.pg_namespace n WHERE n.nspname = ${literal(name)}`;
  const target = literal(`SCHEMA ${quoteIdentifier(to)}`);
  const acl = (name: string) => `(SELECT coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) ${schema(name)})`;
  const [living] = await runner.rows<{ owner: string; comment: string | null }>(`
    SELECT pg_catalog.pg_get_userbyid(n.nspowner) AS owner,
           pg_catalog.obj_description(n.oid, 'pg_namespace') AS comment ${schema(from)}`);
  if (living === undefined) return;
  await runAll(runner, revokes(acl(to), target));
  await runner.run(`ALTER SCHEMA ${quoteIdentifier(to)} OWNER TO ${quoteIdentifier(living.owner)}`);
  await runAll(runner, revokes(acl(to), target));
  await runAll(runner, grants(acl(from), target));
  await copyDefaultPrivileges(runner, from, to);
  await commentOnSchema(runner, to, living.comment);
}

/** Those that hold in one schema only add to what is the default: taken away and given anew they are equal. */
async function copyDefaultPrivileges(runner: SqlRunner, from: string, to: string): Promise<void> {
  const kinds = `CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                 WHEN 'T' THEN 'TYPES' END`;
  const entries = (name: string, words: string, tail: string) => `
    SELECT pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I ${words} %s%s',
             pg_catalog.pg_get_userbyid(d.defaclrole), ${literal(to)}::pg_catalog.text, a.privilege_type, ${kinds},
             CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
             ${tail}) AS statement
      FROM pg_catalog.pg_default_acl d JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
      CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a
     WHERE n.nspname = ${literal(name)}`;
  await runAll(runner, entries(to, 'REVOKE %s ON %s FROM', "''"));
  await runAll(
    runner,
    entries(from, 'GRANT %s ON %s TO', "CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"),
  );
}

export async function commentOnSchema(runner: SqlRunner, schema: string, comment: string | null): Promise<void> {
  await runner.run(`COMMENT ON SCHEMA ${quoteIdentifier(schema)} IS ${comment === null ? 'NULL' : literal(comment)}`);
}

export async function schemaComment(runner: SqlRunner, schema: string): Promise<string | null> {
  const [row] = await runner.rows<{ comment: string | null }>(`
    SELECT pg_catalog.obj_description(n.oid, 'pg_namespace') AS comment
      FROM pg_catalog.pg_namespace n WHERE n.nspname = ${literal(schema)}`);
  return row?.comment ?? null;
}

export interface SchemaSwap {
  readonly tenant: string;
  readonly run: string;
  /** The name that the tenant has. */
  readonly living: string;
  readonly restored: string;
  readonly old: string;
}

/** Two renames in the caller's transaction: the application sees the one or the other, and waits for neither. */
export async function swapSchemas(runner: SqlRunner, swap: SchemaSwap): Promise<void> {
  const { tenant, run, living, restored, old } = swap;
  await runner.run(renameSchema(living, old));
  await runner.run(renameSchema(restored, living));
  await settleSwapped(runner, { tenant, run, living, old });
}

/** What is left to do once both have their names. */
export async function settleSwapped(
  runner: SqlRunner,
  { tenant, run, living, old }: Omit<SchemaSwap, 'restored'>,
): Promise<void> {
  await copySchemaProperties(runner, old, living);
  if ((await schemaComment(runner, old)) === null) await commentOnSchema(runner, old, oldComment(tenant, run));
}
