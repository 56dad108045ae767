import { quoteQualified } from '../../postgres/identifiers.ts';
import type { TocEntry } from '../archive/types.ts';
import type { LivingTable } from './living-tables.ts';
import { literal, type SqlRunner } from './sql-text.ts';

/**
 * Sets the sequences that belong to columns of these tables to where the archive has them, where that is ahead in the
 * direction in which they count: no number is given twice. What is ahead is judged by the statement that sets it, for
 * the application may take numbers meanwhile; and it comes last, for no rollback takes it back.
 */
export async function advanceSequences(
  runner: SqlRunner,
  entries: readonly TocEntry[],
  tables: readonly LivingTable[],
): Promise<void> {
  const sequences = await runner.rows<{ schema: string; name: string }>(`
    SELECT DISTINCT n.nspname AS schema, s.relname AS name
      FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
      JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.deptype IN ('a', 'i') AND d.refobjid IN (${tables.map(({ oid }) => `${oid}::oid`).join(', ')})`);
  for (const { schema, name } of sequences) {
    const entry = entries.find(({ kind, namespace, tag }) => {
      return kind === 'SEQUENCE SET' && namespace === schema && tag === name;
    });
    const state = readSequenceState(entry?.definition ?? '');
    if (state === null) continue;
    const sequence = quoteQualified(schema, name);
    const { last, called } = state;
    await runner.rows(`
      SELECT pg_catalog.setval(${literal(sequence)}::pg_catalog.regclass, ${last}, ${called}) AS set
        FROM ${sequence} s
        JOIN pg_catalog.pg_sequence q ON q.seqrelid = ${literal(sequence)}::pg_catalog.regclass
       WHERE CASE WHEN q.seqincrement > 0 THEN ${last} > s.last_value ELSE ${last} < s.last_value END
          OR (${last} = s.last_value AND ${called} AND NOT s.is_called)`);
  }
}

/** The end of `SELECT pg_catalog.setval('tenant_acme.tasks_id_seq', 20, true);`. */
export function readSequenceState(definition: string): { readonly last: string; readonly called: boolean } | null {
  const [, last, called] = /, (-?\d+), (true|false)\);\s*$/.exec(definition) ?? [];
  return last === undefined ? null : { last: `(${last})::pg_catalog.int8`, called: called === 'true' };
}
