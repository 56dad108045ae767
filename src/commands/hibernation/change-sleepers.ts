import type { Context } from '../../context.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { mayPass, RepeatableError } from '../../migrations/repeatable.ts';
import type { TakeOptions } from '../../migrations/take-tenant.ts';
import { tenantKey } from '../../postgres/advisory-locks.ts';
import { lockTenant } from '../../postgres/lock-wait.ts';
import type { Session } from '../../postgres/session.ts';
import { sql } from '../../postgres/sql.ts';
import { prepareSession } from '../../postgres/tenant-session.ts';
import { underOwnName } from '../backups/restore-run.ts';
import type { ChangeSettings } from '../change-settings.ts';
import { type ChangeRun, changeTenants } from '../change-tenants.ts';
import { type Fleet, statePlace } from '../open-fleet.ts';

export interface SleeperRun<V> extends Pick<ChangeRun<V>, 'phase' | 'tenants' | 'connections' | 'lanes'> {
  /** On a session where the tenant's row is, and that holds its locks. */
  readonly change: (session: Session, tenant: Tenant, take: TakeOptions) => Promise<V>;
}

/**
 * Changes tenants from where their rows are: a database of one's own may be closed or gone. Each holds its locks while
 * it is worked on. One outcome for each.
 */
export async function changeSleepers<V>(
  context: Context,
  fleet: Fleet,
  run: SleeperRun<V>,
  settings: ChangeSettings,
): Promise<Outcome<V>[]> {
  if (run.tenants.length === 0) return [];
  const tenantOf = new Map(run.tenants.map((tenant) => [workplaceOf(fleet, tenant), tenant]));
  const nameOf = (workplace: Tenant) => tenantOf.get(workplace) ?? workplace;
  const outcomes = await changeTenants<V>(
    { ...context, emit: underOwnName(context.emit, nameOf) },
    fleet,
    {
      ...run,
      tenants: [...tenantOf.keys()],
      ...(run.lanes === undefined ? {} : { lanes: (workplace: Tenant) => run.lanes!(nameOf(workplace)) }),
      change: async (session, workplace, take) => {
        const tenant = nameOf(workplace);
        try {
          await holdTenant(session, tenant, take);
          return await run.change(session, tenant, take);
        } catch (error) {
          // Every turn begins by reading where the one before has left it.
          throw mayPass(error) ? new RepeatableError(error, { committing: null, mayRepeat: true }) : error;
        }
      },
    },
    // A canary is for changes that may be wrong on all.
    { ...settings, canary: null },
  );
  return outcomes.map((outcome) => ({ ...outcome, tenant: nameOf(outcome.tenant) }));
}

/** The tenant, where the session stands that does the work. */
export function workplaceOf(fleet: Fleet, tenant: Tenant): Tenant {
  return { ...tenant, database: statePlace(fleet, tenant).database };
}

async function holdTenant(session: Session, tenant: Tenant, take: TakeOptions): Promise<void> {
  take.signal.throwIfAborted();
  await Promise.all([
    prepareSession(session, {
      searchPath: ['pg_catalog'],
      role: null,
      lockTimeoutMs: take.lockTimeoutMs,
      // All rows of a tenant are read, whatever its size.
      statementTimeoutMs: 0,
      applicationName: take.applicationName,
    }),
    lockTenant(session, tenantKey(tenant.schema ?? `database ${tenant.database}`)),
  ]);
}

/** A session in the tenant's own database, beside the one that holds its locks. */
export async function inDatabase<T>(
  fleet: Fleet,
  tenant: Tenant,
  take: TakeOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  // Not of the pool: nobody else may have one there when the database is closed or dropped.
  const session = await fleet.servers.connect(tenant.server, tenant.database);
  try {
    await prepareSession(session, {
      searchPath: ['pg_catalog'],
      role: null,
      lockTimeoutMs: take.lockTimeoutMs,
      statementTimeoutMs: 0,
      applicationName: take.applicationName,
    });
    return await work(session);
  } finally {
    await session.end();
  }
}

/** The process that serves a session; behind a pooler it is not the announced one. */
export async function backendOf(session: Session): Promise<number> {
  const [row] = await session.query<{ pid: number }>(sql`SELECT pg_catalog.pg_backend_pid() AS pid`);
  return row?.pid ?? session.announcedPid;
}
