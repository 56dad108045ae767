import { standInSql } from '../stand-ins.ts';

/** The parameters that every statement of facts has: the tenant's namespace, then `NameParameters` in their order. */
export const parameterTypes = [
  'oid',
  'text',
  'text',
  'text',
  'text',
  'text',
  'text',
  'text',
  'text',
  'text',
  'text',
  'text',
  'text',
  'text',
] as const;

const [schema, role, id, schemaInName, idInName] = ['$3', '$4', '$5', '$6', '$7'] as const;
const [schemaNeedle, idNeedle, schemaInBody, schemaInLiteral] = ['$8', '$9', '$10', '$11'] as const;
const [idInBody, idInLiteral, qualifier] = ['$12', '$13', '$14'] as const;

/** What stands for the tenant's names. */
const [ownSchema, ownId] = [standInSql('schema'), standInSql('id')];

/** The tenant's history of migrations, which is no part of its structure. */
export const historyTable = 'pgmigrations';

/** The oid of a catalogue, known when the statement is planned. */
export function catalogue(name: string): string {
  return `'pg_catalog.${name}'::pg_catalog.regclass`;
}

const ofTenant = `ANY (ARRAY[${schema}, ${id}])`;

/** Which of the tenant's names something in the schema has too: such a name is not known to mean the tenant. */
const takenNames = `SELECT coalesce(pg_catalog.bool_or(t.name = ${schema}), false) AS schema, coalesce(pg_catalog.bool_or(t.name = ${id}), false) AS id FROM (
    SELECT c.relname AS name FROM pg_catalog.pg_class c WHERE c.relname = ${ofTenant} AND c.relnamespace = $1
    UNION ALL SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.proname = ${ofTenant} AND p.pronamespace = $1
    UNION ALL SELECT y.typname FROM pg_catalog.pg_type y WHERE y.typname = ${ofTenant} AND y.typnamespace = $1
    UNION ALL SELECT a.attname FROM obj o JOIN pg_catalog.pg_attribute a ON a.attrelid = o.objid
               WHERE o.classid = ${catalogue('pg_class')} AND a.attname = ${ofTenant}) t`;

/** Matches nothing. */
const never = `'(?=a)b'`;

const ownNames = (name: string, column: string) => `SELECT x.${column}::text AS n
  FROM obj o JOIN pg_catalog.${name} x ON x.oid = o.objid AND o.classid = ${catalogue(name)}`;

/** Names of the schema's own relations, functions and types, as a pattern. */
const ownObjects = `(SELECT pg_catalog.string_agg(pg_catalog.regexp_replace(n, '([^[:alnum:]_])', '\\\\\\1', 'g'), '|') FROM (
  ${ownNames('pg_class', 'relname')} UNION ${ownNames('pg_proc', 'proname')} UNION ${ownNames('pg_type', 'typname')}) names)`;

/**
 * What the schema holds, found by the dependencies on it: their index leads with the schema, that of no catalogue does.
 * Members of extensions are left out. The path is set before the first object is known, so before anything is printed;
 * the statement itself was read with pg_catalog as its path, and is not to be planned again for each tenant. `own` is
 * looked at only where a text may hold a name of the tenant.
 */
export const objects = `ready AS MATERIALIZED (SELECT pg_catalog.set_config('search_path', $2, true) AS path),
obj AS MATERIALIZED (
  SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
   WHERE d.refclassid = ${catalogue('pg_namespace')} AND d.refobjid = $1 AND d.refobjsubid = 0
     AND (SELECT path FROM ready) IS NOT NULL
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                      WHERE e.classid = d.classid AND e.objid = d.objid AND e.objsubid = 0 AND e.deptype = 'e')
), taken AS MATERIALIZED (
  ${takenNames}
), own AS MATERIALIZED (
  SELECT CASE WHEN t.schema THEN ${never} ELSE ${schemaInBody} END AS schema_in_body,
         CASE WHEN t.schema THEN ${never} ELSE ${schemaInLiteral} END AS schema_in_literal,
         CASE WHEN t.id THEN ${never} ELSE ${idInBody} END AS id_in_body,
         CASE WHEN t.id THEN ${never} ELSE ${idInLiteral} END AS id_in_literal,
         ${qualifier} || coalesce('(?=\\s*\\.\\s*"?(?:' || ${ownObjects} || ')(?![[:alnum:]_$]))', ${never}) AS qualifier
    FROM taken t
)`;

/** Objects of one catalogue: `from` of a kind, aliased `o` and `x`. */
export function objectsOf(name: string): string {
  return `obj o JOIN pg_catalog.${name} x ON x.oid = o.objid AND o.classid = ${catalogue(name)}`;
}

export function quoted(name: string): string {
  return `pg_catalog.quote_ident(${name}::text)`;
}

/** A name that PostgreSQL prints by the path: of a relation, a type, a function, a collation, … NULL for none. */
export function named(type: string, oid: string): string {
  return `CASE WHEN ${oid} <> 0 THEN ${oid}::pg_catalog.${type}::text END`;
}

/** NULL for the database's own. */
export function tablespaceName(oid: string): string {
  return `CASE WHEN ${oid} <> 0 THEN (SELECT t.spcname::text FROM pg_catalog.pg_tablespace t WHERE t.oid = ${oid}) END`;
}

/** The name of a type, as the path has it. */
export function typeName(oid: string, modifier = 'NULL'): string {
  return `pg_catalog.format_type(${oid}, ${modifier})`;
}

/** What belongs to no schema of the tenant but may be named for it: a role, a publication, a foreign server. */
function ownName(name: string): string {
  return `CASE WHEN pg_catalog.strpos(${name}, ${schema}) > 0 OR pg_catalog.strpos(${name}, ${id}) > 0
    THEN CASE WHEN ${name} ~ ${schemaInName} OR ${name} ~ ${idInName}
      THEN pg_catalog.regexp_replace(pg_catalog.regexp_replace(${name}, ${schemaInName}, ${ownSchema}, 'g'), ${idInName}, ${ownId}, 'g')
      ELSE ${quoted(name)} END
    ELSE ${quoted(name)} END`;
}

export function publicationName(name: string): string {
  return ownName(`${name}::text`);
}

export function serverName(name: string): string {
  return ownName(`${name}::text`);
}

/** A role by name; the tenant's own has a stand-in. */
export function roleNamed(name: string): string {
  return `CASE WHEN ${name} = ${role} THEN ${standInSql('role')} ELSE ${ownName(name)} END`;
}

export function roleName(oid: string): string {
  return roleNamed(`pg_catalog.pg_get_userbyid(${oid})::text`);
}

/**
 * Who may do what, sorted: `SELECT to app_reader`. Who granted is left aside, and so is the owner's right to grant,
 * which he has anyway.
 */
export function exploded(list: string, owner: string): string {
  return `ARRAY(
    SELECT g.privilege_type || ' to ' || CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE ${roleName('g.grantee')} END
             || CASE WHEN pg_catalog.bool_or(g.is_grantable) AND g.grantee <> ${owner} THEN ' with grant option' ELSE '' END
             COLLATE "C" AS line
      FROM pg_catalog.aclexplode(${list}) g GROUP BY g.privilege_type, g.grantee ORDER BY 1)`;
}

/** Options like `fillfactor=70`, sorted: their order is that in which they were given. NULL for none. */
export function options(list: string, filter = 'true'): string {
  return `CASE WHEN ${list} IS NOT NULL THEN (
    SELECT pg_catalog.array_agg(i ORDER BY i COLLATE "C") FROM pg_catalog.unnest(${list}) i WHERE ${filter}) END`;
}

/** Options of foreign things may hold the tenant's names. */
export function freeOptions(list: string): string {
  return `CASE WHEN ${list} IS NOT NULL THEN (SELECT pg_catalog.array_agg(${inOption('i')} ORDER BY i COLLATE "C")
    FROM pg_catalog.unnest(${list}) i) END`;
}

/** `app.tenant=acme`: the value is a literal. */
function inOption(text: string): string {
  const at = `pg_catalog.strpos(${text}, '=')`;
  const value = `pg_catalog.substr(${text}, ${at} + 1)`;
  return `CASE WHEN ${hasNeedle(`pg_catalog.replace(${text}, '=', '=''') || ''''`)}
    THEN pg_catalog.left(${text}, ${at}) || (SELECT ${replaced(value, 'schema_in_literal', 'id_in_literal')} FROM own w) ELSE ${text} END`;
}

function replaced(text: string, schemaPattern: string, idPattern: string): string {
  const withSchema = `pg_catalog.regexp_replace(${text}, w.${schemaPattern}, ${ownSchema}, 'g')`;
  return `pg_catalog.regexp_replace(${withSchema}, w.${idPattern}, ${ownId}, 'g')`;
}

/**
 * Raw text: a body, a comment. The schema before a dot is replaced where one of its own objects follows: a table's
 * alias may have the schema's name.
 */
export function inBody(text: string): string {
  const unqualified = `pg_catalog.regexp_replace(b.t, w.qualifier, ${ownSchema}, 'g')`;
  return `(SELECT CASE WHEN ${hasNeedle('b.t')} THEN (
      SELECT ${replaced(unqualified, 'schema_in_body', 'id_in_body')} FROM own w)
    ELSE b.t END FROM (SELECT ${text} AS t OFFSET 0) b)`;
}

/** A definition that PostgreSQL printed: only its literals can hold the tenant's names. */
export function inLiterals(text: string): string {
  return `(SELECT CASE WHEN pg_catalog.strpos(b.t, '''') > 0 AND (${hasNeedle('b.t')}) THEN (
      SELECT pg_catalog.string_agg(CASE WHEN p.n % 2 = 0 THEN ${replaced('p.t', 'schema_in_literal', 'id_in_literal')} ELSE p.t END,
                                   '''' ORDER BY p.n)
        FROM pg_catalog.string_to_table(b.t, '''') WITH ORDINALITY p(t, n), own w)
    ELSE b.t END FROM (SELECT ${text} AS t OFFSET 0) b)`;
}

function hasNeedle(text: string): string {
  return `pg_catalog.strpos(${text}, ${schemaNeedle}) > 0 OR pg_catalog.strpos(${text}, ${idNeedle}) > 0`;
}

/**
 * `SET` of a function, sorted; in a path the tenant's own schema has a stand-in, where it first stands: for a tenant that
 * lives in `public`, a second one is the `public` that other tenants name too. A role is named as roles are, and not
 * quoted, any other value is a literal.
 */
export function settings(list: string): string {
  const isOwn = `s.name IN (${schema}, pg_catalog.quote_ident(${schema}), '"' || pg_catalog.replace(${schema}, '"', '""') || '"')`;
  const role = `pg_catalog.substr(i, 6)`;
  return `CASE WHEN ${list} IS NOT NULL THEN (SELECT pg_catalog.array_agg(CASE WHEN i LIKE 'search\\_path=%' THEN (
      SELECT 'search_path=' || pg_catalog.string_agg(CASE WHEN s.is_own AND s.turn = 1 THEN ${ownSchema} ELSE s.name END, ', ' ORDER BY s.n)
        FROM (SELECT s.name, s.n, ${isOwn} AS is_own, pg_catalog.row_number() OVER (PARTITION BY ${isOwn} ORDER BY s.n) AS turn
                FROM pg_catalog.regexp_split_to_table(pg_catalog.substr(i, 13), ',\\s*') WITH ORDINALITY s(name, n)) s)
    WHEN i LIKE 'role=%' THEN 'role=' || coalesce(NULLIF(${roleNamed(role)}, ${quoted(role)}), ${role})
    ELSE ${inOption('i')} END ORDER BY i COLLATE "C") FROM pg_catalog.unnest(${list}) i) END`;
}
