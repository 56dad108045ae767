import { findOutsideOf, findPublicationsOf } from '../postgres/find-outside.ts';
import type { Session } from '../postgres/session.ts';
import { nodePgMigrateKey } from '../postgres/stale-sessions.ts';
import { listNames, plural } from '../words.ts';
import {
  type Access,
  type Body,
  type DatabaseStanding,
  type Intruder,
  readAccess,
  readBodies,
  readDatabaseStanding,
  readIntruders,
  readSurroundings,
} from './refusals.sql.ts';
import { readOwnRoles } from './tenant-roles.sql.ts';

/** A tenant that is a schema. */
export interface Subject {
  readonly tenant: string;
  readonly database: string;
  readonly schema: string;
}

/** Why a tenant cannot be put to sleep as it is. */
export interface Refusal {
  /** `unfenceable`, `outside`, `published`, … */
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export interface Inspection {
  readonly refusals: readonly Refusal[];
  /** What is worth knowing, and stands in nobody's way. */
  readonly remarks: readonly string[];
  /** On disk. */
  readonly sizeBytes: number;
  /** Login roles that are this tenant's alone, and that the login may close. */
  readonly ownRoles: readonly string[];
}

/**
 * Looks at tenants of the session's database before anything is done to them, by schema; as many questions for a thousand as
 * for one. Reads only. Not for a tenant that is fenced already: nobody but tenantctl may use it then, and that is refused here.
 */
export async function inspectTenants(
  session: Session,
  subjects: readonly Pick<Subject, 'schema'>[],
): Promise<ReadonlyMap<string, Inspection>> {
  const schemas = subjects.map(({ schema }) => schema);
  const [around, access, intruders, bodies, outside, ownRoles] = await Promise.all([
    readSurroundings(session, nodePgMigrateKey),
    readAccess(session, schemas),
    readIntruders(session, schemas),
    readBodies(session, schemas),
    findOutsideOf(session, schemas),
    readOwnRoles(session, schemas),
  ]);
  const publications = await findPublicationsOf(session, schemas, around.major);
  const accessOf = new Map(access.map((each) => [each.home, each]));
  const bodyOf = new Map(bodies.map((each) => [each.home, each]));
  return new Map(
    schemas.map((schema) => {
      const body = bodyOf.get(schema);
      const refusals = [
        ...judgeAccess(accessOf.get(schema)),
        ...judgeIntruders(intruders.filter(({ home }) => home === schema)),
        ...judgeBody(body),
        ...(around.isMigrating ? [migrating] : []),
        ...list(outside.get(schema), outsideRefusal),
        ...list(publications.get(schema), publishedRefusal),
      ];
      const remarks = list(
        body?.largeObjects,
        (columns) => `may name large objects, which stay where they are: ${columns}`,
      );
      return [schema, { refusals, remarks, sizeBytes: body?.sizeBytes ?? 0, ownRoles: ownRoles.get(schema) ?? [] }];
    }),
  );
}

/** The same for a tenant that is the session's whole database. One that is locked keeps its rights and rows as they are. */
export async function inspectDatabase(session: Session, way: 'archive' | 'lock'): Promise<Inspection> {
  const [around, standing, access, intruders, bodies, ownRoles] = await Promise.all([
    readSurroundings(session, nodePgMigrateKey),
    readDatabaseStanding(session),
    readAccess(session, null),
    readIntruders(session, null),
    readBodies(session, null),
    readOwnRoles(session, null),
  ]);
  const guarded = bodies.flatMap((body) => body.guarded.map((table) => `${body.home}.${table}`));
  const isDropped = way === 'archive';
  // Of the database only its own rights are taken; of what is in it nobody's.
  const others = { home: '', hasOthers: access.some(({ hasOthers }) => hasOthers), beyond: [] };
  return {
    refusals: [
      ...(isDropped ? judgeAccess(access.length === 0 ? { ...others, hasOthers: true } : others) : []),
      ...(isDropped ? judgeIntruders(intruders.filter(({ pid }) => pid !== null)) : []),
      ...(isDropped ? list(guarded, guardedRefusal) : []),
      ...judgeStanding(standing, isDropped),
      ...(around.isMigrating ? [migrating] : []),
    ],
    remarks: [],
    sizeBytes: standing.sizeBytes,
    ownRoles: ownRoles.get('') ?? [],
  };
}

/** Nothing for an empty list, else what its names make. */
function list<T>(names: readonly string[] | undefined, make: (names: string) => T): readonly T[] {
  return names === undefined || names.length === 0 ? [] : [make(listNames(names))];
}

const migrating: Refusal = {
  code: 'migrating',
  message: "node-pg-migrate's lock is held in the database",
  hint: 'wait for that migration to end; tenantctl migrate repair tells whose it is',
};

function outsideRefusal(what: string): Refusal {
  const hint = 'it would be dropped with the tenant: remove it, or move it into the tenant';
  return { code: 'outside', message: `what is not the tenant's refers to it: ${what}`, hint };
}

function publishedRefusal(what: string): Refusal {
  const hint = 'take it out of the publication first; a restored table is in none';
  return { code: 'published', message: `publications name it: ${what}`, hint };
}

function guardedRefusal(tables: string): Refusal {
  const hint = 'give the login BYPASSRLS, or connect as a superuser';
  return { code: 'row-security', message: `row-level security hides rows from the login: ${tables}`, hint };
}

function judgeAccess(access: Access | undefined): readonly Refusal[] {
  if (access === undefined) {
    return [
      { code: 'missing', message: 'there is no such schema', hint: 'correct the inventory, or create the tenant' },
    ];
  }
  const unfenceable: Refusal = {
    code: 'unfenceable',
    message: 'nobody but superusers and the login of tenantctl may use the tenant: its application cannot be kept out',
    hint: 'give the application a login role of its own, without superuser rights',
  };
  return [
    ...(access.hasOthers ? [] : [unfenceable]),
    ...list(access.beyond, (roles) => ({
      code: 'not-allowed',
      message: `the login cannot take rights away in the name of ${roles}`,
      hint: 'make the login a member of these roles, or a superuser',
    })),
  ];
}

function judgeIntruders(intruders: readonly Intruder[]): readonly Refusal[] {
  const prepared = intruders.filter(({ pid }) => pid === null);
  const sessions = intruders.flatMap(({ pid, user, application }) => {
    return pid === null ? [] : [`${application || 'a session'} (pid ${pid}, user ${user})`];
  });
  return [
    ...(prepared.length === 0 ? [] : [preparedRefusal('a prepared transaction holds locks on it')]),
    ...list(sessions, (who) => ({
      code: 'in-use',
      message: `in use by whom no fence keeps out: ${who}`,
      hint: 'end that session; an application that is a superuser, or uses the login of tenantctl, needs a role of its own',
    })),
  ];
}

function preparedRefusal(message: string): Refusal {
  return { code: 'prepared', message, hint: 'COMMIT PREPARED or ROLLBACK PREPARED it: pg_prepared_xacts names it' };
}

function judgeBody(body: Body | undefined): readonly Refusal[] {
  return [
    ...list(body?.guarded, guardedRefusal),
    ...list(body?.subscribed, (tables) => ({
      code: 'subscribed',
      message: `a subscription writes to it: ${tables}`,
      hint: 'take the tables out of the publication that it follows, and refresh the subscription',
    })),
  ];
}

function judgeStanding(standing: DatabaseStanding, isDropped: boolean): readonly Refusal[] {
  const { owner, isTemplate, mayDrop, mayCreate, prepared, slots, subscriptions } = standing;
  const refusals: Refusal[] = [];
  const refuse = (code: string, message: string, hint: string) => void refusals.push({ code, message, hint });
  if (isTemplate) refuse('template', 'the database is a template', 'ALTER DATABASE … IS_TEMPLATE false');
  if (!mayDrop) refuse('not-allowed', `the database belongs to ${owner}`, 'make the login a member of that role');
  if (isDropped && !mayCreate) refuse('not-allowed', 'the login could not make it again', 'give it CREATEDB');
  if (prepared > 0) refusals.push(preparedRefusal(`the database has ${plural(prepared, 'prepared transaction')}`));
  const replication = [...slots.map((slot) => `slot ${slot}`), ...subscriptions.map((name) => `subscription ${name}`)];
  const hint = 'drop the slots and subscriptions that are not needed any more';
  if (replication.length > 0) refuse('replicated', `the database is replicated: ${listNames(replication)}`, hint);
  return refusals;
}
