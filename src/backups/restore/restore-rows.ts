import { TenantError } from '../../errors.ts';
import { quoteQualified } from '../../postgres/identifiers.ts';
import { listNames } from '../../words.ts';
import { feedEntries } from './archive-sql.ts';
import { type ArchivedRows, findArchivedRows, readTableName } from './archived-rows.ts';
import type { CheckedArchive } from './checked-archive.ts';
import { compareRows } from './compare-rows.ts';
import { copiedColumns } from './copied-columns.ts';
import { emptyTables, lockTables, matchTables } from './living-tables.ts';
import { type PsqlOptions, PsqlTransaction } from './psql-transaction.ts';
import type { RestoreJob } from './restore-types.ts';
import { advanceSequences } from './row-sequences.ts';
import { literal, renameSchema, type SqlRunner, schemaExists } from './sql-text.ts';

export interface RowsJob extends RestoreJob {
  /** As they were typed: `tasks`, or `app.tasks` for a tenant with a database of its own. */
  readonly tables: readonly string[];
  /** Delete first what is in them. */
  readonly replaces: boolean;
  readonly withSequences: boolean;
}

export interface RestoredRows {
  readonly tables: number;
  readonly rows: number;
  readonly remarks: readonly string[];
}

/**
 * Puts the rows of some tables back into the living tenant, in one transaction. Triggers run and foreign keys are
 * checked as for any other row that is added; parents come before children.
 */
export async function restoreRows(
  job: RowsJob,
  archive: CheckedArchive,
  psql: Pick<PsqlOptions, 'env' | 'endBackend'>,
): Promise<RestoredRows> {
  const { tools, signal, serverMajor, manifest, way, onStep, replaces } = job;
  const { entries } = archive.toc;
  const own = manifest.place.schema;
  const wanted = job.tables.map((text) => readTableName(text, own));
  const archived = findArchivedRows(entries, wanted);
  return PsqlTransaction.use({ tools, signal, ...psql }, async (transaction) => {
    // With rows hidden a table would look empty: better an error.
    await transaction.run(`SET LOCAL lock_timeout = ${Math.trunc(job.lockTimeoutMs)}; SET LOCAL row_security = off`);
    // Statements of the archive name its schema: for this transaction the living one has that name.
    const isRenamed = own !== null && way.to.schema !== null && own !== way.to.schema;
    const isParked = isRenamed && (await schemaExists(transaction, own));
    if (isParked) await transaction.run(renameSchema(own, way.parkedName));
    if (isRenamed) await transaction.run(renameSchema(way.to.schema, own));

    onStep('locking the tables');
    const living = await lockTables(transaction, wanted);
    const tables = matchTables(archived, living);
    const remarks = await compareColumns(transaction, tables);
    onStep(replaces ? 'emptying the tables' : 'looking whether the tables are empty');
    await emptyTables(transaction, living, { replaces, own: own ?? 'public' });
    onStep('restoring rows');
    const sql = { tools, signal, serverMajor, archive };
    const dumpIds = tables.map(({ entry }) => entry.dumpId);
    await feedEntries(transaction, sql, dumpIds);
    onStep('comparing rows');
    const counted = manifest.tables.filter((each) => {
      return tables.some(({ schema, name }) => schema === each.schema && name === each.name);
    });
    await compareRows(transaction, counted);
    if (job.withSequences) {
      onStep('setting sequences');
      await advanceSequences(transaction, entries, living);
    }
    onStep('committing');
    if (isRenamed) await transaction.run(renameSchema(own, way.to.schema));
    if (isParked) await transaction.run(renameSchema(way.parkedName, own));
    return { tables: counted.length, rows: counted.reduce((sum, { rows }) => sum + (rows ?? 0), 0), remarks };
  });
}

/** A column that the living table has lost stops it; one that came since is filled with its default, and said. */
async function compareColumns(runner: SqlRunner, tables: readonly ArchivedRows[]): Promise<readonly string[]> {
  const remarks: string[] = [];
  for (const { schema, name, entry } of tables) {
    const rows = await runner.rows<{ name: string }>(`
      SELECT attname AS name FROM pg_catalog.pg_attribute
       WHERE attrelid = ${literal(quoteQualified(schema, name))}::pg_catalog.regclass AND attnum > 0
         AND NOT attisdropped AND attgenerated = ''`);
    const living = new Set(rows.map((row) => row.name));
    const archived = copiedColumns(entry.copyStatement ?? '');
    if (archived === null) continue;
    const lost = archived.filter((column) => !living.has(column));
    if (lost.length > 0) {
      throw new TenantError({
        message: `the living table ${name} has no column ${listNames(lost)}, which the archive has`,
        code: 'columns-differ',
        hint: 'restore the tenant beside, and copy the rows with a statement of your own',
      });
    }
    const added = [...living].filter((column) => !archived.includes(column));
    if (added.length > 0) remarks.push(`${name}: ${listNames(added)} came after the backup and got the default`);
  }
  return remarks;
}
