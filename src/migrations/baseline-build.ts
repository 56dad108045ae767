import { TenantError } from '../errors.ts';
import { toFailure } from '../postgres/failure.ts';
import { quoteIdentifier, quoteSearchPath } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import type { Migration } from './folder.ts';
import type { Inspector } from './inspection.ts';
import type { BuildMigration } from './javascript.ts';
import { findObjects, hashStructures, readStructure, type StructureFact } from './structure.ts';

/** What a folder's migrations build, in one database. */
export interface BuiltStructure {
  readonly hash: string;
  readonly facts: readonly StructureFact[];
}

/** Where to build: a schema that is made for it, or `public` of a database that is made for it. */
export interface BuildSite {
  readonly schema: string;
  readonly makesSchema: boolean;
  readonly searchPath: readonly string[];
  /** What the tenants' databases have beforehand. */
  readonly extensions: readonly InstalledExtension[];
}

export interface InstalledExtension {
  readonly name: string;
  readonly schema: string;
}

/**
 * Why these files cannot be tried out in a transaction that is rolled back; null: they can. A file that ends the
 * transaction, or of which nobody knows whether it does, would leave behind what it makes.
 */
export function whyNotTried(
  migrations: readonly Migration[],
  inspector: Inspector,
  ownsDatabase: boolean,
): string | null {
  for (const migration of migrations) {
    if (migration.kind !== 'sql') continue;
    if (!migration.sql.usesTransaction) return `${migration.name} runs without a transaction`;
    const { statements, objections } = inspector.inspect(migration, 'up');
    if (statements === null) return `${migration.name} is not understood by the parser`;
    const objection = objections.find(({ scope }) => !(ownsDatabase && scope === 'database'));
    if (objection !== undefined) return `${objection.at}: ${objection.message}`;
  }
  return null;
}

/**
 * Runs migrations in a transaction, reads what they made, and rolls all of it back. The session is the caller's own
 * and prepared. Throws a TenantError that says which file could not be run.
 */
export async function buildStructure(
  session: Session,
  site: BuildSite,
  migrations: readonly Migration[],
  build: BuildMigration,
  { signal, onStep }: { readonly signal: AbortSignal; readonly onStep: (step: string) => void },
): Promise<BuiltStructure> {
  await session.raw('BEGIN');
  try {
    await makeSite(session, site);
    for (const migration of migrations) {
      signal.throwIfAborted();
      onStep(migration.name);
      await tryOut(session, site, migration, build);
    }
    await session.raw('SET CONSTRAINTS ALL IMMEDIATE');
    return await readBuilt(session, site.schema);
  } finally {
    await leaveNothing(session, site);
  }
}

async function makeSite(session: Session, { schema, makesSchema, extensions }: BuildSite): Promise<void> {
  if (makesSchema) await session.raw(`CREATE SCHEMA ${quoteIdentifier(schema)}`);
  for (const extension of extensions) {
    await session.raw(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(extension.schema)}`);
    const place = `SCHEMA ${quoteIdentifier(extension.schema)}`;
    await session.raw(`CREATE EXTENSION IF NOT EXISTS ${quoteIdentifier(extension.name)} ${place} CASCADE`);
  }
}

async function tryOut(session: Session, site: BuildSite, migration: Migration, build: BuildMigration): Promise<void> {
  const path = `SET search_path TO ${quoteSearchPath(site.searchPath)}`;
  try {
    await session.raw(`RESET SESSION AUTHORIZATION; RESET ROLE; ${path}`);
    if (migration.kind === 'sql') {
      const { error } = await session.script(migration.sql.up.text);
      if (error !== null) throw error;
    } else {
      const { steps, usesTransaction } = await build(migration, 'up', session);
      if (!usesTransaction) throw new Error('it runs without a transaction');
      for (const step of steps) await session.raw(step);
    }
  } catch (cause) {
    const failure = toFailure(cause);
    throw new TenantError(
      { ...failure, message: `${migration.name}: ${failure.message}`, file: migration.displayPath },
      { cause },
    );
  }
  if (session.isIdle) {
    throw new TenantError({ message: `${migration.name} ended the transaction`, file: migration.displayPath });
  }
}

async function readBuilt(session: Session, schema: string): Promise<BuiltStructure> {
  // A migration may have taken another role, which may not see all.
  await session.raw('RESET SESSION AUTHORIZATION; RESET ROLE; SET LOCAL search_path TO pg_catalog');
  const objects = (await findObjects(session, [schema])).get(schema);
  if (objects === undefined) throw new TenantError({ message: `the migrations removed the schema ${schema}` });
  const hashes = await hashStructures(session, [objects]);
  return { hash: hashes.get(schema) ?? '', facts: await readStructure(session, objects) };
}

/** A migration in JavaScript can send a COMMIT that nobody has seen before: then the schema goes by itself. */
async function leaveNothing(session: Session, { schema, makesSchema }: BuildSite): Promise<void> {
  if (session.isBroken) return;
  await session.raw('ROLLBACK');
  if (makesSchema) await session.raw(`DROP SCHEMA IF EXISTS ${quoteIdentifier(schema)} CASCADE`);
}
