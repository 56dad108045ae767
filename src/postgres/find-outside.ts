import type { Session } from './session.ts';
import { sql } from './sql.ts';

/** Catalogues of what stands in a schema, with the columns that say in which. */
const inSchema: readonly (readonly [catalogue: string, namespace: string])[] = [
  ['pg_class', 'relnamespace'],
  ['pg_type', 'typnamespace'],
  ['pg_proc', 'pronamespace'],
  ['pg_constraint', 'connamespace'],
  ['pg_operator', 'oprnamespace'],
  ['pg_opclass', 'opcnamespace'],
  ['pg_opfamily', 'opfnamespace'],
  ['pg_collation', 'collnamespace'],
  ['pg_conversion', 'connamespace'],
  ['pg_statistic_ext', 'stxnamespace'],
  ['pg_ts_config', 'cfgnamespace'],
  ['pg_ts_dict', 'dictnamespace'],
  ['pg_ts_parser', 'prsnamespace'],
  ['pg_ts_template', 'tmplnamespace'],
];

/** Catalogues of what is part of a table. */
const ofTable: readonly (readonly [catalogue: string, table: string])[] = [
  ['pg_attrdef', 'adrelid'],
  ['pg_rewrite', 'ev_class'],
  ['pg_trigger', 'tgrelid'],
  ['pg_policy', 'polrelid'],
];

/** What stands in the schemas `$1`, with the name of its schema as `home`. SQL. */
export const schemaMembers = [
  `SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass AS classid, n.oid, n.nspname AS home
     FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($1::pg_catalog.text[])`,
  ...inSchema.map(([catalogue, namespace]) => {
    return `SELECT 'pg_catalog.${catalogue}'::pg_catalog.regclass, o.oid, n.nspname FROM pg_catalog.${catalogue} o
              JOIN pg_catalog.pg_namespace n ON n.oid = o.${namespace} WHERE n.nspname = ANY ($1::pg_catalog.text[])`;
  }),
  ...ofTable.map(([catalogue, table]) => {
    return `SELECT 'pg_catalog.${catalogue}'::pg_catalog.regclass, o.oid, n.nspname FROM pg_catalog.${catalogue} o
              JOIN pg_catalog.pg_class c ON c.oid = o.${table}
              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY ($1::pg_catalog.text[])`;
  }),
].join('\nUNION ALL ');

/** Publications are told apart from it; default privileges, TOAST tables and members of an operator family are parts. */
const parts = [
  'pg_default_acl',
  'pg_publication_rel',
  'pg_publication_namespace',
  'pg_amop',
  'pg_amproc',
  'pg_init_privs',
];

/**
 * What stands outside of a schema and refers to something in it: foreign keys, views, defaults, policies, functions,
 * triggers, columns of its types, event triggers. A swap leaves it with the old one, and who drops that drops it.
 */
export async function findOutside(session: Session, schema: string): Promise<readonly string[]> {
  return (await findOutsideOf(session, [schema])).get(schema) ?? [];
}

/** The same for many schemas of a database in one statement; those that nothing refers to are not in the answer. */
export async function findOutsideOf(
  session: Session,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await session.raw(
    `WITH inside AS MATERIALIZED (${schemaMembers}),
     outside AS (
       SELECT DISTINCT i.home, d.classid, d.objid, d.objsubid
         FROM inside i
         JOIN pg_catalog.pg_depend d ON d.refclassid = i.classid AND d.refobjid = i.oid
        WHERE d.deptype IN ('n', 'a', 'i')
          AND NOT EXISTS (SELECT FROM inside o WHERE o.classid = d.classid AND o.oid = d.objid AND o.home = i.home)
          AND d.classid NOT IN (SELECT c.oid FROM pg_catalog.pg_class c
                                 WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relname = ANY ($2)))
     SELECT DISTINCT o.home, CASE
              -- A view refers to things by its rule.
              WHEN w.rulename = '_RETURN'
                THEN pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, w.ev_class, 0)
              ELSE pg_catalog.pg_describe_object(o.classid, o.objid, o.objsubid) END AS what
       FROM outside o
       LEFT JOIN pg_catalog.pg_rewrite w ON o.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = o.objid
       LEFT JOIN pg_catalog.pg_class c ON o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = o.objid
       LEFT JOIN pg_catalog.pg_trigger t ON o.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = o.objid
       LEFT JOIN pg_catalog.pg_constraint k
              ON o.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = o.objid
      WHERE coalesce(c.relnamespace <> 'pg_toast'::pg_catalog.regnamespace, true)
        AND NOT coalesce(t.tgisinternal, false) AND coalesce(k.conparentid, 0) = 0
      ORDER BY o.home, what`,
    [schemas, parts],
  );
  const found = new Map<string, string[]>();
  for (const { home, what } of rows as { home: string; what: string | null }[]) {
    if (what !== null) found.set(home, [...(found.get(home) ?? []), what]);
  }
  return found;
}

/**
 * `orders (3 tables)`, `audit (whole schema)`: publications that name tables of a schema, or the schema itself. Restored
 * tables are in none of them.
 */
export async function findPublications(session: Session, schema: string, major: number): Promise<readonly string[]> {
  return (await findPublicationsOf(session, [schema], major)).get(schema) ?? [];
}

/** The same for many schemas of a database; those that none names are not in the answer. */
export async function findPublicationsOf(
  session: Session,
  schemas: readonly string[],
  major: number,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  const add = (home: string, text: string) => found.set(home, [...(found.get(home) ?? []), text]);
  const rows = await session.query<{ home: string; name: string; tables: number }>(sql`
    SELECT n.nspname AS home, p.pubname AS name, pg_catalog.count(*)::int AS tables
      FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
      JOIN pg_catalog.pg_class c ON c.oid = r.prrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY (${schemas}::text[]) GROUP BY n.nspname, p.pubname ORDER BY p.pubname`);
  for (const { home, name, tables } of rows) add(home, `${name} (${tables} ${tables === 1 ? 'table' : 'tables'})`);
  // FOR TABLES IN SCHEMA
  if (major < 15) return found;
  const whole = await session.query<{ home: string; name: string }>(sql`
    SELECT n.nspname AS home, p.pubname AS name
      FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_namespace r ON r.pnpubid = p.oid
      JOIN pg_catalog.pg_namespace n ON n.oid = r.pnnspid
     WHERE n.nspname = ANY (${schemas}::text[]) ORDER BY p.pubname`);
  for (const { home, name } of whole) add(home, `${name} (whole schema)`);
  return found;
}

/** Those of a database that do not have all of its tables anyhow: a schema that is gone may have been in one. */
export async function listPublications(session: Session): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(
    sql`SELECT pubname AS name FROM pg_catalog.pg_publication WHERE NOT puballtables ORDER BY pubname`,
  );
  return rows.map(({ name }) => name);
}
