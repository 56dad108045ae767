import { toFailure } from '../../postgres/failure.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { ClientTools } from '../../postgres/local/client-tools.ts';
import type { Session } from '../../postgres/session.ts';
import { readToc } from '../archive/read-archive.ts';
import type { Toc } from '../archive/types.ts';
import type { Backup } from '../repository/backup.ts';
import type { BackupManifest } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import { restoreArchive } from '../restore-archive.ts';
import { makeRoomForPublic } from './empty-place.ts';
import { prepareRoles } from './prepare-roles.ts';
import type { ScratchDatabase } from './scratch.ts';

export interface PrepareOptions {
  readonly database: ScratchDatabase;
  readonly repository: Repository;
  /** Whose needs are to be met: roles, extensions, shared schemas. */
  readonly manifest: BackupManifest;
  readonly tools: ClientTools;
  readonly signal: AbortSignal;
}

export interface PreparedScratch {
  /** What could not be made, a line each. */
  readonly lacking: readonly string[];
  /** What pg_restore must be told here: without all roles, owners and grants are left out. */
  readonly restoreArgs: readonly string[];
}

/** Of a scratch database, never: it is one place, it cannot be dropped with a subscription, and nobody listens. */
const scratchArgs = ['--no-tablespaces', '--no-publications', '--no-subscriptions'];

/**
 * Makes an empty scratch database fit for an archive: roles (only in a cluster of our own; on a server of the inventory
 * those that are there must do), what its tenants share, extensions. What cannot be made is said, and no error: whether
 * the archive can do without, its restore shows.
 */
export async function prepareScratch(options: PrepareOptions): Promise<PreparedScratch> {
  const { database, repository, manifest } = options;
  const { shared, rolesFile } = manifest.needs;
  const companion = shared === null ? null : await repository.findBackup(shared);
  const rolesBackup = rolesFile === null ? null : await repository.findBackup(rolesFile);
  const session = await database.connect();
  try {
    const roles = await prepareRoles(session, {
      mayCreate: database.server.isTemporary,
      needed: [...new Set([...manifest.needs.roles, ...(companion?.manifest?.needs.roles ?? [])])],
      read: rolesBackup === null ? null : () => repository.openArchive(rolesBackup),
    });
    const restoreArgs = [...scratchArgs, ...(roles.isComplete ? [] : ['--no-owner', '--no-privileges'])];
    const lacking = [
      ...roles.lacking,
      ...missingFile(shared, companion),
      ...missingFile(rolesFile, rolesBackup),
      ...(companion === null ? [] : await restoreShared(session, companion, restoreArgs, options)),
      // A whole database's archive makes its extensions itself.
      ...(manifest.place.schema === null ? [] : await createExtensions(session, manifest)),
    ];
    return { lacking, restoreArgs };
  } finally {
    await session.end();
  }
}

function missingFile(key: string | null, found: Backup | null): readonly string[] {
  return key === null || found !== null ? [] : [`${key} is not in the store`];
}

async function restoreShared(
  session: Session,
  companion: Backup,
  args: readonly string[],
  { database, repository, manifest, tools, signal }: PrepareOptions,
): Promise<readonly string[]> {
  try {
    const toc = await readToc(await repository.openArchive(companion, signal));
    await makeRoomForPublic(session, toc);
    await createExtensionSchemas(session, manifest, toc);
    const archive = await repository.openArchive(companion, signal);
    // One extension that this server lacks must not take all else with it.
    const { stderr } = await restoreArchive({ archive, env: database.env, tools, args, signal, keepsGoing: true });
    return stderr.trim() === '' ? [] : [`what tenants share: ${stderr.trim()}`];
  } catch (error) {
    signal.throwIfAborted();
    if (session.isBroken) throw error;
    const { message, detail } = toFailure(error);
    const others = (detail ?? '').split('\n').filter((line) => line.includes(' error: '));
    return [message, ...others].map((line) => `what tenants share: ${line}`);
  }
}

/** An extension's own schema may be nobody's: neither a tenant's nor shared. */
async function createExtensionSchemas(session: Session, manifest: BackupManifest, toc: Toc): Promise<void> {
  const made = new Set(toc.entries.flatMap(({ kind, tag }) => (kind === 'SCHEMA' ? [tag] : [])));
  for (const schema of new Set(manifest.needs.extensions.map((extension) => extension.schema))) {
    if (!made.has(schema) && schema !== manifest.place.schema) await createSchema(session, schema);
  }
}

/** Those that no shared archive has brought. */
async function createExtensions(session: Session, { needs, place }: BackupManifest): Promise<readonly string[]> {
  const lacking: string[] = [];
  for (const { name, version, schema } of needs.extensions) {
    if (schema === place.schema) {
      lacking.push(`extension ${name} ${version}: it stands in the tenant's own schema, which its archive makes`);
      continue;
    }
    try {
      await createSchema(session, schema);
      await session.raw(`CREATE EXTENSION IF NOT EXISTS ${quoteIdentifier(name)} SCHEMA ${quoteIdentifier(schema)}`);
    } catch (error) {
      if (session.isBroken) throw error;
      lacking.push(`extension ${name} ${version}: ${toFailure(error).message}`);
    }
  }
  return lacking;
}

/** Those of the system are there, and nobody may make one that is called like them. */
async function createSchema(session: Session, schema: string): Promise<void> {
  if (!schema.startsWith('pg_')) await session.raw(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
}
