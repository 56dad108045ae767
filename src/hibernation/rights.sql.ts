import type { Queries } from '../postgres/session.ts';
import { fragment, join, sql } from '../postgres/sql.ts';
import type { FencedGrant, FencedObject } from './receipt.ts';

/** Written in place of the single privileges of an owner who has all of them: a later PostgreSQL may know more of them. */
export const allPrivileges = 'ALL';

type Kind = FencedObject['kind'];

/** The letters by which `acldefault` knows them; a column has no default. */
const defaults = { table: 'r', sequence: 's', schema: 'n', database: 'd' } as const;

/** Privileges that an owner has by default, in this version of PostgreSQL. */
export type OwnerPrivileges = Readonly<Record<keyof typeof defaults, readonly string[]>>;

export async function readOwnerPrivileges(session: Queries): Promise<OwnerPrivileges> {
  const kinds = Object.entries(defaults).map(
    ([kind, letter]) => fragment`SELECT ${kind}::text AS kind, g.privilege_type AS privilege
      FROM pg_catalog.aclexplode(pg_catalog.acldefault(${letter}::"char", 10::oid)) g WHERE g.grantee = 10`,
  );
  const rows = await session.query<{ kind: keyof typeof defaults; privilege: string }>(
    sql`${join(kinds, ' UNION ALL ')}`,
  );
  const of = (kind: keyof typeof defaults) => rows.filter((row) => row.kind === kind).map(({ privilege }) => privilege);
  return { table: of('table'), sequence: of('sequence'), schema: of('schema'), database: of('database') };
}

/** A list of access rights in its own order; NULL for none. `o` has `acl`. */
const grants = fragment`CASE WHEN o.acl IS NOT NULL THEN coalesce((
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
             'grantee', CASE WHEN g.grantee <> 0 THEN pg_catalog.pg_get_userbyid(g.grantee) END,
             'grantor', pg_catalog.pg_get_userbyid(g.grantor),
             'privilege', g.privilege_type, 'isGrantable', g.is_grantable) ORDER BY g.turn)
      FROM pg_catalog.aclexplode(o.acl) WITH ORDINALITY g(grantor, grantee, privilege_type, is_grantable, turn)), '[]') END`;

/** Who owns what in a schema and who may do what with it: the schema, its relations and sequences, columns with lists of their own. */
export async function readFenceable(session: Queries, schema: string): Promise<readonly FencedObject[]> {
  const [objects, owner] = await Promise.all([
    session.query<FencedObject>(sql`
      WITH home AS (SELECT n.* FROM pg_catalog.pg_namespace n WHERE n.nspname = ${schema}),
      o AS (
        SELECT 0 AS turn, 'schema' AS kind, NULL::name AS schema, h.nspname AS name, NULL::name AS column,
               h.nspacl AS acl, h.nspowner AS owner FROM home h
         UNION ALL
        SELECT 1, CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, h.nspname, c.relname, NULL, c.relacl, c.relowner
          FROM home h JOIN pg_catalog.pg_class c ON c.relnamespace = h.oid WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
         UNION ALL
        SELECT 2, 'column', h.nspname, c.relname, a.attname, a.attacl, c.relowner
          FROM home h JOIN pg_catalog.pg_class c ON c.relnamespace = h.oid
          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attacl IS NOT NULL AND NOT a.attisdropped)
      SELECT o.kind, o.schema, o.name, o.column, pg_catalog.pg_get_userbyid(o.owner) AS owner, ${grants} AS grants
        FROM o ORDER BY o.turn, o.name COLLATE "C", o.column COLLATE "C"`),
    readOwnerPrivileges(session),
  ]);
  return objects.map((object) => withAll(object, owner));
}

/** The rights on a database itself; null when there is none of that name. On any session of its server. */
export async function readDatabaseRights(session: Queries, database: string): Promise<FencedObject | null> {
  const [objects, owner] = await Promise.all([
    session.query<FencedObject>(sql`
      SELECT 'database' AS kind, NULL AS schema, o.name, NULL AS column, o.owner, ${grants} AS grants
        FROM (SELECT d.datname AS name, pg_catalog.pg_get_userbyid(d.datdba) AS owner, d.datacl AS acl
                FROM pg_catalog.pg_database d WHERE d.datname = ${database}) o`),
    readOwnerPrivileges(session),
  ]);
  const [object] = objects;
  return object === undefined ? null : withAll(object, owner);
}

function withAll(object: FencedObject, privileges: OwnerPrivileges): FencedObject {
  const { kind, grants, owner } = object;
  if (grants === null || kind === 'column') return object;
  const isOwn = (grant: FencedGrant) => grant.grantee === owner && grant.grantor === owner && !grant.isGrantable;
  const own = grants.filter(isOwn);
  if (own[0] === undefined || own.length !== privileges[kind].length) return object;
  const all = { ...own[0], privilege: allPrivileges };
  return { ...object, grants: grants.flatMap((grant) => (!isOwn(grant) ? [grant] : grant === own[0] ? [all] : [])) };
}

/** Every single right that a list of an object means, also one that PostgreSQL left unwritten. */
export function spellOut({ kind, owner, grants }: FencedObject, privileges: OwnerPrivileges): readonly FencedGrant[] {
  const all = kind === 'column' ? [] : privileges[kind];
  const ofOwner = all.map((privilege) => ({ grantee: owner, grantor: owner, privilege, isGrantable: false }));
  if (grants !== null) return grants.flatMap((grant) => (grant.privilege === allPrivileges ? ofOwner : [grant]));
  return [
    ...ofOwner,
    ...everybody(kind).map((privilege) => ({ grantee: null, grantor: owner, privilege, isGrantable: false })),
  ];
}

/** What PUBLIC may do with an object that nobody granted anything on. */
export function everybody(kind: Kind): readonly string[] {
  return kind === 'database' ? ['CONNECT', 'TEMPORARY'] : [];
}
