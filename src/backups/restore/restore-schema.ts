import { TenantError } from '../../errors.ts';
import { listNames, plural } from '../../words.ts';
import { feedEntries } from './archive-sql.ts';
import type { CheckedArchive } from './checked-archive.ts';
import { analyseTables, compareRows, findOldNames } from './compare-rows.ts';
import { orderEntries } from './entry-lists.ts';
import { type PsqlOptions, PsqlTransaction } from './psql-transaction.ts';
import { type Restored, type RestoreJob, restoredComment } from './restore-types.ts';
import { queriesOn } from './runner-queries.ts';
import { commentOnSchema, schemaComment, settleSwapped } from './schema-properties.ts';
import { renameSchema, type SqlRunner, schemaExists } from './sql-text.ts';

/**
 * Restores the archive of one schema in one transaction: it is there, complete and with the rows that its manifest
 * counts, or nothing of it is.
 *
 * An archive holds its schema's name inside arbitrary SQL and cannot be renamed. So for the time of the transaction the
 * schema that has that name is called something else, which nobody else sees: its name in the catalogue is put back, or
 * given to the restored one, before the commit. No lock is taken on it, and no table of it is touched.
 */
export async function restoreSchema(
  job: RestoreJob,
  archive: CheckedArchive,
  psql: Pick<PsqlOptions, 'env' | 'endBackend'>,
): Promise<Restored> {
  const { first, last } = orderEntries(archive.toc.entries);
  const { tools, signal, serverMajor, onStep, manifest } = job;
  const sql = { tools, signal, serverMajor, archive };
  return PsqlTransaction.use({ tools, signal, ...psql }, async (transaction) => {
    await transaction.run(`SET LOCAL lock_timeout = ${Math.trunc(job.lockTimeoutMs)}`);
    onStep('making room for its name');
    const room = await makeRoom(transaction, job);
    onStep('restoring');
    await feedEntries(transaction, sql, first);
    onStep('comparing rows');
    await compareRows(transaction, manifest.tables);
    const remarks = await judgeOldNames(transaction, job);
    await analyseTables(transaction, manifest.tables);
    onStep('restoring foreign keys');
    await feedEntries(transaction, sql, last);
    const queries = queriesOn(transaction);
    const settled = (await job.inside?.(queries, schemaOf(manifest.place))) ?? [];
    onStep('giving it its name');
    await giveNames(transaction, job, room);
    const named = (await job.named?.(queries)) ?? [];
    return { old: room.hasOld ? job.way.oldName : null, remarks: [...remarks, ...settled, ...named] };
  });
}

/** Under its lock: the place of this very run stands already when the answer to a COMMIT was lost. */
export async function isRestored(runner: SqlRunner, { tenant, run, manifest, way }: RestoreJob): Promise<boolean> {
  if (way.oldName !== null) return schemaExists(runner, way.oldName);
  return (await schemaComment(runner, schemaOf(way.to))) === restoredComment(tenant, manifest, run);
}

/** Who had to make room for the archive's name and for the name it gets. */
interface Room {
  /** The living one has got its old name. */
  readonly hasOld: boolean;
  /** Another schema has the archive's name, and is called something else until the end of the transaction. */
  readonly isParked: boolean;
}

async function makeRoom(runner: SqlRunner, { manifest, way }: RestoreJob): Promise<Room> {
  const own = schemaOf(manifest.place);
  const to = schemaOf(way.to);
  const hasOld = await schemaExists(runner, to);
  if (hasOld) {
    if (way.oldName === null) throw targetExists(to);
    await runner.run(renameSchema(to, way.oldName));
  }
  const isParked = to !== own && (await schemaExists(runner, own));
  if (isParked) await runner.run(renameSchema(own, way.parkedName));
  return { hasOld, isParked };
}

async function giveNames(runner: SqlRunner, job: RestoreJob, { hasOld, isParked }: Room): Promise<void> {
  const { tenant, run, manifest, way } = job;
  const own = schemaOf(manifest.place);
  const to = schemaOf(way.to);
  if (to !== own) await runner.run(renameSchema(own, to));
  if (isParked) await runner.run(renameSchema(way.parkedName, own));
  if (hasOld && way.oldName !== null) await settleSwapped(runner, { tenant, run, living: to, old: way.oldName });
  else if (to !== own) await commentOnSchema(runner, to, restoredComment(tenant, manifest, run));
}

/** What keeps the old name in its text: in the way of a schema that is to work under its new name. */
async function judgeOldNames(runner: SqlRunner, { manifest, way }: RestoreJob): Promise<readonly string[]> {
  const own = schemaOf(manifest.place);
  const to = schemaOf(way.to);
  if (to === own) return [];
  const functions = await findOldNames(runner, own, own);
  if (functions.length === 0) return [];
  const what = `${plural(functions.length, 'function names', 'functions name')} schema ${JSON.stringify(own)} in ${functions.length === 1 ? 'its' : 'their'} text`;
  if (way.allowsOldNames) return [`${what}: ${listNames(functions, 10)}`];
  throw new TenantError({
    message: `${what}, and would go on to use it: ${listNames(functions, 10)}`,
    code: 'names-old-schema',
    hint: 'nothing was kept; correct them afterwards and say so (--allow-old-names), or restore beside (without --to-schema) and swap',
  });
}

function targetExists(schema: string): TenantError {
  return new TenantError({
    message: `schema ${JSON.stringify(schema)} is there already`,
    code: 'target-exists',
    hint: 'name another one: --to-schema; to put the living one aside for the backup: --swap',
  });
}

function schemaOf({ schema }: { readonly schema: string | null }): string {
  return schema ?? 'public';
}
