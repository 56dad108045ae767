import { majorOf } from '../postgres/server-version.ts';
import type { Session } from '../postgres/session.ts';
import { fragment, sql } from '../postgres/sql.ts';
import type { OwnNames, TenantShape } from './fact.ts';
import { executeFacts } from './fact-statements.ts';
import { type HeldObjects, knownCatalogues } from './facts/groups.ts';
import { nameParameters } from './own-names.ts';

/** What must be known of a schema before its facts are read: which kinds of objects it has at all. */
export interface MappedSchema extends HeldObjects {
  readonly schema: string;
  readonly oid: string;
  readonly major: number;
  readonly unmodelled: TenantShape['unmodelled'];
}

/** Whoever has something in these needs the statement of uncommon facts. Not every server has all of them. */
const uncommonCatalogues = ['pg_statistic_ext', 'pg_default_acl', 'pg_publication_namespace'];

function cataloguesCalled(names: readonly string[]): unknown {
  return fragment`SELECT c.oid FROM pg_catalog.pg_class c
    WHERE c.relname = ANY (${names}::text[]) AND c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace`;
}

/** What no fact covers: a catalogue that is not known, a type that is no enum, domain, range or row. */
function unmodelledRows(known: readonly string[]): unknown {
  return fragment`
    SELECT h.namespace, c.relname::text AS kind
      FROM held h JOIN pg_catalog.pg_class c ON c.oid = h.classid
     WHERE h.classid <> ALL (ARRAY(${cataloguesCalled(known)}))
     UNION ALL
    SELECT h.namespace, CASE WHEN t.typisdefined THEN 'base type' ELSE 'shell type' END
      FROM held h JOIN pg_catalog.pg_type t ON t.oid = h.objid
     WHERE h.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.typtype NOT IN ('e', 'd', 'r', 'm', 'c')
     UNION ALL
    -- Made for its functions, by somebody who is above all tenants.
    SELECT h.namespace, c.relname::text
      FROM held h JOIN pg_catalog.pg_depend d ON d.refclassid = h.classid AND d.refobjid = h.objid
      JOIN pg_catalog.pg_class c ON c.oid = d.classid
     WHERE h.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
       AND d.classid IN ('pg_catalog.pg_transform'::pg_catalog.regclass, 'pg_catalog.pg_event_trigger'::pg_catalog.regclass)`;
}

/** What the statement for most tenants does not look for. */
const uncommonRows = fragment`
    SELECT h.namespace FROM held h JOIN pg_catalog.pg_class c ON c.oid = h.objid
     WHERE h.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND (c.relkind IN ('m', 'f') OR c.oid IN (SELECT p.prrelid FROM pg_catalog.pg_publication_rel p))
     UNION ALL
    SELECT h.namespace FROM held h JOIN pg_catalog.pg_type t ON t.oid = h.objid
     WHERE h.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
       AND (t.typtype IN ('c', 'r') OR t.oid IN (SELECT pg_catalog.unnest(ARRAY[c.castsource, c.casttarget]) FROM pg_catalog.pg_cast c))
     UNION ALL
    SELECT h.namespace FROM held h JOIN pg_catalog.pg_proc p ON p.oid = h.objid
     WHERE h.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.prokind IN ('a', 'p')
     UNION ALL
    SELECT h.namespace FROM held h WHERE h.classid = ANY (ARRAY(${cataloguesCalled(uncommonCatalogues)}))
     UNION ALL
    SELECT w.oid FROM wanted w WHERE EXISTS (SELECT FROM pg_catalog.pg_seclabel)`;

/**
 * Finds schemas and what they hold, by the dependencies on them, whose index leads with the schema: nothing is read
 * whole. A schema that is not there is not in the answer.
 */
export async function mapSchemas(
  session: Session,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, MappedSchema>> {
  // An extension belongs to the database, whatever schema it was made in.
  const known = [...knownCatalogues, 'pg_extension'];
  const rows = await session.query<Omit<MappedSchema, 'major'> & { version: string }>(sql`
    WITH wanted AS MATERIALIZED (
      SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY (${schemas}::text[])
    ), held AS MATERIALIZED (
      SELECT w.oid AS namespace, d.classid, d.objid
        FROM wanted w JOIN pg_catalog.pg_depend d
          ON d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = w.oid
       WHERE NOT EXISTS (
         SELECT FROM pg_catalog.pg_depend e
          WHERE e.classid = d.classid AND e.objid = d.objid AND e.objsubid = 0 AND e.deptype = 'e')
    ), other AS (${unmodelledRows(known)}
    ), uncommon AS (${uncommonRows}
    ), counted AS (
      SELECT namespace, kind, pg_catalog.count(*)::int AS count FROM other GROUP BY namespace, kind
    )
    SELECT w.nspname AS schema, w.oid::text AS oid, pg_catalog.current_setting('server_version_num') AS version,
           coalesce((SELECT pg_catalog.json_agg(c.relname) FROM pg_catalog.pg_class c WHERE c.oid = ANY (k.classes)), '[]') AS catalogues,
           w.oid IN (SELECT c.namespace FROM uncommon c) AS "hasUncommon",
           coalesce(u.list, '[]') AS unmodelled
      FROM wanted w
      LEFT JOIN (SELECT namespace, pg_catalog.array_agg(DISTINCT classid) AS classes FROM held GROUP BY namespace) k
             ON k.namespace = w.oid
      LEFT JOIN (SELECT namespace, pg_catalog.json_agg(pg_catalog.json_build_object('kind', kind, 'count', count)
                                     ORDER BY kind COLLATE "C") AS list
                   FROM counted GROUP BY namespace) u ON u.namespace = w.oid`);
  return new Map(rows.map(({ version, ...row }) => [row.schema, { ...row, major: majorOf(Number(version)) }] as const));
}

/** The sums over one group's facts: two of 64 bits for what is cosmetic, two for the rest. */
interface Sums {
  readonly count: number;
  readonly structural: readonly [string, string];
  readonly cosmetic: readonly [string, string];
}

/**
 * What each schema looks like, as 128 bits, inside the caller's transaction. Everything is sent before the first answer
 * is awaited. A schema that is gone has no facts at all: whoever calls must know that it was there. The version is null:
 * it is the history that knows it.
 */
export async function hashSchemas(
  session: Session,
  mapped: readonly MappedSchema[],
  own: (schema: string) => OwnNames,
): Promise<ReadonlyMap<string, TenantShape>> {
  const answers = mapped.map(async (one) => [one.schema, await hashSchema(session, one, own(one.schema))] as const);
  return new Map(await Promise.all(answers));
}

async function hashSchema(session: Session, mapped: MappedSchema, own: OwnNames): Promise<TenantShape> {
  const { major, unmodelled } = mapped;
  const sums = await executeFacts<Sums>(session, mapped, nameParameters(own, true), 'sums');
  const structural = sums.map((sum) => sum.structural);
  return {
    major,
    shape: digest([...structural, ...sums.map((sum) => sum.cosmetic)]),
    structure: digest(structural),
    facts: sums.reduce((total, { count }) => total + count, 0),
    unmodelled,
    version: null,
  };
}

/** The order of facts does not matter to a sum, and sums of groups add up. */
function digest(sums: readonly (readonly [string, string])[]): string {
  const total = (half: 0 | 1) => sums.reduce((sum, halves) => sum + BigInt(halves[half]), 0n);
  const hex = (sum: bigint) => BigInt.asUintN(64, sum).toString(16).padStart(16, '0');
  return hex(total(0)) + hex(total(1));
}
