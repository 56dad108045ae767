import type { FactKind } from './fact-kind.ts';
import { catalogue, exploded, objectsOf, publicationName, roleName } from './words.sql.ts';

/**
 * The schema `public` of a tenant with its own database is not made by the tenant's migrations: it belongs to the owner of
 * the database by way of a role of its own (before 15, to the server's first superuser), and initdb let everybody look
 * into it (before 15, also make things). Who owns the database stands for its owner, and what initdb granted to everybody
 * is left aside.
 */
const owner = `CASE WHEN x.nspname = 'public' AND (x.nspowner = 10 OR pg_catalog.pg_get_userbyid(x.nspowner) = 'pg_database_owner')
  THEN (SELECT ${roleName('b.datdba')} FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
  ELSE ${roleName('x.nspowner')} END`;

const ownerGrants = `ARRAY(
  SELECT CASE WHEN g.grantee = x.nspowner THEN g.privilege_type || ' to ' || ${owner}
              ELSE g.privilege_type || ' to ' || CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE ${roleName('g.grantee')} END
                || CASE WHEN pg_catalog.bool_or(g.is_grantable) THEN ' with grant option' ELSE '' END END COLLATE "C" AS line
    FROM pg_catalog.aclexplode(coalesce(x.nspacl, pg_catalog.acldefault('n', x.nspowner))) g
   WHERE NOT (x.nspname = 'public' AND g.grantee = 0 AND EXISTS (
           SELECT FROM pg_catalog.pg_init_privs i, pg_catalog.aclexplode(i.initprivs) p
            WHERE i.objoid = x.oid AND i.classoid = ${catalogue('pg_namespace')} AND i.privtype = 'i'
              AND p.grantee = 0 AND p.privilege_type = g.privilege_type))
   GROUP BY g.privilege_type, g.grantee ORDER BY 1)`;

const schema: FactKind = {
  kind: 'schema',
  class: 'security',
  from: 'pg_catalog.pg_namespace x WHERE x.oid = $1',
  name: `'schema'`,
  table: 'NULL',
  attributes: { owner },
};

const defaultPrivileges: FactKind = {
  kind: 'default privileges',
  class: 'security',
  from: objectsOf('pg_default_acl'),
  name: `CASE x.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
    ELSE x.defaclobjtype::text END || ' made by ' || ${roleName('x.defaclrole')}`,
  table: 'NULL',
  attributes: { grants: exploded('x.defaclacl', 'x.defaclrole') },
};

const securityLabel: FactKind = {
  kind: 'security label',
  class: 'security',
  from: `pg_catalog.pg_seclabel l WHERE l.objoid = $1 AND l.classoid = ${catalogue('pg_namespace')}`,
  name: `pg_catalog.quote_ident(l.provider) || ' on schema'`,
  table: 'NULL',
  attributes: { label: 'l.label' },
};

const publishedSchema: FactKind = {
  kind: 'publication',
  class: 'structural',
  from: `obj o JOIN pg_catalog.pg_publication_namespace m ON m.oid = o.objid AND o.classid = ${catalogue('pg_publication_namespace')}
    JOIN pg_catalog.pg_publication p ON p.oid = m.pnpubid`,
  name: `${publicationName('p.pubname')} || ': schema'`,
  table: 'NULL',
  attributes: {},
};

/** A comment on the schema says whose it is: it is left out, as the tenant's name is. */
const schemaPrivileges: FactKind = {
  ...schema,
  kind: 'privileges',
  attributes: { grants: ownerGrants },
};

export const schemaKinds: readonly FactKind[] = [schema, schemaPrivileges];

export function uncommonSchemaKinds(major: number): readonly FactKind[] {
  return [defaultPrivileges, securityLabel, ...(major >= 15 ? [publishedSchema] : [])];
}
