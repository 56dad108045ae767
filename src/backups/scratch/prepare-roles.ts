import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { toFailure } from '../../postgres/failure.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { sql } from '../../postgres/sql.ts';
import { errorCode } from '../../postgres/sqlstates.ts';

export interface PreparedRoles {
  readonly lacking: readonly string[];
  /** All owners and grantees are there, and may be named by this session. */
  readonly isComplete: boolean;
}

/** duplicate_object; unique_violation, when two make it in one moment. */
const isThere: ReadonlySet<string | null> = new Set(['42710', '23505']);

/**
 * The roles that an archive's SQL names. In a cluster of our own they are made: from the server's roles file where there
 * is one, the others without anything. Elsewhere roles belong to people: what is lacking is only said.
 */
export async function prepareRoles(
  session: Session,
  options: {
    readonly mayCreate: boolean;
    readonly needed: readonly string[];
    /** The roles file of the server, when there is one. */
    readonly read: (() => Promise<Readable>) | null;
  },
): Promise<PreparedRoles> {
  const { mayCreate, needed, read } = options;
  if (!mayCreate) return checkRoles(session, needed);
  const lacking = read === null ? [] : await runRolesFile(session, await text(await read()));
  // The system's own are there, and nobody may make one that is called like them.
  for (const role of needed) if (!role.startsWith('pg_')) await createRole(session, role);
  return { lacking, isComplete: true };
}

/**
 * pg_dumpall writes a statement a line. They are not given to psql: its commands (`\!`) would reach this machine's
 * shell. Statements about the role that we are here are left out: it may have been less than a superuser there.
 */
async function runRolesFile(session: Session, file: string): Promise<readonly string[]> {
  const [me] = await session.query<{ name: string }>(sql`SELECT pg_catalog.quote_ident(session_user) AS name`);
  const isOurs = (line: string) => /^(?:CREATE|ALTER) ROLE (\S+?);?(?: |$)/.exec(line)?.[1] === me?.name;
  const statements = file
    .split('\n')
    .filter((line) => /^(?:CREATE ROLE|ALTER ROLE|GRANT|COMMENT ON ROLE) /.test(line) && !isOurs(line));
  const lacking: string[] = [];
  for (const statement of statements) {
    const { error } = await session.script(statement);
    if (error === null || isThere.has(errorCode(error))) continue;
    if (session.isBroken) throw error;
    lacking.push(`roles: ${toFailure(error).message}`);
  }
  return lacking;
}

async function createRole(session: Session, role: string): Promise<void> {
  try {
    await session.raw(`CREATE ROLE ${quoteIdentifier(role)} NOLOGIN`);
  } catch (error) {
    if (!isThere.has(errorCode(error))) throw error;
  }
}

async function checkRoles(session: Session, needed: readonly string[]): Promise<PreparedRoles> {
  const rows = await session.query<{ name: string; usable: boolean }>(sql`
    SELECT r.rolname AS name, pg_catalog.pg_has_role(r.oid, 'MEMBER') AS usable
      FROM pg_catalog.pg_roles r WHERE r.rolname = ANY (${needed}::name[])`);
  const usable = new Map(rows.map((row) => [row.name, row.usable]));
  const missing = needed.filter((role) => !usable.has(role));
  const foreign = needed.filter((role) => usable.get(role) === false);
  const lacking = [
    ...missing.map((role) => `role ${role}: owners and grants were left out`),
    ...foreign.map((role) => `membership in role ${role}: owners and grants were left out`),
  ];
  return { lacking, isComplete: lacking.length === 0 };
}
