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
}

/** Where a tenant's history stands in the catalogue. */
export interface HistoryPlace {
  readonly schemaExists: boolean;
  readonly tableExists: boolean;
  /** tenantctl's own column; node-pg-migrate tolerates it. */
  readonly hasChecksum: boolean;
}

/** What one row a tenant says of a history: equal fingerprints are equal histories. */
export interface HistoryFingerprint {
  readonly count: number;
  /** Over names and checksums. */
  readonly hash: string;
}

/** Planning a statement takes more than its share of time when it grows further. */
const tenantsPerStatement = 250;

/** Do two tenants that ran the same migrations in another order have equal fingerprints, or not? */
export type FingerprintKind = 'as-set' | 'as-sequence';

export const noHistory: HistoryFingerprint = { count: 0, hash: '0' };

export function sameHistory(a: HistoryFingerprint, b: HistoryFingerprint): boolean {
  return a.count === b.count && a.hash === b.hash;
}

/** One catalogue read for all tenants of a database, answered in groups: most tenants are alike. */
export async function findHistories(session: Session, schemas: readonly string[]): Promise<Map<string, HistoryPlace>> {
  // The column is looked up table by table, by its index: pg_attribute of a large fleet is not to be read whole.
  const rows = await session.query<{ schemas: string[]; exists: boolean; table: boolean; checksum: boolean }>(sql`
    SELECT pg_catalog.json_agg(name) AS schemas, exists, "table", checksum
      FROM (SELECT s.name, n.oid IS NOT NULL AS exists, c.oid IS NOT NULL AS "table",
                   EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'checksum'
                              AND a.attnum > 0 AND NOT a.attisdropped OFFSET 0) AS checksum
              FROM pg_catalog.unnest(${schemas}::text[]) s(name)
              LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.name
              LEFT JOIN pg_catalog.pg_class c
                     ON c.relnamespace = n.oid AND c.relname = ${historyTable} AND c.relkind IN ('r', 'p')) found
     GROUP BY exists, "table", checksum`);
  const places = new Map<string, HistoryPlace>();
  for (const row of rows) {
    const place = { schemaExists: row.exists, tableExists: row.table, hasChecksum: row.checksum };
    for (const schema of row.schemas) places.set(schema, place);
  }
  return places;
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
  const checksum = places.get(schema)?.hasChecksum ? fragment`coalesce(checksum, '')` : fragment`''`;
  const row = fragment`pg_catalog.hashtextextended(${checksum}, pg_catalog.hashtextextended(name, 0))`;
  const hash =
    kind === 'as-set'
      ? fragment`sum(${row})`
      : fragment`pg_catalog.hashtextextended(string_agg(${row}::text, '/' ORDER BY run_on, id), 0)`;
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
    const checksum = places.get(schema)?.hasChecksum ? fragment`checksum` : fragment`NULL::text`;
    return fragment`SELECT ${integer(index)} AS n, name, ${checksum} AS checksum, run_on, id FROM ${identifier(schema, historyTable)}`;
  });
  const rows = await session.query<{ n: number; name: string; checksum: string | null }>(
    sql`SELECT n, name, checksum FROM (${join(selects, ' UNION ALL ')}) h ORDER BY n, run_on, id`,
  );
  for (const { n, name, checksum } of rows) histories.get(withHistory[n]!)?.push({ name, checksum });
  return histories;
}

/** What must be there before the first row is written: the table as node-pg-migrate makes it, and our column. */
export function prepareHistoryStatements(tenant: Tenant, place: HistoryPlace): readonly Sql[] {
  const table = identifier(tenantSchema(tenant), historyTable);
  if (!place.tableExists) {
    return [
      sql`CREATE TABLE ${table} (id SERIAL PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL, checksum text)`,
    ];
  }
  return place.hasChecksum ? [] : [sql`ALTER TABLE ${table} ADD COLUMN checksum text`];
}

export function recordApplied(tenant: Tenant, applied: readonly { name: string; checksum: string }[]): Sql {
  return sql`INSERT INTO ${identifier(tenantSchema(tenant), historyTable)} (name, run_on, checksum)
    SELECT name, now(), checksum
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
