import type { Session } from '../postgres/session.ts';
import { fragment, identifier, integer, join, sql } from '../postgres/sql.ts';

/** Another migration tool's history that was found in a schema. */
export interface OtherHistory {
  readonly tool: string;
  /** Its newest entry; null: it has none, or cannot be read. */
  readonly lastVersion: string | null;
}

interface HistoryTable {
  readonly table: string;
  readonly tool: string;
  /** Without these it is a table of the application that only has the name. */
  readonly columns: readonly string[];
  /** Reads the newest entry: what follows SELECT … FROM the table. */
  readonly version: unknown;
  readonly newest: unknown;
}

const histories: readonly HistoryTable[] = [
  {
    table: 'flyway_schema_history',
    tool: 'Flyway',
    columns: ['version', 'installed_rank', 'success'],
    version: fragment`version`,
    newest: fragment`WHERE success AND version IS NOT NULL ORDER BY installed_rank DESC`,
  },
  {
    table: 'schema_migrations',
    tool: 'Rails or dbmate',
    columns: ['version'],
    version: fragment`version`,
    newest: fragment`ORDER BY version DESC`,
  },
  {
    table: 'django_migrations',
    tool: 'Django',
    columns: ['id', 'app', 'name'],
    version: fragment`app || '.' || name`,
    newest: fragment`ORDER BY id DESC`,
  },
  {
    table: 'databasechangelog',
    tool: 'Liquibase',
    columns: ['id', 'orderexecuted'],
    version: fragment`id`,
    newest: fragment`ORDER BY orderexecuted DESC`,
  },
  {
    table: 'atlas_schema_revisions',
    tool: 'Atlas',
    columns: ['version'],
    version: fragment`version`,
    newest: fragment`ORDER BY version DESC`,
  },
  {
    table: 'goose_db_version',
    tool: 'goose',
    columns: ['id', 'version_id', 'is_applied'],
    version: fragment`version_id`,
    newest: fragment`WHERE is_applied ORDER BY id DESC`,
  },
  {
    table: 'knex_migrations',
    tool: 'Knex',
    columns: ['id', 'name'],
    version: fragment`name`,
    newest: fragment`ORDER BY id DESC`,
  },
  {
    table: '_prisma_migrations',
    tool: 'Prisma',
    columns: ['migration_name', 'finished_at'],
    version: fragment`migration_name`,
    newest: fragment`WHERE finished_at IS NOT NULL ORDER BY finished_at DESC`,
  },
  {
    table: '__drizzle_migrations',
    tool: 'Drizzle',
    columns: ['id', 'hash'],
    version: fragment`hash`,
    newest: fragment`ORDER BY id DESC`,
  },
];

/** Tables of other migration tools: no part of what a migrations folder builds. */
export const toolTables: readonly string[] = [
  ...histories.map(({ table }) => table),
  'ar_internal_metadata',
  'databasechangeloglock',
  'knex_migrations_lock',
];

interface FoundTable {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
}

/** Says for schemas which tools were there before, and how far: one look at the catalogue, one statement a tool. */
export async function findOtherTools(
  session: Session,
  schemas: readonly string[],
): Promise<Map<string, readonly OtherHistory[]>> {
  const tables = await session.query<FoundTable>(sql`
    SELECT n.nspname AS schema, c.relname AS "table", pg_catalog.array_agg(a.attname::text) AS columns
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname = ANY (${schemas}::text[]) AND c.relname = ANY (${toolTables}::text[]) AND c.relkind IN ('r', 'p')
     GROUP BY 1, 2`);
  const found = new Map<string, OtherHistory[]>();
  const withMetadata = new Set(
    tables.flatMap(({ schema, table }) => (table === 'ar_internal_metadata' ? [schema] : [])),
  );
  for (const history of histories) {
    const theirs = tables.filter(
      ({ table, columns }) => table === history.table && history.columns.every((column) => columns.includes(column)),
    );
    const versions = await readVersions(session, history, theirs);
    theirs.forEach(({ schema, columns }, index) => {
      const tool =
        history.table === 'schema_migrations' ? nameByColumns(columns, withMetadata.has(schema)) : history.tool;
      found.set(schema, [...(found.get(schema) ?? []), { tool, lastVersion: versions.get(index) ?? null }]);
    });
  }
  return found;
}

/** Several tools call their table schema_migrations. */
function nameByColumns(columns: readonly string[], hasRailsMetadata: boolean): string {
  if (columns.includes('dirty')) return 'golang-migrate';
  if (columns.includes('inserted_at')) return 'Ecto';
  return hasRailsMetadata ? 'Rails' : 'Rails or dbmate';
}

async function readVersions(
  session: Session,
  { version, newest }: HistoryTable,
  tables: readonly FoundTable[],
): Promise<Map<number, string | null>> {
  if (tables.length === 0) return new Map();
  const selects = tables.map(({ schema, table }, index) => {
    const last = fragment`SELECT (${version})::text FROM ${identifier(schema, table)} ${newest} LIMIT 1`;
    return fragment`SELECT ${integer(index)} AS n, (${last}) AS version`;
  });
  try {
    const rows = await session.query<{ n: number; version: string | null }>(sql`${join(selects, ' UNION ALL ')}`);
    return new Map(rows.map(({ n, version: last }) => [n, last]));
  } catch {
    // Without the right to read it, that the tool was here is known all the same.
    return new Map();
  }
}
