import { TenantError } from '../errors.ts';
import type { Queries } from '../postgres/session.ts';
import { listNames } from '../words.ts';
import { type Actors, type RoleStatement, readActors } from './actors.ts';
import { allowLogin, letEverybodyIn, namesIn } from './fence.ts';
import { grantAll, inGroups, objectText, revokeAll, roleText } from './grant-statements.ts';
import type { Fence, FencedGrant, FencedObject } from './receipt.ts';
import { type OwnerPrivileges, readFenceable, readOwnerPrivileges, spellOut } from './rights.sql.ts';
import { runStatements } from './run-statements.ts';

/**
 * Makes the rights of a schema exactly what a fence recorded, whatever they are now (restored objects may have got more
 * by default privileges), and lets its roles log in again. In the caller's transaction, on a session of the login itself.
 * Resolves to remarks: roles and objects that are gone. Rights that did not come out as recorded are a TenantError.
 */
export function openFence(session: Queries, schema: string, fence: Fence): Promise<readonly string[]> {
  return openRights(session, fence, () => readFenceable(session, schema));
}

/** The same for objects of any kind; `read` gives those that a fence is about, as they are now. */
export async function openRights(
  session: Queries,
  fence: Fence,
  read: () => Promise<readonly FencedObject[]>,
): Promise<readonly string[]> {
  const present = await read();
  const actors = await readActors(session, [...namesIn([...present, ...fence.objects]), ...fence.closedRoles]);
  const plan = planOpening(fence, present, actors);
  await runStatements(session, plan.statements);
  await assertOpened(session, plan.wanted, await read());
  return plan.remarks;
}

export interface Opening {
  readonly statements: readonly RoleStatement[];
  /** The recorded lists as they can be today: for owners and roles that are there. */
  readonly wanted: readonly FencedObject[];
  readonly remarks: readonly string[];
}

/** What is to be done so that `present` becomes what was recorded. */
export function planOpening(fence: Fence, present: readonly FencedObject[], actors: Actors): Opening {
  const there = new Map(present.map((object) => [objectKey(object), object]));
  const recorded = new Map(fence.objects.map((object) => [objectKey(object), object]));
  // A list of a column is there or not: one that nobody had recorded is taken away.
  const unrecorded = present.filter((object) => object.kind === 'column' && !recorded.has(objectKey(object)));
  const tables = new Set(fence.objects.filter(({ kind }) => kind === 'table').map(({ name }) => name));
  const wanted = [
    ...fence.objects.flatMap((object) => {
      const living = there.get(objectKey(object)) ?? columnOf(object, present);
      return living === undefined ? [] : [asToday(object, living.owner, actors)];
    }),
    ...unrecorded.filter(({ name }) => tables.has(name)).map((object) => ({ ...object, grants: [] })),
  ];
  const changed = new Set(wanted.map(objectKey));
  const now = present.filter((object) => changed.has(objectKey(object)));
  // The schema's own list comes last: see letEverybodyIn.
  const ofKind = (objects: readonly FencedObject[], isSchema: boolean) => {
    return objects.filter(({ kind }) => (kind === 'schema') === isSchema);
  };
  const logins = fence.closedRoles.filter((role) => actors.roles.has(role));
  return {
    wanted,
    statements: [
      ...letEverybodyIn(now, actors),
      ...revokeAll(ofKind(now, false), actors),
      ...grantContents(ofKind(wanted, false), actors),
      ...revokeAll(ofKind(now, true), actors),
      ...ofKind(wanted, true).flatMap((object) => grantAll([object], actors)),
      ...logins.map((role) => allowLogin(role, true)),
    ],
    remarks: [
      ...goneRoles(fence, actors),
      ...fence.objects
        .filter((object) => !there.has(objectKey(object)) && columnOf(object, present) === undefined)
        .map((object) => `${object.kind} ${objectText(object)} is gone: there is nothing to give rights on`),
    ],
  };
}

function grantContents(wanted: readonly FencedObject[], actors: Actors): readonly RoleStatement[] {
  const tables = new Map(wanted.filter(({ kind }) => kind === 'table').map((table) => [table.name, table]));
  return (['database', 'table', 'sequence', 'column'] as const).flatMap((kind) => {
    const ofKind = wanted.filter((object) => object.kind === kind);
    return inGroups(ofKind, ({ grants }) => grants).flatMap((group) => {
      const [first] = group;
      return grantAll(group, actors, kind === 'column' ? (tables.get(first?.name ?? '')?.grants ?? []) : []);
    });
  });
}

function objectKey({ kind, name, column }: FencedObject): string {
  return JSON.stringify([kind, name, column]);
}

/** A column without a list of its own is not among the present objects; its table is. */
function columnOf({ kind, name }: FencedObject, present: readonly FencedObject[]): FencedObject | undefined {
  return kind === 'column' ? present.find((object) => object.kind === 'table' && object.name === name) : undefined;
}

/** For the owner that it has today, and without roles that are gone. What those granted, the owner grants. */
function asToday(object: FencedObject, owner: string, actors: Actors): FencedObject {
  if (object.grants === null) return { ...object, owner };
  const today = (role: string) => (role === object.owner ? owner : role);
  const grants = object.grants.flatMap((grant): readonly FencedGrant[] => {
    const grantee = grant.grantee === null ? null : today(grant.grantee);
    const grantor = today(grant.grantor);
    if (grantee !== null && !actors.roles.has(grantee)) return [];
    return [{ ...grant, grantee, grantor: actors.roles.has(grantor) ? grantor : owner }];
  });
  return { ...object, owner, grants };
}

function goneRoles(fence: Fence, actors: Actors): readonly string[] {
  const named = [...new Set([...namesIn(fence.objects), ...fence.closedRoles])];
  return named
    .filter((role) => !actors.roles.has(role))
    .map((role) => `role ${roleText(role)} is gone: its rights were not given back`);
}

/** Compares by what counts: who may do what, and who may hand it on. */
async function assertOpened(
  session: Queries,
  wanted: readonly FencedObject[],
  opened: readonly FencedObject[],
): Promise<void> {
  const privileges = await readOwnerPrivileges(session);
  const now = new Map(opened.map((object) => [objectKey(object), rightsOf(object, privileges)]));
  const wrong = wanted.filter((object) => {
    return (
      rightsOf(object, privileges) !== (now.get(objectKey(object)) ?? rightsOf({ ...object, grants: [] }, privileges))
    );
  });
  if (wrong.length === 0) return;
  const names = wrong.map((object) => `${object.kind} ${objectText(object)}`);
  throw new TenantError({
    message: `rights did not come out as they were recorded: ${listNames(names)}`,
    code: 'rights-differ',
    hint: 'make the login a member of the roles that own the objects and that granted the rights, or a superuser',
  });
}

function rightsOf(object: FencedObject, privileges: OwnerPrivileges): string {
  const rights = new Map<string, boolean>();
  for (const { grantee, privilege, isGrantable } of spellOut(object, privileges)) {
    const right = JSON.stringify([grantee, privilege]);
    // An owner may hand on whatever his list says.
    rights.set(right, rights.get(right) === true || (isGrantable && grantee !== object.owner));
  }
  return JSON.stringify([...rights].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
