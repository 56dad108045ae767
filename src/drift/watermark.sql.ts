import type { Session } from '../postgres/session.ts';
import { fragment, identifier, join, sql } from '../postgres/sql.ts';

/** Catalogues whose rows name their schema, and the column that does; `since`: the first major that has it. */
const inSchema: readonly { readonly catalog: string; readonly column: string; readonly since?: number }[] = [
  { catalog: 'pg_class', column: 'relnamespace' },
  { catalog: 'pg_constraint', column: 'connamespace' },
  { catalog: 'pg_proc', column: 'pronamespace' },
  { catalog: 'pg_type', column: 'typnamespace' },
  { catalog: 'pg_operator', column: 'oprnamespace' },
  { catalog: 'pg_opclass', column: 'opcnamespace' },
  { catalog: 'pg_opfamily', column: 'opfnamespace' },
  { catalog: 'pg_collation', column: 'collnamespace' },
  { catalog: 'pg_conversion', column: 'connamespace' },
  { catalog: 'pg_statistic_ext', column: 'stxnamespace' },
  { catalog: 'pg_ts_config', column: 'cfgnamespace' },
  { catalog: 'pg_ts_dict', column: 'dictnamespace' },
  { catalog: 'pg_ts_parser', column: 'prsnamespace' },
  { catalog: 'pg_ts_template', column: 'tmplnamespace' },
  { catalog: 'pg_namespace', column: 'oid' },
  { catalog: 'pg_default_acl', column: 'defaclnamespace' },
  { catalog: 'pg_publication_namespace', column: 'pnnspid', since: 15 },
];

/** Catalogues whose rows belong to a row of one of those, and the column that names it. */
const ofObject: readonly { readonly catalog: string; readonly column: string; readonly owner: string }[] = [
  { catalog: 'pg_attribute', column: 'attrelid', owner: 'pg_class' },
  { catalog: 'pg_attrdef', column: 'adrelid', owner: 'pg_class' },
  { catalog: 'pg_index', column: 'indexrelid', owner: 'pg_class' },
  { catalog: 'pg_inherits', column: 'inhrelid', owner: 'pg_class' },
  { catalog: 'pg_partitioned_table', column: 'partrelid', owner: 'pg_class' },
  { catalog: 'pg_foreign_table', column: 'ftrelid', owner: 'pg_class' },
  { catalog: 'pg_sequence', column: 'seqrelid', owner: 'pg_class' },
  { catalog: 'pg_rewrite', column: 'ev_class', owner: 'pg_class' },
  { catalog: 'pg_trigger', column: 'tgrelid', owner: 'pg_class' },
  { catalog: 'pg_policy', column: 'polrelid', owner: 'pg_class' },
  { catalog: 'pg_publication_rel', column: 'prrelid', owner: 'pg_class' },
  { catalog: 'pg_aggregate', column: 'aggfnoid', owner: 'pg_proc' },
  { catalog: 'pg_enum', column: 'enumtypid', owner: 'pg_type' },
  { catalog: 'pg_range', column: 'rngtypid', owner: 'pg_type' },
  { catalog: 'pg_cast', column: 'castsource', owner: 'pg_type' },
  { catalog: 'pg_cast', column: 'casttarget', owner: 'pg_type' },
  { catalog: 'pg_amop', column: 'amopfamily', owner: 'pg_opfamily' },
  { catalog: 'pg_amproc', column: 'amprocfamily', owner: 'pg_opfamily' },
  { catalog: 'pg_ts_config_map', column: 'mapcfg', owner: 'pg_ts_config' },
];

/** What may be said of an object, wherever the object stands: comments, labels, that an extension owns it. */
const aboutObject: readonly { readonly catalog: string; readonly classColumn: string; readonly column: string }[] = [
  { catalog: 'pg_description', classColumn: 'classoid', column: 'objoid' },
  { catalog: 'pg_seclabel', classColumn: 'classoid', column: 'objoid' },
];

/** Parts of objects that can have a comment of their own. */
const commented = new Set(['pg_rewrite', 'pg_trigger', 'pg_policy']);

/** Every catalogue that a watermark hears. */
export const watchedCatalogs: ReadonlySet<string> = new Set(
  [...inSchema, ...ofObject, ...aboutObject].map(({ catalog }) => catalog),
);

/**
 * A number for each schema that changes whenever a row of the catalogue that belongs to it was written: every row has
 * the transaction that wrote it. Inserts, ANALYZE, VACUUM and FREEZE write none; TRUNCATE does, and changes no fact. No
 * definition is printed, so that this costs a fraction of a scan and takes no lock on anything of a tenant. A schema
 * that is not there is absent.
 */
export async function readWatermarks(
  session: Session,
  schemas: readonly string[],
  major: number,
): Promise<ReadonlyMap<string, string>> {
  const rows = await session.query<{ schema: string; mark: string }>(sql`
    WITH space AS MATERIALIZED (SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY (${schemas}::text[])),
    own(class, id, space, mark) AS MATERIALIZED (${join(inSchema.filter(({ since = 0 }) => major >= since).map(ownRows), ' UNION ALL ')}),
    part(class, id, space, mark) AS MATERIALIZED (${join(ofObject.filter(({ catalog }) => commented.has(catalog)).map(commentedRows), ' UNION ALL ')})
    SELECT s.nspname AS schema, pg_catalog.count(*) || ':' || pg_catalog.sum(m.mark) AS mark
      FROM (SELECT space, mark FROM own
            UNION ALL SELECT space, mark FROM part
            UNION ALL ${join(ofObject.filter(({ catalog }) => !commented.has(catalog)).map(partRows), ' UNION ALL ')}
            UNION ALL ${join(aboutObject.map(aboutRows), ' UNION ALL ')}
            UNION ALL ${memberRows}) m
      JOIN space s ON s.oid = m.space
     GROUP BY s.nspname`);
  return new Map(rows.map(({ schema, mark }) => [schema, mark]));
}

const catalogName = (name: string) => identifier('pg_catalog', name);

/** Which row, and who wrote it. */
function markOf(id: unknown): unknown {
  return fragment`pg_catalog.hashint8extended((${id})::oid::bigint << 32 | x.xmin::text::bigint, x.tableoid::bigint)`;
}

function ownRows({ catalog, column }: (typeof inSchema)[number]): unknown {
  return fragment`SELECT x.tableoid, x.oid, x.${identifier(column)}, ${markOf(fragment`x.oid`)}
    FROM ${catalogName(catalog)} x WHERE x.${identifier(column)} IN (SELECT oid FROM space)`;
}

function commentedRows({ catalog, column, owner }: (typeof ofObject)[number]): unknown {
  return fragment`SELECT x.tableoid, x.oid, o.space, ${markOf(fragment`x.oid`)}
    FROM ${catalogName(catalog)} x JOIN own o ON o.id = x.${identifier(column)} AND o.class = ${classOid(owner)}`;
}

function partRows({ catalog, column, owner }: (typeof ofObject)[number]): unknown {
  return fragment`SELECT o.space, ${markOf(fragment`x.${identifier(column)}`)}
    FROM ${catalogName(catalog)} x JOIN own o ON o.id = x.${identifier(column)} AND o.class = ${classOid(owner)}`;
}

function aboutRows({ catalog, classColumn, column }: (typeof aboutObject)[number]): unknown {
  return fragment`SELECT o.space, ${markOf(fragment`x.${identifier(column)}`)}
    FROM ${catalogName(catalog)} x
    JOIN (SELECT class, id, space FROM own UNION ALL SELECT class, id, space FROM part) o
      ON o.id = x.${identifier(column)} AND o.class = x.${identifier(classColumn)}`;
}

/** Objects of extensions are no facts: becoming one takes an object away from them. Found by the extensions, few as they are. */
const memberRows = fragment`SELECT o.space, ${markOf(fragment`x.objid`)}
  FROM pg_catalog.pg_depend x JOIN own o ON o.id = x.objid AND o.class = x.classid
 WHERE x.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND x.deptype = 'e'`;

function classOid(catalog: string): unknown {
  return fragment`${`pg_catalog.${catalog}`}::pg_catalog.regclass`;
}

/** Between which servers, and since when, watermarks can be compared. */
export interface ClusterIdentity {
  readonly system: string;
  readonly timeline: number;
  /** Of the database: another one may have got its name. */
  readonly database: string;
  /** The next transaction: a server that went back in time numbers other transactions alike. */
  readonly nextXid: string;
}

/** Who this database is, in words that change when it is restored; null: the server does not tell this login role. */
export async function readIdentity(session: Session): Promise<ClusterIdentity | null> {
  const [allowed] = await session.query<{ allowed: boolean }>(sql`
    SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
       AND pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE') AS allowed`);
  if (allowed?.allowed !== true) return null;
  const [row] = await session.query<ClusterIdentity>(sql`
    SELECT s.system_identifier::text AS system, c.timeline_id AS timeline,
           (SELECT d.oid::text FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) AS database,
           pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())::text AS "nextXid"
      FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c`);
  return row ?? null;
}

/** Whether watermarks that were read as `before` say anything about what is `now`. */
export function isSameCluster(before: ClusterIdentity | null, now: ClusterIdentity | null): boolean {
  return (
    before !== null &&
    now !== null &&
    before.system === now.system &&
    before.timeline === now.timeline &&
    before.database === now.database &&
    BigInt(before.nextXid) <= BigInt(now.nextXid)
  );
}
