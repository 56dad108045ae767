import { type Sql, sql } from '../../postgres/sql.ts';

/** A routine, operator or type that stands where PostgreSQL's own is meant. */
export interface Shadow {
  readonly kind: 'function' | 'operator' | 'type';
  /** As its fact is called: `lower(character varying)`. */
  readonly signature: string;
  readonly name: string;
  readonly isTenants: boolean;
  readonly owner: string;
}

/**
 * What somebody with fewer rights than the login role could have put in the way of it: PostgreSQL takes the routine whose
 * arguments fit best, wherever on the path it stands. Members of extensions are what a superuser installed.
 */
export function shadowsOf(schema: string): Sql {
  return sql`
    WITH wanted AS (
      SELECT n.oid, n.nspname = ${schema} AS is_tenants FROM pg_catalog.pg_namespace n
       WHERE n.nspname OPERATOR(pg_catalog.=) ANY (ARRAY[${schema}, 'public']::pg_catalog.name[])
    ), found AS (
      SELECT 'function' AS kind, p.oid, p.proname AS name, p.proowner AS owner, w.is_tenants,
             pg_catalog.quote_ident(p.proname) || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')' AS signature,
             'pg_catalog.pg_proc'::pg_catalog.regclass AS catalogue
        FROM wanted w JOIN pg_catalog.pg_proc p ON p.pronamespace = w.oid
       WHERE EXISTS (SELECT FROM pg_catalog.pg_proc b
                      WHERE b.proname = p.proname AND b.pronamespace = 'pg_catalog'::pg_catalog.regnamespace)
       UNION ALL
      SELECT 'operator', o.oid, o.oprname, o.oprowner, w.is_tenants, o.oprname::text,
             'pg_catalog.pg_operator'::pg_catalog.regclass
        FROM wanted w JOIN pg_catalog.pg_operator o ON o.oprnamespace = w.oid
       WHERE EXISTS (SELECT FROM pg_catalog.pg_operator b
                      WHERE b.oprname = o.oprname AND b.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace)
       UNION ALL
      SELECT 'type', t.oid, t.typname, t.typowner, w.is_tenants, pg_catalog.quote_ident(t.typname),
             'pg_catalog.pg_type'::pg_catalog.regclass
        FROM wanted w JOIN pg_catalog.pg_type t ON t.typnamespace = w.oid
       WHERE EXISTS (SELECT FROM pg_catalog.pg_type b
                      WHERE b.typname = t.typname AND b.typnamespace = 'pg_catalog'::pg_catalog.regnamespace)
    )
    SELECT f.kind, f.signature, f.name::text AS name, f.is_tenants AS "isTenants",
           pg_catalog.pg_get_userbyid(f.owner)::text AS owner
      FROM found f JOIN pg_catalog.pg_roles r ON r.oid = f.owner
     WHERE NOT r.rolsuper AND r.rolname <> CURRENT_USER
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = f.catalogue AND d.objid = f.oid AND d.deptype = 'e')
     ORDER BY f.signature COLLATE "C"`;
}
