import { findOutside, findPublications, listPublications } from '../../postgres/find-outside.ts';
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
  /** Publications that the living schema or tables of it are in; of one that is gone: those that it may have been in. */
  readonly publications: readonly string[];
  /** For a swap: objects outside of the living schema that refer to it. They go on to refer to the old one. */
  readonly outside: readonly string[];
  /** Event triggers of the database: they run for each statement of the restore. */
  readonly eventTriggers: readonly string[];
}

export interface TargetNames {
  readonly kind: 'schema' | 'database';
  /** Where the tenant lives, or lived. */
  readonly living: string;
  readonly target: string;
  /** Of the server. */
  readonly major: number;
  /** Whether the living one is to be put aside: what refers to it is looked for only then. */
  readonly swaps: boolean;
}

/** For a schema asked in its database, for a database in any of its server. */
export async function inspectTarget(
  session: Session,
  { needs }: Pick<BackupManifest, 'needs'>,
  { kind, living, target, major, swaps }: TargetNames,
): Promise<TargetFacts> {
  const extensions = needs.extensions.map(({ name }) => name);
  const [facts] = await session.query<Omit<TargetFacts, 'publications' | 'outside' | 'eventTriggers'>>(
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
  );
  if (facts === undefined) throw new Error('the server did not answer');
  if (kind === 'database') return { ...facts, publications: [], outside: [], eventTriggers: [] };
  return {
    ...facts,
    publications: facts.livingExists ? await findPublications(session, living, major) : await listPublications(session),
    outside: swaps && facts.livingExists ? await findOutside(session, living) : [],
    eventTriggers: await readEvents(session),
  };
}

function missingRoles(roles: readonly string[]): unknown {
  return fragment`ARRAY(SELECT n FROM pg_catalog.unnest(${roles}::text[]) n
    WHERE n NOT IN (SELECT rolname FROM pg_catalog.pg_roles)) AS "missingRoles"`;
}

async function readEvents(session: Session): Promise<readonly string[]> {
  const rows = await session.query<{ what: string }>(sql`
    SELECT evtname::text AS what FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D' ORDER BY evtname`);
  return rows.map(({ what }) => what);
}
