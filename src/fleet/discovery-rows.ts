import type { Failure } from '../errors.ts';
import { closest } from './did-you-mean.ts';
import { matchGlob } from './glob.ts';
import { isMaintenanceDatabase, isReservedDatabase, isReservedSchema, printable, quoted } from './inventory/names.ts';
import { asMapping, type Mapping } from './inventory/raw.ts';
import { fillTemplate } from './inventory/template.ts';
import { tenantProblems, toTenant } from './inventory/tenants.ts';
import type { DiscoverEntry, Inventory } from './inventory/types.ts';
import { labelKeyProblem, labelValueProblem } from './labels.ts';
import type { Labels, Tenant } from './tenant.ts';

/** A tenant that a source names, with what already speaks against it. */
export interface Candidate {
  readonly tenant: Tenant;
  readonly entry: DiscoverEntry;
  readonly failure: Failure | null;
}

/** What one source's answer means. Names that do not match or are never tenants are left out; bad rows are failures. */
export function discoveredRows(
  inventory: Inventory,
  entry: DiscoverEntry,
  rows: readonly unknown[],
): readonly Candidate[] {
  if (entry.kind === 'query') return rows.map((row, index) => fromRow(inventory, entry, row, index + 1));
  return rows.flatMap((name) => (typeof name === 'string' ? fromName(inventory, entry, name) : []));
}

type PatternEntry = Extract<DiscoverEntry, { readonly kind: 'schemas' | 'databases' }>;
type QueryEntry = Extract<DiscoverEntry, { readonly kind: 'query' }>;
type Found = Pick<Tenant, 'server' | 'database' | 'schema' | 'labels'>;

function fromName(inventory: Inventory, entry: PatternEntry, name: string): readonly Candidate[] {
  const stars = matchGlob(entry.pattern, name);
  if (stars === null) return [];
  const { server, labels } = entry;
  const match = stars.length === 0 ? name : stars.join('-');
  if (entry.kind === 'schemas') {
    if (isReservedSchema(name)) return [];
    return [toCandidate(inventory, entry, match, { server, database: entry.database, schema: name, labels })];
  }
  if (isReservedDatabase(name) || isMaintenanceDatabase(name)) return [];
  return [toCandidate(inventory, entry, match, { server, database: name, schema: null, labels })];
}

function fromRow(inventory: Inventory, entry: QueryEntry, row: unknown, number: number): Candidate {
  const columns = asMapping(row) ?? {};
  const problem = rowProblem(columns, inventory);
  const text = (column: string): string | null => {
    const value = Object.hasOwn(columns, column) ? columns[column] : null;
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const candidate = toCandidate(inventory, entry, text('id') ?? `row ${number} of ${entry.at}`, {
    server: text('server') ?? entry.server,
    database: text('database') ?? entry.database,
    schema: text('schema'),
    labels: { ...entry.labels, ...(problem === null ? (columns.labels as Labels | null | undefined) : null) },
  });
  if (problem === null) return candidate;
  return { ...candidate, failure: { ...problem, message: `row ${number} of the query: ${problem.message}` } };
}

const badRow = (message: string, hint: string): Failure => ({ message, code: 'bad-row', hint });

/** Why a row of a registry cannot be a tenant, or null. */
function rowProblem(row: Mapping, inventory: Inventory): Failure | null {
  for (const column of ['id', 'server', 'database', 'schema']) {
    if (!Object.hasOwn(row, column)) {
      return badRow(`has no column ${column}`, 'select id, server, database, schema (null: a database of its own)');
    }
    const value = row[column];
    if (column === 'schema' && value === null) continue;
    if (typeof value !== 'string') {
      const got = value === null ? 'null' : typeof value;
      return badRow(`column ${column} is ${got}, not text`, `cast it in the query: ${column}::text`);
    }
    if (value === '') return badRow(`column ${column} is empty`, 'correct the row, or leave it out of the query');
  }
  const server = String(row.server);
  if (!inventory.servers.has(server)) {
    const near = closest(server, inventory.servers.keys());
    const meant = near === null ? '' : ` (did you mean ${quoted(near)}?)`;
    return {
      message: `no server of ${inventory.file} is called ${quoted(server)}${meant}`,
      code: 'unknown-server',
      hint: 'add the server to the inventory, or correct the row',
    };
  }
  return labelsProblem(row.labels);
}

function labelsProblem(labels: unknown): Failure | null {
  if (labels === undefined || labels === null) return null;
  const hint = 'give labels as jsonb: an object of texts';
  const mapping = asMapping(labels);
  if (mapping === null) return badRow('column labels is not an object', hint);
  for (const [key, value] of Object.entries(mapping)) {
    if (typeof value !== 'string') return badRow(`label ${quoted(key)} is not text`, hint);
    const problem = labelKeyProblem(key) ?? labelValueProblem(value);
    if (problem !== null) return badRow(`label ${quoted(key)}: ${problem}`, 'correct the row');
  }
  return null;
}

function toCandidate(inventory: Inventory, entry: DiscoverEntry, match: string, found: Found): Candidate {
  const { server, database, schema, labels } = found;
  const id =
    entry.id === null ? match : fillTemplate(entry.id, { match, server, database, schema: schema ?? 'public' });
  const { searchPath, role } = entry;
  const tenant = toTenant(inventory, { id, server, database, schema, labels, searchPath, role });
  const [problem] = tenantProblems(tenant);
  if (problem === undefined) return { tenant, entry, failure: null };
  // The report needs something to call it by: what cannot be printed is spelt out, what is empty is named by its place.
  const shown = id === '' ? (schema ?? database) : printable(id);
  return {
    tenant: { ...tenant, id: shown },
    entry,
    failure: {
      message: `${problem.field} ${problem.message}`,
      code: 'unusable-name',
      hint: problem.field === 'id' ? `give it another id with discover[].id (${entry.at}), or rename it` : 'rename it',
    },
  };
}
