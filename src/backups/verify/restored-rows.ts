import { toFailure } from '../../postgres/failure.ts';
import { readFirstRows } from '../../postgres/first-rows.ts';
import { quoteIdentifier, quoteQualified, quoteSearchPath } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { sql } from '../../postgres/sql.ts';
import type { ArchivedTable } from '../archive/types.ts';
import { sessionRunner } from '../restore/sql-text.ts';
import { findRowDifferences } from '../row-differences.ts';

/** Questions that travel together in one round trip. */
const questionsAtOnce = 50;

/** Counts every table that the manifest names. */
export function compareRowCounts(session: Session, tables: readonly ArchivedTable[]): Promise<readonly string[]> {
  return findRowDifferences(sessionRunner(session), tables);
}

interface OwnedSequence {
  readonly schema: string;
  readonly sequence: string;
  readonly table: string;
  readonly column: string;
  readonly increment: number;
}

/**
 * A sequence that is behind its column gives a number that is taken: the first insert fails. Only columns that are
 * unique by themselves, and sequences that do not go round.
 */
export async function findSequencesBehind(session: Session, schema: string | null): Promise<readonly string[]> {
  const sequences = await session.query<OwnedSequence>(sql`
    SELECT n.nspname AS schema, s.relname AS sequence, t.relname AS "table", a.attname AS "column",
           q.seqincrement::float8 AS increment
      FROM pg_catalog.pg_sequence q
      JOIN pg_catalog.pg_class s ON s.oid = q.seqrelid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.oid
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
      JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
      JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace AND n.oid = s.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
     WHERE NOT q.seqcycle AND a.atttypid IN (20, 21, 23)
       AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
       AND (${schema}::text IS NULL OR n.nspname = ${schema})
       AND EXISTS (SELECT FROM pg_catalog.pg_index i
                    WHERE i.indrelid = t.oid AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
     ORDER BY n.nspname, s.relname`);
  const problems: string[] = [];
  for (let at = 0; at < sequences.length; at += questionsAtOnce) {
    const some = sequences.slice(at, at + questionsAtOnce);
    problems.push(
      ...(await Promise.all(some.map((each) => describeIfBehind(session, each)))).filter((it) => it !== null),
    );
  }
  return problems;
}

async function describeIfBehind(session: Session, owned: OwnedSequence): Promise<string | null> {
  const { schema, sequence, table, column, increment } = owned;
  const [last, order] = increment > 0 ? ['max', '<='] : ['min', '>='];
  const { rows } = await session.raw(
    `SELECT s.next::text AS next, c.last::text AS last
       FROM (SELECT CASE WHEN is_called THEN last_value + (${Math.trunc(increment)}) ELSE last_value END AS next
               FROM ${quoteQualified(schema, sequence)}) s,
            (SELECT pg_catalog.${last}(${quoteIdentifier(column)}) AS last FROM ${quoteQualified(schema, table)}) c
      WHERE s.next ${order} c.last`,
  );
  const [row] = rows as { next: string; last: string }[];
  if (row === undefined) return null;
  return `sequence ${schema}.${sequence} is behind: its next value is ${row.next}, and ${table}.${column} has ${row.last}`;
}

/** Constraints that let old rows be as they are: restored as they were, and no proof of the rows. */
export async function countUnproven(session: Session, schema: string | null): Promise<number> {
  const [row] = await session.query<{ count: number }>(sql`
    SELECT pg_catalog.count(*)::int AS count
      FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
     WHERE NOT c.convalidated AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
       AND (${schema}::text IS NULL OR n.nspname = ${schema})`);
  return row?.count ?? 0;
}

/** What the user's own SQL finds: a row that comes back is a complaint. It sees the tenant as its application does. */
export async function runChecks(
  session: Session,
  checks: readonly string[],
  searchPath: readonly string[],
): Promise<{ readonly problems: readonly string[]; readonly obstacle: string | null }> {
  const problems: string[] = [];
  await session.query(sql`SELECT pg_catalog.set_config('search_path', ${quoteSearchPath(searchPath)}, false)`);
  for (const check of checks) {
    const name = `check ${JSON.stringify(check.length > 80 ? `${check.slice(0, 79)}…` : check)}`;
    try {
      const { columns, rows, hasMore } = await readFirstRows(session, check, { maxRows: 1, maxValueLength: 80 });
      const [row] = rows;
      if (row === undefined) continue;
      const values = columns.map((column, index) => `${column} ${row[index] ?? 'null'}`).join(', ');
      problems.push(`${name} found ${hasMore ? 'rows, first' : 'a row'}: ${values}`);
    } catch (error) {
      if (session.isBroken) throw error;
      return { problems, obstacle: `${name} could not be asked: ${toFailure(error).message}` };
    }
  }
  return { problems, obstacle: null };
}
