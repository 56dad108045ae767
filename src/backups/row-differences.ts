import { quoteQualified } from '../postgres/identifiers.ts';
import type { ArchivedTable } from './archive/types.ts';
import { literal, type SqlRunner } from './restore/sql-text.ts';

/** Tables of one statement: a count each. */
const tablesAtOnce = 100;

/**
 * Counts the rows of tables that were restored, and says where they are not those that their manifest counts, a line
 * each. Rows of children are theirs, as COPY sees it. Where the manifest could not count, only the table must be there.
 */
export async function findRowDifferences(
  runner: Pick<SqlRunner, 'rows'>,
  tables: readonly ArchivedTable[],
): Promise<readonly string[]> {
  const differences: string[] = [];
  for (let from = 0; from < tables.length; from += tablesAtOnce) {
    const some = tables.slice(from, from + tablesAtOnce);
    const there = await findThere(runner, some);
    const counts = await countRows(runner, some, there);
    for (const [index, { schema, name, rows }] of some.entries()) {
      const count = counts.get(index);
      if (!there.has(index)) differences.push(`table ${schema}.${name} was not restored`);
      else if (count !== undefined && count !== rows) {
        differences.push(`table ${schema}.${name} has ${count} rows, and ${rows} were backed up`);
      }
    }
  }
  return differences;
}

async function findThere(
  runner: Pick<SqlRunner, 'rows'>,
  tables: readonly ArchivedTable[],
): Promise<ReadonlySet<number>> {
  const names = tables.map(({ schema, name }, index) => `(${index}, ${literal(quoteQualified(schema, name))})`);
  const found = await runner.rows<{ index: number }>(
    `SELECT t.index FROM (VALUES ${names.join(', ')}) t(index, name) WHERE pg_catalog.to_regclass(t.name) IS NOT NULL`,
  );
  return new Set(found.map(({ index }) => index));
}

async function countRows(
  runner: Pick<SqlRunner, 'rows'>,
  tables: readonly ArchivedTable[],
  there: ReadonlySet<number>,
): Promise<ReadonlyMap<number, number>> {
  const counts = tables.flatMap(({ schema, name, rows }, index) => {
    if (rows === null || !there.has(index)) return [];
    return [`SELECT ${index} AS index, pg_catalog.count(*) AS rows FROM ONLY ${quoteQualified(schema, name)}`];
  });
  if (counts.length === 0) return new Map();
  const found = await runner.rows<{ index: number; rows: string | number }>(counts.join(' UNION ALL '));
  return new Map(found.map(({ index, rows }) => [index, Number(rows)]));
}
