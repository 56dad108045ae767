import { TenantError } from '../errors.ts';
import type { Blocker } from '../fleet/outcome.ts';
import type { Batch, Place, Task } from '../fleet/place.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import { type Backend, findSchemaLockHolders } from '../postgres/blockers.ts';
import { cancelledBy } from '../postgres/cancelling.ts';
import type { Session } from '../postgres/session.ts';
import type { SessionPools } from '../postgres/session-pools.ts';
import { errorCode, sqlStates } from '../postgres/sqlstates.ts';
import { prepareReader } from '../postgres/tenant-session.ts';
import { type Scanned, type SchemaReader, scanBatch, type Unread } from './scan-batch.ts';
import { lockTimeoutMs } from './standing.sql.ts';

/** Tenants of a batch: as many as one session takes on before another one may have a turn. */
const tenantsPerBatch = 40;
/** Sessions that read one database side by side. */
const lanes = 2;
/** The backend remembers what it has printed. So many facts count as much as one tenant of a migration does. */
const factsPerTenantServed = 2000;
/** Long enough for a statement that is done in a moment, and for most migrations of one tenant. */
const usualPausesMs: readonly number[] = [250, 500, 1000, 2000, 4000];

/** The tenants of one database, and the means to read them. */
export interface PlaceAccess {
  readonly server: string;
  readonly database: string;
  readonly tenants: readonly Tenant[];
  readonly pools: SessionPools;
  readonly applicationName: string;
  /** It tells how far a tenant's migrations are. */
  readonly historyTable: string;
  /** How a session that holds a lock is called in this run. */
  readonly nameBlocker: (holder: Backend, beside: Tenant) => Blocker;
}

export interface ScannedPlace<V> extends PlaceAccess {
  readonly reader: SchemaReader<V>;
  /** Before each further attempt at a tenant that was locked, or changed while it was read. */
  readonly pausesMs?: readonly number[];
}

/** How often each tenant was tried in vain. */
type Attempts = Map<Tenant, number>;

/**
 * The drift scan of one database, as the executor runs it: batches in short transactions, and what was locked meanwhile
 * once more at the end. It takes no lock of tenantctl's own.
 */
export function scanPlace<V>(place: ScannedPlace<V>): Place<unknown, V> {
  const { server, database, tenants, pools } = place;
  return {
    server,
    database,
    tenants,
    open: async (): Promise<Attempts> => new Map(),
    batches: () => cutBatches(tenants),
    mayRunBeside: (_, running) => [...running].length < lanes,
    work: (scope, batch, task) => work(place, scope as Attempts, batch, task),
    // A backend that has read a catalogue is large, and another database may need its connection.
    close: () => pools.closeIdle(server, database),
  };
}

/** Of equal size, so that the sessions end together. */
function cutBatches(tenants: readonly Tenant[]): readonly Batch[] {
  const count = Math.ceil(tenants.length / tenantsPerBatch);
  const size = Math.ceil(tenants.length / count);
  return Array.from({ length: count }, (_, index) => ({ tenants: tenants.slice(index * size, (index + 1) * size) }));
}

async function work<V>(place: ScannedPlace<V>, attempts: Attempts, batch: Batch, task: Task<V>): Promise<void> {
  const again: { readonly tenant: Tenant; readonly unread: Unread }[] = [];
  const onScanned = (session: Session) => (tenant: Tenant, scanned: Scanned<V>) => {
    if (scanned.kind === 'read') {
      session.tenantsServed += place.reader.countFacts(scanned.value) / factsPerTenantServed;
      task.blocked(tenant, []);
      task.done(tenant, scanned.value);
    } else if (mayGoBetterLater(scanned)) {
      again.push({ tenant, unread: scanned });
    } else {
      task.failed(tenant, scanned.error);
    }
  };
  const rest = await use(place, async (session) => {
    const options = { ...place, stop: task.stop };
    task.signal.throwIfAborted();
    return cancelledBy(task.signal, session, () => scanBatch(session, batch.tenants, options, onScanned(session)));
  });
  for (const tenant of rest) task.notStarted(tenant);
  for (const { tenant, unread } of again) await tryAgain(place, attempts, tenant, unread, task);
}

function use<T>(place: PlaceAccess, work: (session: Session) => Promise<T>): Promise<T> {
  return place.pools.use(place.server, place.database, async (session) => {
    const [, result] = await Promise.all([prepareReader(session, place.applicationName), work(session)]);
    return result;
  });
}

function isLocked({ error }: { readonly error: unknown }): boolean {
  return errorCode(error) === sqlStates.lockNotAvailable || errorCode(error) === sqlStates.deadlockDetected;
}

function mayGoBetterLater(unread: Unread): boolean {
  return unread.kind === 'changed' || isLocked(unread);
}

async function tryAgain<V>(
  place: ScannedPlace<V>,
  attempts: Attempts,
  tenant: Tenant,
  unread: Unread,
  task: Task<V>,
): Promise<void> {
  const tries = (attempts.get(tenant) ?? 0) + 1;
  attempts.set(tenant, tries);
  const pauseMs = (place.pausesMs ?? usualPausesMs)[tries - 1];
  task.step(tenant, isLocked(unread) ? 'waiting for a lock' : 'reading again');
  // The first time it is most often somebody who is done in a moment.
  const holders = isLocked(unread) && tries > 1 ? await findHolders(place, tenant) : [];
  if (holders.length > 0) {
    task.blocked(
      tenant,
      holders.map((holder) => place.nameBlocker(holder, tenant)),
    );
  }
  const error = isLocked(unread) ? lockedError(tenant, holders, unread.error) : changingError(tenant, unread.error);
  if (pauseMs === undefined) task.failed(tenant, error);
  else task.retry(tenant, error, { of: 'tenant', ms: pauseMs });
}

/** A look that fails tells nothing: that the schema is locked is what there is to tell. */
async function findHolders(place: PlaceAccess, tenant: Tenant): Promise<readonly Backend[]> {
  try {
    return await use(place, (session) => findSchemaLockHolders(session, tenantSchema(tenant), lockTimeoutMs));
  } catch {
    return [];
  }
}

function lockedError(tenant: Tenant, holders: readonly Backend[], cause: unknown): TenantError {
  const names = holders.map(({ pid, application }) => `${application || 'another session'} (pid ${pid})`);
  const holder = names.length === 0 ? 'another session' : names.join(', ');
  return new TenantError(
    {
      message: `an object of schema ${JSON.stringify(tenantSchema(tenant))} is locked by ${holder}`,
      code: 'locked',
      sqlState: sqlStates.lockNotAvailable,
      hint: 'run the same command again when that transaction has ended',
    },
    { cause },
  );
}

function changingError(tenant: Tenant, cause: unknown): TenantError {
  return new TenantError(
    {
      message: `schema ${JSON.stringify(tenantSchema(tenant))} was changed each time while it was read`,
      code: 'changing',
      ...(cause instanceof Error ? { detail: cause.message } : {}),
      hint: 'run the same command again when the deployment has ended',
    },
    { cause },
  );
}
