import { TenantError } from '../../errors.ts';
import { quoteQualified } from '../../postgres/identifiers.ts';
import { plural } from '../../words.ts';
import type { ArchivedTable } from '../archive/types.ts';
import { findRowDifferences } from '../row-differences.ts';
import { literal, type SqlRunner } from './sql-text.ts';

/** Tables of one statement. */
const tablesAtOnce = 100;

/** Compares the rows that arrived with those that the manifest counts, where it could count them. Throws a TenantError `rows-differ`. */
export async function compareRows(runner: SqlRunner, tables: readonly ArchivedTable[]): Promise<void> {
  const differences = await findRowDifferences(runner, tables);
  if (differences.length === 0) return;
  throw new TenantError({
    message: `${plural(differences.length, 'restored table does', 'restored tables do')} not have the rows that the manifest counts`,
    code: 'rows-differ',
    detail: differences.slice(0, 20).join('; '),
    hint: 'nothing was kept; a trigger or rule that runs while it is restored may do that, or a damaged archive: tenantctl verify',
  });
}

/** The planner knows nothing of new tables until somebody looks at them. */
export async function analyseTables(runner: SqlRunner, tables: readonly ArchivedTable[]): Promise<void> {
  const names = tables.map(({ schema, name }) => quoteQualified(schema, name));
  for (let from = 0; from < names.length; from += tablesAtOnce) {
    await runner.run(`ANALYZE ${names.slice(from, from + tablesAtOnce).join(', ')}`);
  }
}

/**
 * Functions of a schema whose body, or whose `SET search_path`, names a schema as text: a rename does not reach them.
 * Bodies in SQL's own form (BEGIN ATOMIC) follow a rename.
 */
export async function findOldNames(runner: SqlRunner, schema: string, name: string): Promise<readonly string[]> {
  // As it is, and as it is written in quotes; unquoted it may be in capitals.
  const spellings = [...new Set([name, name.replaceAll('"', '""')])].map((each) => {
    return each.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&');
  });
  const pattern = literal(`(^|[^[:alnum:]_$])(${spellings.join('|')})($|[^[:alnum:]_$])`);
  const rows = await runner.rows<{ function: string }>(`
    SELECT pg_catalog.format('%s(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) AS function
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = ${literal(schema)}
       AND (p.prosrc ~* ${pattern} OR pg_catalog.array_to_string(p.proconfig, ' ') ~* ${pattern})
     ORDER BY p.proname COLLATE "C"`);
  return rows.map((row) => row.function);
}
