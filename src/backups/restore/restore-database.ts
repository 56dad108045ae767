import { TenantError } from '../../errors.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import { runProgram } from '../../postgres/programs.ts';
import type { TocEntry } from '../archive/types.ts';
import { analyseTables, compareRows } from './compare-rows.ts';
import { commentOnDatabase, databaseComment } from './database-properties.ts';
import { readArchiveToc } from './fetch-archive.ts';
import { programFailure } from './program-failure.ts';
import { type FetchedArchive, type Restored, type RestoreJob, restoredComment } from './restore-types.ts';
import { databaseExists, literal, type SqlRunner } from './sql-text.ts';

/** How a restore reaches its server beside the session that holds the tenant's locks. */
export interface ServerAccess {
  /** For programs: reaches that database. */
  readonly envFor: (database: string) => Promise<Readonly<Record<string, string>>>;
  /** Lends a session of that database, which is closed before this resolves. */
  readonly within: <T>(database: string, work: (runner: SqlRunner) => Promise<T>) => Promise<T>;
}

/** Makes a database of an archive beside what lives; one that cannot be completed is dropped again. */
export async function restoreDatabase(
  runner: SqlRunner,
  job: RestoreJob,
  archive: FetchedArchive,
  access: ServerAccess,
): Promise<Restored> {
  const { tenant, run, manifest, way, onStep } = job;
  const { database } = way.to;
  await dropUnfinished(runner, tenant);
  if (await databaseExists(runner, database)) throw targetExists(database);
  const { entries } = await readArchiveToc(archive.path);
  onStep('creating the database');
  await runner.run(createDatabase(database, entries, await likeLiving(runner, manifest.place.database)));
  try {
    await commentOnDatabase(runner, database, unfinishedComment(tenant, run));
    onStep('restoring');
    await runRestore(job, archive, await access.envFor(database));
    onStep('comparing rows');
    await access.within(database, async (inside) => {
      await compareRows(inside, manifest.tables);
      await analyseTables(inside, manifest.tables);
    });
    await commentOnDatabase(runner, database, restoredComment(tenant, manifest, run));
  } catch (error) {
    await runner.run(dropDatabase(database)).catch(() => {});
    throw error;
  }
  return { old: null, remarks: [] };
}

/**
 * What an archive tells of the database itself: owner, settings, grants, in statements that name it as it was called
 * then. For a tenant whose own database is gone.
 */
export async function giveArchivedProperties(runner: SqlRunner, path: string): Promise<void> {
  const { entries } = await readArchiveToc(path);
  const database = entries.find(({ kind }) => kind === 'DATABASE');
  if (database === undefined) return;
  if (database.owner) {
    await runner.run(`ALTER DATABASE ${quoteIdentifier(database.tag)} OWNER TO ${quoteIdentifier(database.owner)}`);
  }
  for (const { kind, definition, dependencies } of entries) {
    const isAbout = ['ACL', 'COMMENT'].includes(kind) && dependencies.includes(database.dumpId);
    const isItsOwn = kind === 'DATABASE PROPERTIES' || isAbout;
    if (isItsOwn && definition !== null) await runner.run(definition);
  }
}

/** The place of this very run is complete already. */
export async function isDatabaseRestored(
  runner: SqlRunner,
  { tenant, run, manifest }: RestoreJob,
  database: string,
): Promise<boolean> {
  return (await databaseComment(runner, database)) === restoredComment(tenant, manifest, run);
}

function unfinishedComment(tenant: string, run: string): string {
  return `${unfinishedPrefix(tenant)}${run}`;
}

function unfinishedPrefix(tenant: string): string {
  return `tenantctl: unfinished restore of tenant ${tenant}, run `;
}

/** Under the tenant's lock nobody else restores it: what is unfinished was left by a run that was killed. */
async function dropUnfinished(runner: SqlRunner, tenant: string): Promise<void> {
  const left = await runner.rows<{ name: string }>(`
    SELECT d.datname AS name FROM pg_catalog.pg_database d
     WHERE pg_catalog.starts_with(d.datname, 'tenantctl_restore_')
       AND pg_catalog.starts_with(pg_catalog.shobj_description(d.oid, 'pg_database'), ${literal(unfinishedPrefix(tenant))})`);
  for (const { name } of left) await runner.run(dropDatabase(name));
}

function dropDatabase(name: string): string {
  return `DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`;
}

async function runRestore(
  { tools, signal }: RestoreJob,
  { path }: FetchedArchive,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  // Empty: the database is PGDATABASE. A name here would be read as a connection string if it looked like one.
  const args = ['--exit-on-error', '--no-password', '--dbname=', path];
  try {
    await runProgram(tools, 'pg_restore', { args, env, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw programFailure(error);
  }
}

/** Encoding and locale as the archive tells them, else as the living database has them. */
function createDatabase(name: string, entries: readonly TocEntry[], living: string | null): string {
  const told = entries.find(({ kind }) => kind === 'DATABASE')?.definition ?? null;
  // `CREATE DATABASE name WITH TEMPLATE = template0 ENCODING = …;` with the name quoted or not.
  const options =
    told === null ? null : /^CREATE DATABASE (?:"(?:[^"]|"")*"|\S+)(?<options> WITH .*?);?\s*$/s.exec(told);
  return `CREATE DATABASE ${quoteIdentifier(name)}${options?.groups?.options ?? living ?? ' WITH TEMPLATE = template0'}`;
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
