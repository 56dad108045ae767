import { TenantError } from '../../errors.ts';
import type { Task } from '../../fleet/place.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import { findSchemaLockHolders } from '../../postgres/blockers.ts';
import { toFailure } from '../../postgres/failure.ts';
import { isStoreError, type StoredArchive, takeBack } from './archive-writer.ts';
import { type Dumped, type DumpedPlace, type DumpScope, subjectOf } from './dumped-place.ts';
import { findLockedSchemas } from './fence.ts';
import { outlast } from './outage.ts';
import { dumpAlone, dumpSchemas, hasFailedAtOnce } from './run-dump.ts';
import { findSchemas } from './snapshot.sql.ts';
import type { Snapshot } from './snapshot-holder.ts';
import { fail, writeManifests } from './write-manifests.ts';

/** A tenant whose tables change each time it is dumped is given up after so many snapshots of its own. */
const mostAgain = 3;
/** How often a table that somebody has locked is asked for, before its tenant is left to fail by itself. */
const mostLocked = 5;
const lockedPauseMs = 2000;
/** How often a pg_dump that may have been refused a connection is begun again. */
const mostAtOnce = 4;
const firstPauseMs = 150;
/** How often a batch that a standby cancelled is tried again as a whole. */
const mostConflicts = 3;

/**
 * Dumps tenants of one batch together, and settles each. What failed for a reason that passes is tried again here, as
 * a batch; a tenant that changed meanwhile gets a turn of its own under a later snapshot. Anything else is thrown: the
 * executor halves the batch.
 */
export async function dumpTenants(
  place: DumpedPlace,
  scope: DumpScope,
  tenants: readonly Tenant[],
  task: Task<Dumped>,
): Promise<void> {
  const { holder, settings } = place;
  let rest = tenants;
  const { outage } = scope;
  const onWait = () => {
    for (const tenant of rest) task.step(tenant, 'waiting for the server');
  };
  while (rest.length > 0) {
    rest = await outlast({ outage, forMs: settings.retryForMs, stop: task.stop, onWait }, () => {
      return holder.use(scope.tries.least(rest), (snapshot) => attempt(place, scope, snapshot, rest, task));
    });
  }
}

/** One attempt at some tenants under one snapshot; gives those that are to be tried again at once. */
async function attempt(
  place: DumpedPlace,
  scope: DumpScope,
  snapshot: Snapshot,
  tenants: readonly Tenant[],
  task: Task<Dumped>,
): Promise<readonly Tenant[]> {
  const there = await sortOut(snapshot, scope, tenants, task);
  if (there.length === 0) return [];
  for (const tenant of there) task.step(tenant, 'dumping');
  const beganAt = performance.now();
  let dumped: DumpedTenants;
  try {
    dumped = await runDump(scope, snapshot, there, task.signal);
  } catch (error) {
    return afterFailure(place, scope, snapshot, there, task, error);
  }
  const durationMs = Math.round(performance.now() - beganAt);
  const unsettled = new Map(dumped.stored);
  try {
    const changed = await place.holder.changedSince(snapshot, schemasOf(there));
    const good = there.filter((tenant) => unsettled.has(tenant) && changeOf(tenant, changed) === null);
    await writeManifests(place, scope, snapshot, { tenants: good, unsettled, batch: there.length, durationMs }, task);
    // Now that the whole batch will not be tried again.
    for (const [tenant, error] of dumped.refused) fail(scope, tenant, task, error);
    for (const tenant of unsettled.keys()) {
      const message = changeOf(tenant, changed) ?? '';
      dumpAgain(scope, snapshot, tenant, task, new TenantError({ message, code: 'changed', hint: changedHint }));
    }
    return [];
  } finally {
    // Whoever is dumped again gets another archive; nobody needs these.
    await takeBack(scope.dump.repository, [...unsettled.keys()].map(subjectOf), snapshot.time, task.signal);
  }
}

/** What became of the archives of one pg_dump. */
interface DumpedTenants {
  readonly stored: ReadonlyMap<Tenant, StoredArchive>;
  /** Those that the store did not take, and why. */
  readonly refused: ReadonlyMap<Tenant, TenantError>;
}

/** Those that are there and not locked out; the others are settled, or wait for another turn. */
async function sortOut(
  { session, number }: Snapshot,
  scope: DumpScope,
  tenants: readonly Tenant[],
  task: Task<Dumped>,
): Promise<readonly Tenant[]> {
  const schemas = schemasOf(tenants);
  if (schemas === null) return tenants;
  const found = await findSchemas(session, schemas);
  const locked = tenants.length > 1 ? await findLockedSchemas(session, schemas) : new Set<string>();
  return tenants.filter((tenant) => {
    const schema = tenantSchema(tenant);
    if (!found.has(schema)) {
      const message = `schema ${JSON.stringify(schema)} does not exist`;
      fail(scope, tenant, task, new TenantError({ message, code: 'schema-missing' }));
      return false;
    }
    if (!locked.has(schema) || scope.tries.locked(tenant) > mostLocked) return true;
    const error = new TenantError({ message: 'somebody holds an exclusive lock on one of its tables', code: 'locked' });
    task.retry(tenant, error, { of: 'tenant', ms: lockedPauseMs }, { isUntouched: true, isAttempt: number === 0 });
    return false;
  });
}

async function runDump(
  { dump }: DumpScope,
  snapshot: Snapshot,
  tenants: readonly Tenant[],
  signal: AbortSignal,
): Promise<DumpedTenants> {
  const [first] = tenants;
  if (first !== undefined && first.schema === null) {
    // What tenantctl put beside the tenant is not the tenant.
    const args = ['--exclude-schema=tenantctl', '--exclude-schema=tenantctl_*'];
    const stored = await dumpAlone(dump, snapshot, subjectOf(first), { args }, signal);
    return { stored: new Map([[first, stored]]), refused: new Map() };
  }
  const bySchema = new Map(tenants.map((tenant) => [tenantSchema(tenant), tenant]));
  const subjects = new Map([...bySchema].map(([schema, tenant]) => [schema, subjectOf(tenant)]));
  const { stored, refused } = await dumpSchemas(dump, snapshot, subjects, signal);
  return {
    stored: new Map([...stored].map(([schema, archive]) => [bySchema.get(schema)!, archive])),
    refused: new Map([...refused].map(([schema, error]) => [bySchema.get(schema)!, error])),
  };
}

/** Finds out why pg_dump failed: it has no error codes. Gives those that may go well at once without the others. */
async function afterFailure(
  place: DumpedPlace,
  scope: DumpScope,
  snapshot: Snapshot,
  tenants: readonly Tenant[],
  task: Task<Dumped>,
  error: unknown,
): Promise<readonly Tenant[]> {
  task.signal.throwIfAborted();
  // Not the server's fault, whatever its cause: a file that may not be written is no connection that was refused.
  if (isStoreError(error)) throw new TenantError(error.failure);
  // Asking also tells whether the snapshot is still held; its loss is thrown here, and is what went wrong.
  const changed = await place.holder.changedSince(snapshot, schemasOf(tenants));
  await place.ask(async () => {});
  const others = tenants.filter((tenant) => changeOf(tenant, changed) === null);
  for (const tenant of tenants) if (!others.includes(tenant)) dumpAgain(scope, snapshot, tenant, task, error);
  if (others.length < tenants.length) return others;
  if (place.facts.fromReplica && scope.tries.conflict(tenants) <= mostConflicts) return tenants;
  const [only] = tenants;
  if (tenants.length === 1 && only?.schema != null) await explainLock(snapshot, only.schema, error);
  // The server may have been full when pg_dump came, and have had room again when we looked.
  if (tenants.length === 1 && only !== undefined && hasFailedAtOnce(error)) {
    const tries = scope.tries.failedAtOnce(only);
    if (tries <= mostAtOnce) {
      task.retry(only, error, { of: 'tenant', ms: firstPauseMs * 2 ** (tries - 1) }, { isUntouched: true });
      return [];
    }
  }
  // What the fence does not see (a view that was dropped) is seen by a later snapshot too.
  if (tenants.length === 1 && only !== undefined && scope.tries.again(only, snapshot.number, 1)) {
    task.retry(only, error, { of: 'tenant', ms: 0 }, { isUntouched: true });
    return [];
  }
  throw error;
}

/** pg_dump says of a table that it waited for in vain only that a statement took too long. */
async function explainLock({ session }: Snapshot, schema: string, cause: unknown): Promise<void> {
  if (!(await findLockedSchemas(session, [schema])).has(schema)) return;
  const [holder] = await findSchemaLockHolders(session, schema, 0);
  const who = holder === undefined ? 'another session' : `${holder.application || 'a session'} (pid ${holder.pid})`;
  throw new TenantError(
    {
      message: `a table of it is locked by ${who}`,
      code: 'locked',
      detail: toFailure(cause).message,
      hint: 'run the same command again when that session is done, or give --lock-wait more time',
    },
    { cause },
  );
}

function dumpAgain(scope: DumpScope, snapshot: Snapshot, tenant: Tenant, task: Task<Dumped>, error: unknown): void {
  if (!scope.tries.again(tenant, snapshot.number, mostAgain)) task.failed(tenant, error);
  else task.retry(tenant, error, { of: 'tenant', ms: 0 }, { isUntouched: true });
}

const changedHint =
  'something rewrites or empties its tables all the time: run the same command again when it is quiet';

/** Null: a tenant with a database of its own, and all schemas of it. */
function schemasOf(tenants: readonly Tenant[]): readonly string[] | null {
  const schemas = tenants.flatMap(({ schema }) => schema ?? []);
  return schemas.length === 0 ? null : schemas;
}

function changeOf({ schema }: Tenant, changed: ReadonlyMap<string, string>): string | null {
  if (schema !== null) return changed.get(schema) ?? null;
  const [first] = changed;
  return first === undefined ? null : `${first[0]}: ${first[1]}`;
}
