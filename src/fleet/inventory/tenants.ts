import { type Tenant, tenantSchema } from '../tenant.ts';
import { identifierProblem, idProblem, isReservedDatabase, isReservedSchema, quoted } from './names.ts';
import { fillTemplate } from './template.ts';
import type { Inventory, SessionTemplates, TenantEntry } from './types.ts';

/** A tenant before its templates are filled in. */
export type UnfilledTenant = Omit<Tenant, 'searchPath' | 'role'> & SessionTemplates;

/** Fills in search path and role; {schema} is `public` for a tenant with a database of its own. */
export function toTenant(file: Pick<Inventory, 'searchPath' | 'role'>, entry: UnfilledTenant): Tenant {
  const { id, server, database, schema, labels } = entry;
  const values = { id, schema: schema ?? 'public' };
  const searchPath = (entry.searchPath ?? file.searchPath).map((template) => fillTemplate(template, values));
  const role = entry.role ?? (schema === null ? null : file.role);
  return {
    id,
    server,
    database,
    schema,
    labels,
    searchPath: [...new Set(searchPath)],
    role: role === null ? null : fillTemplate(role, values),
  };
}

/** The tenants that the file itself names, in its order. */
export function explicitTenants(inventory: Pick<Inventory, 'searchPath' | 'role' | 'tenants'>): readonly Tenant[] {
  return inventory.tenants.map((entry: TenantEntry) => toTenant(inventory, entry));
}

export interface TenantProblem {
  readonly field: 'id' | 'database' | 'schema' | 'searchPath' | 'role';
  readonly message: string;
}

/** Everything that makes a tenant's names unusable, from the file or from the world. */
export function tenantProblems(tenant: Tenant): readonly TenantProblem[] {
  const problems: TenantProblem[] = [];
  const add = (field: TenantProblem['field'], message: string | null): void => {
    if (message !== null) problems.push({ field, message });
  };
  add('id', idProblem(tenant.id));
  add('database', databaseProblem(tenant.database));
  if (tenant.schema !== null) add('schema', schemaProblem(tenant.schema));
  for (const schema of tenant.searchPath) add('searchPath', identifierProblem(schema));
  if (tenant.schema !== null && tenant.searchPath[0] !== tenantSchema(tenant)) add('searchPath', mustBeginWithSchema);
  if (tenant.role !== null) add('role', identifierProblem(tenant.role));
  return problems;
}

/** New objects land in the first schema of the path; with another one first they would land outside the tenant. */
export const mustBeginWithSchema = 'must begin with {schema}, or new objects would land outside the tenant';

function databaseProblem(database: string): string | null {
  if (isReservedDatabase(database)) return `${quoted(database)} is tenantctl's own and never a tenant`;
  return identifierProblem(database);
}

function schemaProblem(schema: string): string | null {
  if (isReservedSchema(schema)) return `${quoted(schema)} is reserved and never a tenant`;
  if (schema === '$user') return '"$user" means the role in a search_path, even in quotes: rename the schema';
  return identifierProblem(schema);
}

/** Equal for two tenants that are one place: no schema means the `public` one of a database of its own. No name holds a NUL. */
export function tenantPlaceKey(place: Pick<Tenant, 'server' | 'database' | 'schema'>): string {
  return `${place.server}\0${place.database}\0${place.schema ?? 'public'}`;
}

/** For messages: `server main, database saas, schema tenant_a`. */
export function describePlace(place: Pick<Tenant, 'server' | 'database' | 'schema'>): string {
  const database = `server ${quoted(place.server)}, database ${quoted(place.database)}`;
  return `${database}, schema ${quoted(place.schema ?? 'public')}`;
}
