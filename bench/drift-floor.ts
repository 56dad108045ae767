import { identifier, sql } from '../src/postgres/sql.ts';
import type { Bench, Timing } from './support.ts';

const schemasPerTransaction = 40;

/**
 * The floor: the least that an exact comparison can do. One query for the relations of all schemas, then one bare query a
 * schema over definitions as the server prints them: relations, columns, constraints, indexes, triggers and policies,
 * without owners, privileges, functions, types, sequences, comments and all else that a scan compares. With `count` 0 it
 * reads the schema `public`.
 */
export async function timeBareScan(bench: Bench, database: string, count: number): Promise<Timing> {
  const schemas = count === 0 ? ['public'] : Array.from({ length: count }, (_, index) => `t_${index + 1}`);
  const started = performance.now();
  const session = await bench.connect(database);
  await session.raw('SET jit = off; SET max_parallel_workers_per_gather = 0');
  const rows = await session.query<{ schema: string; oids: string[] }>(sql`
    SELECT n.nspname AS schema, array_agg(c.oid)::text[] AS oids FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY (${schemas}::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') GROUP BY 1`);
  for (let from = 0; from < rows.length; from += schemasPerTransaction) {
    await session.raw('BEGIN READ ONLY');
    await Promise.all(
      rows.slice(from, from + schemasPerTransaction).map(async ({ schema, oids }) => {
        const path = session.query(sql`SET LOCAL search_path = ${identifier(schema)}, pg_catalog`);
        const facts = session.raw({ name: 'facts', text: exactQuery, values: [oids] });
        await Promise.all([path, facts]);
      }),
    );
    await session.raw('COMMIT');
  }
  await session.end();
  return { ms: performance.now() - started, peakBytes: 0 };
}

const exactQuery = `WITH rel AS MATERIALIZED (
  SELECT c.* FROM pg_class c WHERE c.oid = ANY($1::oid[]) AND c.relkind IN ('r','p','v','m','S','f','c')),
facts(kind, ident, val) AS (
  SELECT 'relation', relname::text, jsonb_build_array(relkind, relpersistence, relrowsecurity,
         relforcerowsecurity, relreplident,
         (SELECT string_agg(o, ',' ORDER BY o COLLATE "C") FROM unnest(reloptions) o),
         CASE WHEN relkind IN ('v','m') THEN pg_get_viewdef(oid) END)::text FROM rel
  UNION ALL
  SELECT 'column', r.relname||'.'||a.attname, jsonb_build_array(format_type(a.atttypid, a.atttypmod),
         a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid))::text
    FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE r.relkind IN ('r','p','f','c')
  UNION ALL
  SELECT 'constraint', r.relname||'.'||k.conname,
         jsonb_build_array(k.contype, k.convalidated, pg_get_constraintdef(k.oid))::text
    FROM rel r JOIN pg_constraint k ON k.conrelid = r.oid
  UNION ALL
  SELECT 'index', ic.relname, jsonb_build_array(ix.indisvalid, pg_get_indexdef(ix.indexrelid, 0, true))::text
    FROM rel r JOIN pg_index ix ON ix.indrelid = r.oid JOIN pg_class ic ON ic.oid = ix.indexrelid
   WHERE NOT EXISTS (SELECT FROM pg_constraint k
                      WHERE k.conindid = ix.indexrelid AND k.contype IN ('p','u','x'))
  UNION ALL
  SELECT 'trigger', r.relname||'.'||t.tgname, jsonb_build_array(t.tgenabled, pg_get_triggerdef(t.oid, true))::text
    FROM rel r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
  UNION ALL
  SELECT 'policy', r.relname||'.'||p.polname, jsonb_build_array(p.polcmd, p.polpermissive,
         pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text
    FROM rel r JOIN pg_policy p ON p.polrelid = r.oid)
SELECT md5(string_agg(kind||E'\\x1f'||ident||E'\\x1f'||md5(val), E'\\n'
       ORDER BY kind COLLATE "C", ident COLLATE "C")) FROM facts`;
