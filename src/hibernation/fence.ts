import { TenantError } from '../errors.ts';
import type { Queries, Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import { listNames } from '../words.ts';
import { type Actors, type RoleStatement, readActors } from './actors.ts';
import { inGroups, objectText, ownerRole, revokeAll, roleText, targetText } from './grant-statements.ts';
import type { Fence, FencedObject } from './receipt.ts';
import { readFenceable } from './rights.sql.ts';
import { runStatements } from './run-statements.ts';
import { type Refresher, readRefreshers } from './tenant-roles.sql.ts';

/** Those of a tenant's own roles that a fence has to close: who may not log in anyway is left aside. */
export async function readLogins(session: Session, roles: readonly string[]): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(sql`
    SELECT rolname AS name FROM pg_catalog.pg_roles WHERE rolcanlogin AND rolname = ANY (${roles}::text[])
     ORDER BY rolname COLLATE "C"`);
  return rows.map(({ name }) => name);
}

/**
 * Takes all rights that there are now on a schema, its relations and sequences from everybody, and closes the fence's
 * roles. In the caller's transaction, on a session of the login itself; also when a fence is carried on. Two exceptions:
 * a login that is no superuser gives itself what it needs to dump, lock and restore. And who owns materialized views, or
 * views that they may be made of, keeps the right to read: a restore refreshes them after it has given rights, as their owner.
 * Resolves to the rights as they were: they are to be recorded before that transaction ends (`addNewcomers` when carried on).
 */
export async function closeSchema(
  session: Queries,
  schema: string,
  { closedRoles }: Pick<Fence, 'closedRoles'>,
): Promise<readonly FencedObject[]> {
  const [present, refreshers] = await Promise.all([readFenceable(session, schema), readRefreshers(session, schema)]);
  const actors = await readActors(session, [...namesIn(present), ...closedRoles]);
  const schemas = present.filter(({ kind }) => kind === 'schema');
  const contents = present.filter(({ kind }) => kind !== 'schema');
  await runStatements(session, [
    ...letEverybodyIn(present, actors),
    ...revokeAll(contents, actors),
    ...giveOwnNeeds(contents, actors),
    ...refreshers.flatMap(({ role, tables }) => {
      const named = new Set(tables);
      return grantTo(
        contents.filter(({ kind, name }) => kind === 'table' && named.has(name)),
        role,
        'SELECT',
        actors,
      );
    }),
    ...revokeAll(schemas, actors),
    ...keepers(actors, refreshers).flatMap((role) => grantTo(schemas, role, 'USAGE', actors)),
    ...closedRoles.filter((role) => actors.roles.has(role)).map((role) => allowLogin(role, false)),
  ]);
  await assertClosed(session, schema, new Set(keepers(actors, refreshers)));
  return present;
}

/**
 * What a fence has recorded, and what was made in the schema since: that lost its rights only now. Of what had been
 * recorded the first word counts; behind a fence it has no rights to read any more.
 */
export function addNewcomers(
  recorded: readonly FencedObject[],
  present: readonly FencedObject[],
): readonly FencedObject[] {
  const key = ({ kind, name }: FencedObject) => JSON.stringify([kind === 'column' ? 'table' : kind, name]);
  const known = new Set(recorded.map(key));
  return [...recorded, ...present.filter((object) => !known.has(key(object)))];
}

/** All role names that a list of objects speaks of. */
export function namesIn(objects: readonly FencedObject[]): readonly string[] {
  const names = objects.flatMap(({ owner, grants }) => {
    return [
      owner,
      ...(grants ?? []).flatMap(({ grantee, grantor }) => (grantee === null ? [grantor] : [grantee, grantor])),
    ];
  });
  return [...new Set(names)];
}

/**
 * A role that takes or gives rights on a table must be let into the schema, and may have had no right to be. Nobody sees
 * it: the list of the schema is made anew before the transaction ends.
 */
export function letEverybodyIn(objects: readonly FencedObject[], actors: Actors): readonly RoleStatement[] {
  return objects
    .filter(({ kind }) => kind === 'schema')
    .map((schema) => ({
      role: ownerRole(actors, schema.owner),
      text: `GRANT USAGE ON ${targetText([schema])} TO PUBLIC`,
    }));
}

export function allowLogin(role: string, mayLogIn: boolean): RoleStatement {
  return { role: null, text: `ALTER ROLE ${roleText(role)} ${mayLogIn ? 'LOGIN' : 'NOLOGIN'}` };
}

/** To read it and to lock it, and for foreign keys, which a restore makes after it has given rights. */
function giveOwnNeeds(objects: readonly FencedObject[], actors: Actors): readonly RoleStatement[] {
  if (actors.isSuperuser) return [];
  const ofKind = (kind: FencedObject['kind']) => objects.filter((object) => object.kind === kind);
  return [
    ...grantTo(ofKind('table'), actors.login, 'SELECT, UPDATE, REFERENCES', actors),
    ...grantTo(ofKind('sequence'), actors.login, 'SELECT', actors),
  ];
}

function grantTo(
  objects: readonly FencedObject[],
  role: string,
  what: string,
  actors: Actors,
): readonly RoleStatement[] {
  return inGroups(objects).map((group) => ({
    role: ownerRole(actors, group[0]?.owner ?? ''),
    text: `GRANT ${what} ON ${targetText(group)} TO ${roleText(role)}`,
  }));
}

function keepers(actors: Actors, refreshers: readonly Refresher[]): readonly string[] {
  return [...(actors.isSuperuser ? [] : [actors.login]), ...refreshers.map(({ role }) => role)];
}

/** What was granted by a role that tenantctl cannot act for may still be there. */
async function assertClosed(session: Queries, schema: string, keeping: ReadonlySet<string>): Promise<void> {
  const left = (await readFenceable(session, schema)).flatMap((object) => {
    if (object.grants === null) return [objectText(object)];
    return object.grants
      .filter(({ grantee }) => grantee === null || !keeping.has(grantee))
      .map(({ grantee, grantor, privilege }) => {
        return `${privilege} on ${objectText(object)} to ${roleText(grantee)} from ${roleText(grantor)}`;
      });
  });
  if (left.length === 0) return;
  throw new TenantError({
    message: `rights could not be taken away: ${listNames(left)}`,
    code: 'not-fenced',
    hint: 'make the login a member of the roles that own the objects and that granted the rights, or a superuser',
  });
}
