import { TenantError } from '../errors.ts';
import type { Session } from '../postgres/session.ts';
import { readActors } from './actors.ts';
import { allowLogin, namesIn } from './fence.ts';
import { ownerRole, revokeAll, roleText, targetText } from './grant-statements.ts';
import { setConnections } from './lock-database.ts';
import { openRights } from './open-fence.ts';
import type { Fence, FencedObject } from './receipt.ts';
import { readDatabaseRights } from './rights.sql.ts';
import { runStatements } from './run-statements.ts';

/**
 * Takes the right to connect, and all others on the database itself, from everybody, and closes the fence's roles. A
 * login that is no superuser keeps the right to connect. In the caller's transaction, on a session of the login itself.
 * Who is in there stays: see `endDatabaseSessions`. Resolves to the rights as they were, to be recorded before that transaction ends.
 */
export async function closeDatabase(
  session: Session,
  database: string,
  { closedRoles }: Pick<Fence, 'closedRoles'>,
): Promise<readonly FencedObject[]> {
  const object = await readExisting(session, database);
  const actors = await readActors(session, [...namesIn([object]), ...closedRoles]);
  const { login, isSuperuser } = actors;
  const ownNeed = `GRANT CONNECT ON ${targetText([object])} TO ${roleText(login)}`;
  await runStatements(session, [
    ...revokeAll([object], actors),
    ...(isSuperuser ? [] : [{ role: ownerRole(actors, object.owner), text: ownNeed }]),
    ...closedRoles.filter((role) => actors.roles.has(role)).map((role) => allowLogin(role, false)),
  ]);
  const { grants } = await readExisting(session, database);
  if (grants?.every(({ grantee }) => !isSuperuser && grantee === login)) return [object];
  throw new TenantError({
    message: `rights on database ${database} could not be taken away`,
    code: 'not-fenced',
    hint: 'make the login a member of the roles that own it and that granted the rights, or a superuser',
  });
}

/**
 * Makes the rights on a database exactly what a fence recorded, allows connections, and lets its roles log in again. In
 * the caller's transaction, on a session of the login itself in another database. Resolves to remarks: roles that are gone.
 */
export async function openDatabase(session: Session, database: string, fence: Fence): Promise<readonly string[]> {
  const read = async () => [await readExisting(session, database)];
  const remarks = await openRights(session, fence, read);
  await setConnections(session, database, true);
  return remarks;
}

async function readExisting(session: Session, database: string): Promise<FencedObject> {
  const object = await readDatabaseRights(session, database);
  if (object !== null) return object;
  throw new TenantError({
    message: `there is no database ${JSON.stringify(database)}`,
    code: 'database-missing',
    hint: 'look whether it was renamed or dropped since',
  });
}
