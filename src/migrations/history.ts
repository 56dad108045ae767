import type { Tenant } from '../fleet/tenant.ts';
import { tenantSchema } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import { fragment, identifier, integer, join, type Sql, sql } from '../postgres/sql.ts';

/** node-pg-migrate's own table, so that people can come from it and go back to it. */
export const historyTable = 'pgmigrations';

/** One applied migration, in the order in which they ran. A checksum of null: applied by another tool. */
export interface AppliedMigration {
  readonly name: string;
  readonly checksum: string | null;
  /**
   * The run that applied it; null: another tool, or a tenantctl that did not write it down. Tenants that share a
   * history may differ here: who decides by it reads the histories by that run (`FingerprintKind`).
   */
  readonly run: string | null;
}

/** Where a tenant's history stands in the catalogue. */
export interface HistoryPlace {
  readonly schemaExists: boolean;
  readonly tableExists: boolean;
  /** tenantctl's own columns; node-pg-migrate tolerates them. */
  readonly hasChecksum: boolean;
  readonly hasRun: boolean;
}

/** What one row a tenant says of a history: equal fingerprints are equal histories. */
export interface HistoryFingerprint {
  readonly count: number;
  /** Over names and checksums. */
  readonly hash: string;
}

/** Planning a statement takes more than its share of time when it grows further. */
const tenantsPerStatement = 250;

/**
 * Do two tenants that ran the same migrations in another order have equal fingerprints, or not? By a run, the order
 * counts, and which of the rows are that run's.
 */
export type FingerprintKind = 'as-set' | 'as-sequence' | { readonly run: string };

export const noHistory: HistoryFingerprint = { count: 0, hash: '0' };

export function sameHistory(a: HistoryFingerprint, b: HistoryFingerprint): boolean {
  return a.count === b.count && a.hash === b.hash;
}

/**
 * What a run writes into the history when it only says that migrations were applied, and runs none of them: what it
 * did not do must not be taken back by a down section.
 */
export function fakedRun(run: string): string {
  return `${run}#fake`;
}

/** One catalogue read for all tenants of a database, answered in groups: most tenants are alike. */
export async function findHistories(session: Session, schemas: readonly string[]): Promise<Map<string, HistoryPlace>> {
  const rows = await session.query<
    { schemas: string[] } & Record<'exists' | 'table' | 'checksum' | 'run', boolean>
  >(sql`
    SELECT pg_catalog.json_agg(name) AS schemas, exists, "table", checksum, run
      FROM (SELECT s.name, n.oid IS NOT NULL AS exists, c.oid IS NOT NULL AS "table",
                   ${hasColumn('checksum')} AS checksum, ${hasColumn('run')} AS run
              FROM pg_catalog.unnest(${schemas}::text[]) s(name)
              LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.name
              LEFT JOIN pg_catalog.pg_class c
                     ON c.relnamespace = n.oid AND c.relname = ${historyTable} AND c.relkind IN ('r', 'p')) found
     GROUP BY exists, "table", checksum, run`);
  const places = new Map<string, HistoryPlace>();
  for (const row of rows) {
    const { exists, table, checksum, run } = row;
    const place = { schemaExists: exists, tableExists: table, hasChecksum: checksum, hasRun: run };
    for (const schema of row.schemas) places.set(schema, place);
  }
  return places;
}

/** Looked up table by table, by its index: pg_attribute of a large fleet is not to be read whole. */
function hasColumn(name: string): unknown {
  return fragment`EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = ${name}
                            AND a.attnum > 0 AND NOT a.attisdropped OFFSET 0)`;
}

/** Fingerprints of many histories, a few statements for all; those without a table have none. */
export async function readFingerprints(
  session: Session,
  tenants: readonly Tenant[],
  places: ReadonlyMap<string, HistoryPlace>,
  kind: FingerprintKind,
): Promise<Map<Tenant, HistoryFingerprint>> {
  const withHistory = tenants.filter((tenant) => places.get(tenantSchema(tenant))?.tableExists);
  if (withHistory.length === 0) return new Map();
  const selects = withHistory.map((tenant, index) => fingerprintSelect(tenant, index, places, kind));
  const answers: Promise<{ members: number[]; count: string; hash: string }[]>[] = [];
  for (let start = 0; start < selects.length; start += tenantsPerStatement) {
    const some = join(selects.slice(start, start + tenantsPerStatement), ' UNION ALL ');
    answers.push(
      session.query(sql`SELECT pg_catalog.json_agg(n) AS members, count, hash FROM (${some}) f GROUP BY 2, 3`),
    );
  }
  const fingerprints = new Map<Tenant, HistoryFingerprint>();
  for (const { members, count, hash } of (await Promise.all(answers)).flat()) {
    const fingerprint = { count: Number(count), hash };
    for (const n of members) fingerprints.set(withHistory[n]!, fingerprint);
  }
  return fingerprints;
}

/** The same for one tenant, inside its transaction. */
export function fingerprintStatement(tenant: Tenant, place: HistoryPlace, kind: FingerprintKind): Sql {
  return sql`${fingerprintSelect(tenant, 0, new Map([[tenantSchema(tenant), place]]), kind)}`;
}

/**
 * A sum of 64-bit hashes is much cheaper than hashing the ordered text, and each row's hash of its checksum is seeded by
 * the hash of its name, so that nothing is put together: 300,000 rows of 1,000 tenants take 0.17 s on two sessions. The
 * order does not matter to what is pending; who takes migrations back must know it.
 */
function fingerprintSelect(
  tenant: Tenant,
  index: number,
  places: ReadonlyMap<string, HistoryPlace>,
  kind: FingerprintKind,
): unknown {
  const schema = tenantSchema(tenant);
  const place = places.get(schema);
  const checksum = place?.hasChecksum ? fragment`coalesce(checksum, '')` : fragment`''`;
  const row = fragment`pg_catalog.hashtextextended(${checksum}, pg_catalog.hashtextextended(name, 0))`;
  const sequence = (part: unknown) =>
    fragment`pg_catalog.hashtextextended(string_agg(${part}, '/' ORDER BY run_on, id), 0)`;
  const hash =
    kind === 'as-set'
      ? fragment`sum(${row})`
      : kind === 'as-sequence' || !place?.hasRun
        ? sequence(fragment`${row}::text`)
        : sequence(
            fragment`${row}::text || CASE run WHEN ${kind.run}::text THEN '+' WHEN ${fakedRun(kind.run)}::text THEN '-' ELSE '' END`,
          );
  return fragment`SELECT ${integer(index)} AS n, count(*) AS count, coalesce(${hash}, 0)::text AS hash
    FROM ${identifier(schema, historyTable)}`;
}

/** Whole histories in the order in which they ran, many tenants in one statement. */
export async function readHistories(
  session: Session,
  tenants: readonly Tenant[],
  places: ReadonlyMap<string, HistoryPlace>,
): Promise<Map<Tenant, AppliedMigration[]>> {
  const histories = new Map<Tenant, AppliedMigration[]>(tenants.map((tenant) => [tenant, []]));
  const withHistory = tenants.filter((tenant) => places.get(tenantSchema(tenant))?.tableExists);
  if (withHistory.length === 0) return histories;
  const selects = withHistory.map((tenant, index) => {
    const schema = tenantSchema(tenant);
    const { hasChecksum, hasRun } = places.get(schema)!;
    const checksum = hasChecksum ? fragment`checksum` : fragment`NULL::text`;
    const run = hasRun ? fragment`run` : fragment`NULL::text`;
    return fragment`SELECT ${integer(index)} AS n, name, ${checksum} AS checksum, ${run} AS run, run_on, id
      FROM ${identifier(schema, historyTable)}`;
  });
  const rows = await session.query<AppliedMigration & { n: number }>(
    sql`SELECT n, name, checksum, run FROM (${join(selects, ' UNION ALL ')}) h ORDER BY n, run_on, id`,
  );
  for (const { n, ...applied } of rows) histories.get(withHistory[n]!)?.push(applied);
  return histories;
}

/** What must be there before the first row is written: the table as node-pg-migrate makes it, and our columns. */
export function prepareHistoryStatements(tenant: Tenant, place: HistoryPlace): readonly Sql[] {
  const table = identifier(tenantSchema(tenant), historyTable);
  if (!place.tableExists) {
    return [
      sql`CREATE TABLE ${table} (id SERIAL PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL,
        checksum text, run text)`,
    ];
  }
  const missing = [
    ...(place.hasChecksum ? [] : [fragment`ADD COLUMN checksum text`]),
    ...(place.hasRun ? [] : [fragment`ADD COLUMN run text`]),
  ];
  return missing.length === 0 ? [] : [sql`ALTER TABLE ${table} ${join(missing, ', ')}`];
}

/** Writes rows into a history that has our columns. `run`: who applied them, `fakedRun` of it when nothing ran. */
export function recordApplied(
  tenant: Tenant,
  applied: readonly { name: string; checksum: string }[],
  run: string | null = null,
): Sql {
  return sql`INSERT INTO ${identifier(tenantSchema(tenant), historyTable)} (name, run_on, checksum, run)
    SELECT name, now(), checksum, ${run}::text
      FROM unnest(${applied.map(({ name }) => name)}::text[], ${applied.map(({ checksum }) => checksum)}::text[])
           WITH ORDINALITY AS a(name, checksum, position)
     ORDER BY position`;
}

/** Takes all rows of these names out of the history; a name has more than one only when somebody else wrote it twice. */
export function removeApplied(tenant: Tenant, names: readonly string[]): Sql {
  return sql`DELETE FROM ${identifier(tenantSchema(tenant), historyTable)} WHERE name = ANY (${names}::text[])`;
}

/** Records other checksums for migrations that are applied already. */
export function recordChecksums(tenant: Tenant, migrations: readonly { name: string; checksum: string }[]): Sql {
  return sql`UPDATE ${identifier(tenantSchema(tenant), historyTable)} h SET checksum = f.checksum
    FROM unnest(${migrations.map(({ name }) => name)}::text[], ${migrations.map(({ checksum }) => checksum)}::text[])
         AS f(name, checksum)
   WHERE h.name = f.name AND h.checksum IS NOT NULL`;
}
