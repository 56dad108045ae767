import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts';
import { type Actors, actAsGrantor, actAsOwner, type RoleStatement } from './actors.ts';
import type { FencedGrant, FencedObject } from './receipt.ts';
import { allPrivileges, everybody } from './rights.sql.ts';

/** Tables named in one statement. */
const namesAtOnce = 100;

/** A word after `TO` or `FROM`; null: PUBLIC. */
export function roleText(name: string | null): string {
  return name === null ? 'PUBLIC' : quoteIdentifier(name);
}

export function objectText({ schema, name }: Pick<FencedObject, 'schema' | 'name'>): string {
  return schema === null ? quoteIdentifier(name) : quoteQualified(schema, name);
}

const words = {
  database: 'DATABASE',
  schema: 'SCHEMA',
  table: 'TABLE',
  sequence: 'SEQUENCE',
  column: 'TABLE',
} as const;

/** `TABLE a, b`: for objects of one kind. */
export function targetText(objects: readonly FencedObject[]): string {
  const [first] = objects;
  return first === undefined ? '' : `${words[first.kind]} ${objects.map(objectText).join(', ')}`;
}

/** Objects that one statement can be about: of one kind, one owner, and of one mind otherwise. */
export function inGroups(
  objects: readonly FencedObject[],
  mind: (object: FencedObject) => unknown = () => null,
): readonly (readonly FencedObject[])[] {
  // A column's privileges are told with its name.
  const key = (object: FencedObject) => {
    const { kind, owner, name, column } = object;
    return JSON.stringify([kind, owner, mind(object), ...(kind === 'column' ? [name, column] : [])]);
  };
  return [...Map.groupBy(objects, key).values()].flatMap((group) => {
    const parts = Math.ceil(group.length / namesAtOnce);
    return Array.from({ length: parts }, (_, part) => group.slice(part * namesAtOnce, (part + 1) * namesAtOnce));
  });
}

export function ownerRole(actors: Actors, owner: string): string | null {
  return actAsOwner(actors, owner) ?? null;
}

/**
 * Takes all rights away from everybody, the owner too. What somebody granted whom the owner had allowed to goes with
 * CASCADE; only a right on a column outlives the right on the table that allowed to grant it, so those go first.
 */
export function revokeAll(objects: readonly FencedObject[], actors: Actors): readonly RoleStatement[] {
  const columns = objects.filter(({ kind }) => kind === 'column');
  const foreign = columns.flatMap((object) => {
    const granted = (object.grants ?? []).filter(({ grantor }) => grantor !== object.owner);
    return granted.toReversed().flatMap((grant) => {
      const role = actAsGrantor(actors, grant.grantor);
      if (role === undefined) return [];
      const what = privilegeText(object, grant);
      return [{ role, text: `REVOKE ${what} ON ${targetText([object])} FROM ${roleText(grant.grantee)} CASCADE` }];
    });
  });
  const byOwner = (['column', 'table', 'sequence', 'schema', 'database'] as const).flatMap((kind) => {
    const ofKind = objects.filter((object) => object.kind === kind);
    return inGroups(ofKind).map((group) => revokeFromAll(group, actors));
  });
  return [...foreign, ...byOwner];
}

function revokeFromAll(group: readonly FencedObject[], actors: Actors): RoleStatement {
  const [{ kind, owner, column }] = group as [FencedObject];
  const grantees = new Set(group.flatMap(({ grants }) => (grants ?? []).map(({ grantee }) => grantee)));
  const from = [...new Set([owner, null, ...grantees])].map(roleText).join(', ');
  const what = kind === 'column' ? `ALL (${quoteIdentifier(column ?? '')})` : 'ALL';
  return { role: ownerRole(actors, owner), text: `REVOKE ${what} ON ${targetText(group)} FROM ${from} CASCADE` };
}

function privilegeText({ kind, column }: FencedObject, { privilege }: FencedGrant): string {
  return kind === 'column' ? `${privilege} (${quoteIdentifier(column ?? '')})` : privilege;
}

/**
 * Gives objects that nobody has rights on the rights that they are told with, entry by entry in the order of the list, so
 * that PostgreSQL keeps them in that order; who got a right from somebody else gets it after him, and from him. All of
 * a group (`inGroups`) have the same list. `fromTable`: what grantors may hand on by rights on the whole table.
 */
export function grantAll(
  group: readonly FencedObject[],
  actors: Actors,
  fromTable: readonly FencedGrant[] = [],
): readonly RoleStatement[] {
  const [first] = group as [FencedObject];
  const { owner } = first;
  const mayHandOn = new Set(fromTable.filter((grant) => grant.isGrantable).map(optionKey));
  const statements: RoleStatement[] = [];
  let waiting = first.grants ?? defaultGrants(first);
  while (waiting.length > 0) {
    const isDue = ({ grantor, privilege }: FencedGrant) => {
      return (
        grantor === owner || actAsGrantor(actors, grantor) === undefined || mayHandOn.has(`${grantor} ${privilege}`)
      );
    };
    const due = waiting.filter(isDue);
    // Nobody is left who may hand on: the owner grants what remains.
    const now = due.length > 0 ? due : waiting;
    const isByOwner = due.length === 0;
    statements.push(...entryStatements(group, now, actors, isByOwner));
    for (const grant of now) if (grant.isGrantable) mayHandOn.add(optionKey(grant));
    waiting = due.length > 0 ? waiting.filter((grant) => !due.includes(grant)) : [];
  }
  return statements;
}

function optionKey({ grantee, privilege }: FencedGrant): string {
  return `${grantee} ${privilege}`;
}

function defaultGrants({ kind, owner }: FencedObject): readonly FencedGrant[] {
  const grant = (grantee: string | null, privilege: string) => ({
    grantee,
    grantor: owner,
    privilege,
    isGrantable: false,
  });
  if (kind === 'column') return [];
  return [grant(owner, allPrivileges), ...everybody(kind).map((privilege) => grant(null, privilege))];
}

/** A statement for each entry of an access list: one grantee's rights from one grantor, with and without the right to hand on. */
function entryStatements(
  group: readonly FencedObject[],
  grants: readonly FencedGrant[],
  actors: Actors,
  isByOwner: boolean,
): readonly RoleStatement[] {
  const [first] = group as [FencedObject];
  const entries = Map.groupBy(grants, ({ grantee, grantor, isGrantable }) => {
    return JSON.stringify([grantee, grantor, isGrantable]);
  });
  return [...entries.values()].map((entry) => {
    const [{ grantee, grantor, isGrantable }] = entry as [FencedGrant];
    const by = isByOwner || grantor === first.owner ? undefined : actAsGrantor(actors, grantor);
    const what = entry.map((grant) => privilegeText(first, grant)).join(', ');
    const option = isGrantable ? ' WITH GRANT OPTION' : '';
    const text = `GRANT ${what} ON ${targetText(group)} TO ${roleText(grantee)}${option}`;
    return { role: by ?? ownerRole(actors, first.owner), text };
  });
}
