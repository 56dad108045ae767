import { TenantError } from '../errors.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import { errorCode, isConnectionError } from '../postgres/sqlstates.ts';
import type { OwnNames } from './fact.ts';
import { type MappedSchema, mapSchemas } from './hash-schemas.ts';
import { beginReading, giveWay, newestMigration, readStates, type SchemaState } from './standing.sql.ts';

/** Schemas whose statements are on their way at once; an interruption waits for these. */
const schemasAtOnce = 8;

/** What is read of each schema: its shape, or all of its facts. */
export interface SchemaReader<V> {
  /** What the session needs for these, outside of the transactions that are undone when a schema fails. */
  readonly prepare: (session: Session, schemas: readonly MappedSchema[]) => Promise<void>;
  /** Sends all of its statements before it waits for an answer: others follow on the same session. */
  readonly read: (session: Session, mapped: MappedSchema, own: OwnNames) => Promise<V>;
  readonly withVersion: (value: V, version: string | null) => V;
  readonly countFacts: (value: V) => number;
}

export interface ScanOptions<V> {
  readonly reader: SchemaReader<V>;
  readonly historyTable: string;
  /** Aborted: begin no further schema. */
  readonly stop: AbortSignal;
}

/** What came of one tenant. `changed`: it was altered while it was read, `error` is what that led to. */
export type Scanned<V> = { readonly kind: 'read'; readonly value: V } | Unread;

export interface Unread {
  readonly kind: 'failed' | 'changed';
  readonly error: unknown;
}

const changed: Unread = { kind: 'changed', error: null };

/**
 * Reads tenants one after the other, each in a transaction of its own, and says of each what came of it. Returns those
 * that were not begun when it was stopped. Throws what is not about one tenant.
 */
export async function scanBatch<V>(
  session: Session,
  tenants: readonly Tenant[],
  options: ScanOptions<V>,
  onScanned: (tenant: Tenant, scanned: Scanned<V>) => void,
): Promise<readonly Tenant[]> {
  const before = await lookAt(session, tenants, options);
  const fit = tenants.filter((tenant) => {
    const error = reasonAgainst(tenant, before.get(tenantSchema(tenant)));
    if (error !== null) onScanned(tenant, { kind: 'failed', error });
    return error === null;
  });
  const found = new Map<Tenant, Scanned<V>>();
  let next = 0;
  for (; next < fit.length && !options.stop.aborted; next += schemasAtOnce) {
    const some = fit.slice(next, next + schemasAtOnce);
    const read = await Promise.all(
      some.map((tenant) => readSchema(session, tenant, before.get(tenantSchema(tenant))!, options)),
    );
    some.forEach((tenant, index) => void found.set(tenant, read[index]!));
  }
  const after = await readStates(session, [...found.keys()].map(tenantSchema), options.historyTable);
  for (const [tenant, scanned] of found) {
    const schema = tenantSchema(tenant);
    const isSame = sameState(before.get(schema)?.state, after.get(schema));
    onScanned(tenant, isSame || scanned.kind !== 'read' ? scanned : changed);
  }
  return fit.slice(next);
}

/** A schema before it is read. */
interface Seen {
  readonly state: SchemaState;
  /** Undefined: it went in between. */
  readonly mapped: MappedSchema | undefined;
}

async function lookAt<V>(
  session: Session,
  tenants: readonly Tenant[],
  { historyTable, reader }: ScanOptions<V>,
): Promise<ReadonlyMap<string, Seen>> {
  const schemas = tenants.map(tenantSchema);
  const [, states, mapped] = await Promise.all([
    giveWay(session),
    readStates(session, schemas, historyTable),
    mapSchemas(session, schemas),
  ]);
  await reader.prepare(session, [...mapped.values()]);
  return new Map([...states].map(([schema, state]) => [schema, { state, mapped: mapped.get(schema) }]));
}

/**
 * Sends everything about one schema without waiting for answers. What it locks, views for one, it lets go of at once; a
 * concurrent index build waits for no more than this; and when it fails, the schemas behind it go on.
 */
async function readSchema<V>(
  session: Session,
  tenant: Tenant,
  { state, mapped }: Seen,
  { reader, historyTable }: ScanOptions<V>,
): Promise<Scanned<V>> {
  if (mapped === undefined) return changed;
  const readVersion = async () => {
    if (!state.hasHistory) return null;
    const [newest] = await session.query<{ name: string }>(newestMigration(state.schema, historyTable));
    return newest?.name ?? null;
  };
  const answers = await Promise.allSettled([
    session.raw(beginReading),
    readVersion(),
    reader.read(session, mapped, ownNames(tenant)),
    readVersion(),
    session.raw('COMMIT'),
  ]);
  // The first one is the cause; those behind it say no more than that the transaction had failed.
  for (const answer of answers) if (answer.status === 'rejected') return ofOneTenant(session, answer.reason);
  const [, version, value, versionAfter] = answers.map((answer) => {
    return answer.status === 'fulfilled' ? answer.value : null;
  }) as [unknown, string | null, V, string | null, unknown];
  // A migration that was committed in between: facts and version need not belong together.
  if (version !== versionAfter) return changed;
  return { kind: 'read', value: reader.withVersion(value, version) };
}

function ofOneTenant(session: Session, error: unknown): Unread {
  if (session.isBroken || isConnectionError(error)) throw error;
  return { kind: goneObject.has(errorCode(error) ?? '') ? 'changed' : 'failed', error };
}

/** What the server says when an object goes away between two looks at it: no such table, schema, object; a lost cache entry. */
const goneObject = new Set(['42P01', '3F000', '42704', '42703', '42883', 'XX000']);

function sameState(one: SchemaState | undefined, other: SchemaState | undefined): boolean {
  return one?.oid === other?.oid && one?.members === other?.members && one?.hasHistory === other?.hasHistory;
}

/** What of a tenant's facts is its own by design. */
export function ownNames(tenant: Tenant): OwnNames {
  return { schema: tenantSchema(tenant), id: tenant.id, role: tenant.role };
}

/** Why a tenant cannot be read; null: it can. */
function reasonAgainst(tenant: Tenant, seen: Seen | undefined): TenantError | null {
  const schema = JSON.stringify(tenantSchema(tenant));
  if (seen === undefined) {
    return new TenantError({
      message: `schema ${schema} does not exist in database ${tenant.database}`,
      code: 'schema-missing',
      hint: 'create it, or take the tenant out of the inventory',
    });
  }
  if (seen.state.isUsable) return null;
  return new TenantError({
    message: `the login role may not look into schema ${schema}`,
    sqlState: '42501',
    hint: `grant it USAGE on the schema: without that its definitions cannot be compared`,
  });
}
