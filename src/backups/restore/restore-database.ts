import { TenantError } from '../../errors.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Toc, TocEntry } from '../archive/types.ts';
import { restoreArchive } from '../restore-archive.ts';
import type { CheckedArchive } from './checked-archive.ts';
import { claimDatabase, dropUnfinished, unfinishedComment } from './claimed-database.ts';
import { analyseTables, compareRows } from './compare-rows.ts';
import { commentOnDatabase, copyDatabaseAccess, copyDatabaseSettings, databaseComment } from './database-properties.ts';
import { programFailure } from './program-failure.ts';
import { type RestoreJob, restoredComment } from './restore-types.ts';
import { queriesOn } from './runner-queries.ts';
import { databaseExists, dropDatabase, inTransaction, literal, type SqlRunner } from './sql-text.ts';

/** How a restore reaches its server beside the session that holds the tenant's locks. */
export interface ServerAccess {
  /** For programs: reaches that database. */
  readonly envFor: (database: string) => Promise<Readonly<Record<string, string>>>;
  /** Lends a session of that database, which is closed before this resolves. */
  readonly within: <T>(database: string, work: (runner: SqlRunner) => Promise<T>) => Promise<T>;
}

export interface DatabaseJob extends RestoreJob {
  /** The database that the tenant lives in, or lived in: who may connect to it may connect to its copy. */
  readonly living: string;
}

/**
 * Makes a database of an archive beside what lives; one that cannot be completed is dropped again. Resolves to what is to
 * be said of it.
 */
export async function restoreDatabase(
  runner: SqlRunner,
  job: DatabaseJob,
  archive: CheckedArchive,
  access: ServerAccess,
): Promise<readonly string[]> {
  const { tenant, run, manifest, way, onStep, living } = job;
  const { database } = way.to;
  onStep('creating the database');
  const release = await claimDatabase(runner, database);
  try {
    await dropUnfinished(runner, tenant);
    if (await databaseExists(runner, database)) throw targetExists(database);
    await runner.run(createDatabase(database, archive.toc.entries, await likeLiving(runner, living)));
    try {
      await commentOnDatabase(runner, database, unfinishedComment(tenant, run));
      // Anybody may connect to a new database, and this one fills with a tenant's data.
      await runner.run(`REVOKE CONNECT, TEMPORARY ON DATABASE ${quoteIdentifier(database)} FROM PUBLIC`);
      const isLike = await copyDatabaseAccess(runner, living, database);
      await runner.run(`ALTER DATABASE ${quoteIdentifier(database)} ALLOW_CONNECTIONS true`);
      onStep('restoring');
      await runRestore(job, archive, await access.envFor(database));
      onStep('comparing rows');
      const remarks = await access.within(database, async (inside) => {
        await compareRows(inside, manifest.tables);
        await analyseTables(inside, manifest.tables);
        const { inside: settle } = job;
        return settle === undefined ? [] : inTransaction(inside, () => settle(queriesOn(inside), null));
      });
      onStep('settling the database');
      await inTransaction(runner, () => copyDatabaseSettings(runner, living, database));
      await commentOnDatabase(runner, database, restoredComment(tenant, manifest, run));
      return [...(isLike ? [] : [closedRemark(database)]), ...remarks];
    } catch (error) {
      await runner.run(dropDatabase(database)).catch(() => {});
      throw error;
    }
  } finally {
    await release();
  }
}

export function closedRemark(database: string): string {
  return `only its owner may connect to ${database}: GRANT CONNECT ON DATABASE ${quoteIdentifier(database)} TO …`;
}

/**
 * What an archive tells of the database itself: owner, settings, grants, in statements that name it as it was called
 * then. For a tenant whose own database is gone, in the caller's transaction. False: it tells nothing of a database of that
 * name.
 */
export async function giveArchivedProperties(runner: SqlRunner, { entries }: Toc, name: string): Promise<boolean> {
  const database = entries.find(({ kind }) => kind === 'DATABASE');
  // Of another name its statements would be about somebody else's database.
  if (database === undefined || database.tag !== name) return false;
  const quoted = quoteIdentifier(name);
  if (database.owner) await runner.run(`ALTER DATABASE ${quoted} OWNER TO ${quoteIdentifier(database.owner)}`);
  // Its grants are told as what differs from those of a new database.
  await runner.run(`GRANT CONNECT, TEMPORARY ON DATABASE ${quoted} TO PUBLIC`);
  for (const { kind, definition, dependencies } of entries) {
    const isAbout = ['ACL', 'COMMENT'].includes(kind) && dependencies.includes(database.dumpId);
    const isItsOwn = kind === 'DATABASE PROPERTIES' || isAbout;
    if (isItsOwn && definition !== null) await runner.run(definition);
  }
  return true;
}

/** The place of this very run is complete already. */
export async function isDatabaseRestored(
  runner: SqlRunner,
  { tenant, run, manifest }: RestoreJob,
  database: string,
): Promise<boolean> {
  return (await databaseComment(runner, database)) === restoredComment(tenant, manifest, run);
}

async function runRestore(
  { tools, signal }: RestoreJob,
  { open }: CheckedArchive,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  try {
    await restoreArchive({ archive: await open(signal), env, tools, args: [], signal });
  } catch (error) {
    throw programFailure(error);
  }
}

/** Encoding and locale as the archive tells them, else as the living database has them. */
function createDatabase(name: string, entries: readonly TocEntry[], living: string | null): string {
  const told = entries.find(({ kind }) => kind === 'DATABASE')?.definition ?? null;
  // `CREATE DATABASE name WITH TEMPLATE = template0 ENCODING = …;` with the name quoted or not.
  const options =
    told === null ? null : /^CREATE DATABASE (?:"(?:[^"]|"")*"|\S+)(?<options> WITH .*?);?\s*$/s.exec(told);
  const like = options?.groups?.options ?? living ?? ' WITH TEMPLATE = template0';
  // Nobody gets in before it is said who may.
  return `CREATE DATABASE ${quoteIdentifier(name)}${like} ALLOW_CONNECTIONS = false`;
}

async function likeLiving(runner: SqlRunner, database: string): Promise<string | null> {
  const [living] = await runner.rows<{ encoding: string; collate: string; ctype: string }>(`
    SELECT pg_catalog.pg_encoding_to_char(encoding) AS encoding, datcollate AS collate, datctype AS ctype
      FROM pg_catalog.pg_database WHERE datname = ${literal(database)}`);
  if (living === undefined) return null;
  const { encoding, collate, ctype } = living;
  const locale = `LC_COLLATE = ${literal(collate)} LC_CTYPE = ${literal(ctype)}`;
  return ` WITH TEMPLATE = template0 ENCODING = ${literal(encoding)} ${locale}`;
}

function targetExists(database: string): TenantError {
  return new TenantError({
    message: `database ${JSON.stringify(database)} is there already`,
    code: 'target-exists',
    hint: 'name another one: --to-database; to put the living one aside for the backup: --swap',
  });
}
