import type { Queries } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';

/** A role as the login sees it. */
interface Role {
  readonly name: string;
  readonly isSuperuser: boolean;
  /** The login has its rights without SET ROLE. */
  readonly isInherited: boolean;
  readonly canSet: boolean;
}

/** For whom the login can act. A superuser that grants or revokes does so as the owner. */
export interface Actors {
  readonly login: string;
  readonly isSuperuser: boolean;
  /** Only those that are there. */
  readonly roles: ReadonlyMap<string, Role>;
}

/** Roles that are not there are not in the answer. */
export async function readActors(session: Queries, names: Iterable<string>): Promise<Actors> {
  const [login, roles] = await Promise.all([
    session.query<{ login: string; isSuperuser: boolean }>(sql`
      SELECT r.rolname AS login, r.rolsuper AS "isSuperuser" FROM pg_catalog.pg_roles r WHERE r.rolname = SESSION_USER`),
    session.query<Role>(sql`
      SELECT r.rolname AS name, r.rolsuper AS "isSuperuser",
             pg_catalog.pg_has_role(SESSION_USER, r.oid, 'USAGE') AS "isInherited",
             -- From 16 on a membership can come without the right to SET ROLE.
             pg_catalog.pg_has_role(SESSION_USER, r.oid, CASE
               WHEN pg_catalog.current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS "canSet"
        FROM pg_catalog.pg_roles r WHERE r.rolname = ANY (${[...new Set(names)]}::text[])`),
  ]);
  const [self] = login;
  if (self === undefined) throw new Error('the session has no role');
  return { ...self, roles: new Map(roles.map((role) => [role.name, role])) };
}

/** The role to take to act as an owner: null for none; undefined: the login cannot. */
export function actAsOwner({ login, isSuperuser, roles }: Actors, owner: string): string | null | undefined {
  if (isSuperuser || owner === login) return null;
  const role = roles.get(owner);
  if (role?.canSet) return owner;
  return role?.isInherited ? null : undefined;
}

/** The role to take so that a grant comes from `grantor`, who is not the owner; undefined: it would not come from him. */
export function actAsGrantor({ roles }: Actors, grantor: string): string | undefined {
  const role = roles.get(grantor);
  return role?.canSet && !role.isSuperuser ? grantor : undefined;
}

/** A statement, and the role that gives it; null: the login itself. */
export interface RoleStatement {
  readonly role: string | null;
  readonly text: string;
}
