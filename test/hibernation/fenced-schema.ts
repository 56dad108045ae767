import { afterAll } from 'vitest';
import { quoteIdentifier } from '../../src/postgres/identifiers.ts';
import type { Session } from '../../src/postgres/session.ts';
import { asSuperuser, createTestDatabase, type TestDatabase } from '../support/database.ts';
import { runTool } from '../support/dumps.ts';

/** Roles belong to the server: those of a test file have the name of its database, and go with it. */
export interface Roles {
  /** By what it is for; quoted, for SQL. */
  readonly sql: (role: string) => string;
  readonly name: (role: string) => string;
}

/** A database whose roles go with it: `makeRoles` before anything is granted to them. */
export async function createRoleDatabase(
  roles: Readonly<Record<string, string>>,
): Promise<{ readonly db: TestDatabase; readonly roles: Roles }> {
  // Hooks run backwards: this one after the database is gone.
  let names: readonly string[] = [];
  afterAll(() =>
    asSuperuser(async (admin) => {
      for (const role of names) await admin.query(`drop role if exists ${role}`);
    }),
  );
  const db = await createTestDatabase();
  const name = (role: string) => `${db.name} "${role}"`;
  const sql = (role: string) => quoteIdentifier(name(role));
  names = Object.keys(roles).map(sql);
  await asSuperuser(async (admin) => {
    for (const [role, options] of Object.entries(roles)) await admin.query(`create role ${sql(role)} ${options}`);
  });
  return { db, roles: { sql, name } };
}

/** All of a schema as SQL, without what differs each time. */
export async function dumpOf(db: TestDatabase, schema: string): Promise<string> {
  const text = await runTool('pg_dump', ['-n', quoteIdentifier(schema), '-d', db.url]);
  return text.replace(/^(?:-- Dumped (?:from|by) .*|\\(?:un)?restrict .*)\n/gm, '');
}

/** Commits what `work` does. */
export async function committed<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.raw('BEGIN');
  try {
    const value = await work();
    await session.raw('COMMIT');
    return value;
  } catch (error) {
    await session.raw('ROLLBACK');
    throw error;
  }
}
