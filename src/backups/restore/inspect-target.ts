import type { Session } from '../../postgres/session.ts';
import { fragment, sql } from '../../postgres/sql.ts';
import type { BackupManifest } from '../repository/manifest.ts';

/** What a server says before anything is restored into it. */
export interface TargetFacts {
  /** Roles that the archive names and the server has not. */
  readonly missingRoles: readonly string[];
  /** Extensions that the archive needs and that are not there (schema), or cannot be made (database). */
  readonly missingExtensions: readonly string[];
  readonly livingExists: boolean;
  readonly targetExists: boolean;
  /** `orders (3 tables)`: publications that name tables of the living schema, or the schema itself. */
  readonly publications: readonly string[];
  /** Objects outside of the living schema that refer to it: they would go on to refer to the old one. */
  readonly outside: readonly string[];
  /** Event triggers of the database: they run for each statement of the restore. */
  readonly eventTriggers: readonly string[];
}

export interface TargetNames {
  readonly kind: 'schema' | 'database';
  /** Where the tenant lives, or lived. */
  readonly living: string;
  readonly target: string;
}

/** Reads it in one round trip; for a schema in its database, for a database in any of its server. */
export async function inspectTarget(
  session: Session,
  { needs }: Pick<BackupManifest, 'needs'>,
  { kind, living, target }: TargetNames,
): Promise<TargetFacts> {
  const extensions = needs.extensions.map(({ name }) => name);
  const [[facts], ...more] = await Promise.all([
    session.query<Omit<TargetFacts, 'publications' | 'outside' | 'eventTriggers'>>(
      kind === 'schema'
        ? sql`SELECT ${missingRoles(needs.roles)},
            ARRAY(SELECT n FROM pg_catalog.unnest(${extensions}::text[]) n
                   WHERE n NOT IN (SELECT extname FROM pg_catalog.pg_extension)) AS "missingExtensions",
            EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = ${living}) AS "livingExists",
            EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = ${target}) AS "targetExists"`
        : sql`SELECT ${missingRoles(needs.roles)},
            ARRAY(SELECT n FROM pg_catalog.unnest(${extensions}::text[]) n
                   WHERE n NOT IN (SELECT name FROM pg_catalog.pg_available_extensions)) AS "missingExtensions",
            EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = ${living}) AS "livingExists",
            EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = ${target}) AS "targetExists"`,
    ),
    ...(kind === 'schema'
      ? [readPublications(session, living), readOutside(session, living), readEvents(session)]
      : []),
  ]);
  const [publications = [], outside = [], eventTriggers = []] = more.map((rows) => rows.map(({ what }) => what));
  if (facts === undefined) throw new Error('the server did not answer');
  return { ...facts, publications, outside, eventTriggers };
}

function missingRoles(roles: readonly string[]): unknown {
  return fragment`ARRAY(SELECT n FROM pg_catalog.unnest(${roles}::text[]) n
    WHERE n NOT IN (SELECT rolname FROM pg_catalog.pg_roles)) AS "missingRoles"`;
}

interface Named {
  readonly what: string;
}

function readPublications(session: Session, schema: string): Promise<Named[]> {
  return session.query<Named>(sql`
    SELECT pg_catalog.format('%s (%s %s)', p.pubname, pg_catalog.count(*),
                             CASE pg_catalog.count(*) WHEN 1 THEN 'table' ELSE 'tables' END) AS what
      FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
      JOIN pg_catalog.pg_class c ON c.oid = r.prrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ${schema} GROUP BY p.pubname ORDER BY p.pubname`);
}

/** Foreign keys and views; what else depends on a table is inside its schema, or is no object that a swap breaks. */
function readOutside(session: Session, schema: string): Promise<Named[]> {
  return session.query<Named>(sql`
    SELECT pg_catalog.format('foreign key %s of %s.%s', k.conname, n.nspname, c.relname) AS what
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_class f ON f.oid = k.confrelid JOIN pg_catalog.pg_namespace t ON t.oid = f.relnamespace
     WHERE k.contype = 'f' AND k.conparentid = 0 AND t.nspname = ${schema} AND n.nspname <> ${schema}
    UNION
    SELECT pg_catalog.format('view %s.%s', n.nspname, v.relname)
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND w.oid = d.objid
      JOIN pg_catalog.pg_class v ON v.oid = w.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
      JOIN pg_catalog.pg_class f ON d.refclassid = 'pg_catalog.pg_class'::regclass AND f.oid = d.refobjid
      JOIN pg_catalog.pg_namespace t ON t.oid = f.relnamespace
     WHERE t.nspname = ${schema} AND n.nspname <> ${schema}
     ORDER BY what`);
}

function readEvents(session: Session): Promise<Named[]> {
  return session.query<Named>(sql`
    SELECT evtname::text AS what FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D' ORDER BY evtname`);
}
