import { quoteSearchPath } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { fragment, sql } from '../postgres/sql.ts';
import { toolTables } from './other-tools.ts';
import { structureFacts } from './structure-facts.ts';

/** One thing that a schema is made of. Definitions do not name the schema itself, so that two schemas can be equal. */
export interface StructureFact {
  /** `table`, `column`, `index`, … */
  readonly kind: string;
  /** `tasks`, `tasks.due`. */
  readonly name: string;
  /** The table that it belongs to; null for what stands for itself. */
  readonly table: string | null;
  readonly definition: string;
}

/** What a schema has, as the catalogue's identifiers; extension members and tables of migration tools are left out. */
export interface SchemaObjects {
  readonly schema: string;
  readonly relations: readonly string[];
  readonly functions: readonly string[];
  readonly types: readonly string[];
}

/** Another tool's tables, and the history, are no part of what the migrations build. */
const leftOut: readonly string[] = ['pgmigrations', ...toolTables];

/**
 * Finds what schemas consist of: one look at the catalogue for all of them, which has no index by schema, so that
 * asking for each one alone would read all of it each time.
 */
export async function findObjects(session: Session, schemas: readonly string[]): Promise<Map<string, SchemaObjects>> {
  const isMember = (catalogue: unknown, oid: unknown) => fragment`EXISTS (
    SELECT FROM pg_catalog.pg_depend e
     WHERE e.classid = ${catalogue}::pg_catalog.regclass AND e.objid = ${oid} AND e.deptype = 'e')`;
  const rows = await session.query<SchemaObjects>(sql`
    WITH wanted AS MATERIALIZED (
      SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname = ANY (${schemas}::text[])
    ), aside AS MATERIALIZED (
      SELECT c.oid FROM pg_catalog.pg_class c
       WHERE c.relname = ANY (${leftOut}::text[]) AND c.relnamespace IN (SELECT oid FROM wanted)
    ), relation AS (
      SELECT c.relnamespace AS namespace, pg_catalog.array_agg(c.oid::text) AS oids
        FROM pg_catalog.pg_class c
       WHERE c.relnamespace IN (SELECT oid FROM wanted) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
         AND c.oid NOT IN (SELECT oid FROM aside)
         -- An identity's sequence is part of its column; a serial's goes with its table.
         AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND c.relkind = 'S'
              AND d.refclassid = d.classid
              AND (d.deptype = 'i' OR d.deptype = 'a' AND d.refobjid IN (SELECT oid FROM aside)))
         AND NOT ${isMember(fragment`'pg_catalog.pg_class'`, fragment`c.oid`)}
       GROUP BY 1
    ), func AS (
      SELECT p.pronamespace AS namespace, pg_catalog.array_agg(p.oid::text) AS oids
        FROM pg_catalog.pg_proc p
       WHERE p.pronamespace IN (SELECT oid FROM wanted)
         AND NOT ${isMember(fragment`'pg_catalog.pg_proc'`, fragment`p.oid`)}
       GROUP BY 1
    ), type AS (
      SELECT t.typnamespace AS namespace, pg_catalog.array_agg(t.oid::text) AS oids
        FROM pg_catalog.pg_type t
       WHERE t.typnamespace IN (SELECT oid FROM wanted) AND t.typtype IN ('e', 'd')
         AND NOT ${isMember(fragment`'pg_catalog.pg_type'`, fragment`t.oid`)}
       GROUP BY 1
    )
    SELECT w.nspname AS schema, coalesce(r.oids, '{}') AS relations, coalesce(f.oids, '{}') AS functions,
           coalesce(t.oids, '{}') AS types
      FROM wanted w
      LEFT JOIN relation r ON r.namespace = w.oid
      LEFT JOIN func f ON f.namespace = w.oid
      LEFT JOIN type t ON t.namespace = w.oid`);
  return new Map(rows.map((row) => [row.schema, row]));
}

/**
 * One hash a schema: equal hashes are equal structures. Inside a transaction of the caller; the statements for all
 * schemas travel together.
 */
export async function hashStructures(
  session: Session,
  schemas: readonly SchemaObjects[],
): Promise<Map<string, string>> {
  const answers = schemas.map(async (objects) => {
    const [, [row]] = await Promise.all([
      standIn(session, objects.schema),
      session.query<{ hash: string }>(sql`${structureFacts(objects)}
        SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(coalesce(pg_catalog.string_agg(
                 pg_catalog.jsonb_build_array(kind, name, definition)::text, E'\n'
                 ORDER BY kind COLLATE "C", name COLLATE "C", definition COLLATE "C"), ''), 'UTF8')), 'hex') AS hash
          FROM facts`),
    ]);
    return [objects.schema, row?.hash ?? ''] as const;
  });
  return new Map(await Promise.all(answers));
}

/** All facts of one schema; inside a transaction of the caller. */
export async function readStructure(session: Session, objects: SchemaObjects): Promise<readonly StructureFact[]> {
  const [, facts] = await Promise.all([
    standIn(session, objects.schema),
    session.query<StructureFact>(sql`${structureFacts(objects)}
      SELECT kind, name, "table", definition FROM facts
       ORDER BY kind COLLATE "C", name COLLATE "C", definition COLLATE "C"`),
  ]);
  return facts;
}

/** PostgreSQL leaves out of a definition the schemas that the path has: the schema's own name must not differ. */
async function standIn(session: Session, schema: string): Promise<void> {
  await session.query(sql`SELECT pg_catalog.set_config('search_path', ${quoteSearchPath([schema])}, true)`);
}
