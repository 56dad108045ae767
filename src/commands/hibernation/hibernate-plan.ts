import type { Context } from '../../context.ts';
import type { Failure } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Place } from '../../fleet/place.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { SleepWay, TenantSleep } from '../../fleet/tenant-state.ts';
import { type Inspection, inspectDatabase, inspectTenants, type Refusal } from '../../hibernation/refusals.ts';
import type { Session } from '../../postgres/session.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { shellQuote } from '../../words.ts';
import { type Fleet, groupByPlace, statePlace } from '../open-fleet.ts';
import { readFleet } from '../read-fleet.ts';
import { nameTaken } from '../rejected.ts';
import type { HibernateOptions } from './hibernate-options.ts';
import { asleepAlready, type HibernateValue } from './hibernate-value.ts';
import { neverSleeps, wayOf } from './sleep-policy.ts';

/** What is to be done to put one tenant to sleep. */
export interface PlannedSleep {
  readonly tenant: Tenant;
  readonly how: SleepWay;
  /** An earlier run has begun it, and its record says what was taken. */
  readonly isCarriedOn: boolean;
  /** On disk; null: not looked at again. */
  readonly sizeBytes: number | null;
  /** Login roles of this tenant alone. */
  readonly ownRoles: readonly string[];
  readonly remarks: readonly string[];
}

export interface SleepPlan {
  readonly planned: ReadonlyMap<Tenant, PlannedSleep>;
  /** Those that sleep already, and those that cannot be put to sleep. */
  readonly settled: readonly Outcome<HibernateValue>[];
}

/** Who sleeps how, and who must not; nothing is touched. For ways that know databases and schemas. */
export async function planSleep(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  options: HibernateOptions,
): Promise<SleepPlan> {
  const planned = new Map<Tenant, PlannedSleep>();
  const settled: Outcome<HibernateValue>[] = [];
  const awake: Tenant[] = [];
  for (const tenant of tenants) {
    const sleep = fleet.sleeping.get(tenant);
    const how = sleep?.how ?? wayOf(fleet.inventory, tenant, options);
    const isAsleep = sleep !== undefined && sleep.how !== 'stop' && sleep.how !== 'pause';
    const decided = isAsleep ? decideAsleep(tenant, sleep) : refuseWay(fleet, tenant, how);
    const isOfServer = how === 'stop' || how === 'pause';
    if (decided === null && isOfServer) planned.set(tenant, bare(tenant, how));
    else if (decided === null) awake.push(tenant);
    else if ('isCarriedOn' in decided) planned.set(tenant, decided);
    else settled.push(decided);
  }
  const wayFor = (tenant: Tenant) => wayOf(fleet.inventory, tenant, options);
  for (const outcome of await inspect(context, fleet, awake, wayFor)) {
    if (outcome.status !== 'done') settled.push(outcome);
    else if (outcome.value.refusals.length === 0) planned.set(outcome.tenant, outcome.value.plan);
    else settled.push(refused(outcome.tenant, outcome.value.refusals));
  }
  return { planned, settled };
}

/** What sleeps with its server is looked at where that is put to sleep. */
function bare(tenant: Tenant, how: SleepWay): PlannedSleep {
  return { tenant, how, isCarriedOn: false, sizeBytes: null, ownRoles: [], remarks: [] };
}

/** One that is not active: it sleeps, is to be carried on with, or has to be woken first. */
function decideAsleep(tenant: Tenant, sleep: TenantSleep): PlannedSleep | Outcome<HibernateValue> {
  const { state, how, since, run } = sleep;
  if (state === 'hibernating') {
    return { tenant, how, isCarriedOn: true, sizeBytes: null, ownRoles: [], remarks: [`begun by run ${run}`] };
  }
  if (state === 'hibernated' && sleep.isNameTaken) {
    return { tenant, status: 'failed', step: 'plan', error: nameTaken(tenant, sleep), durationMs: 0 };
  }
  if (state === 'hibernated') {
    const value = asleepAlready(how, `it sleeps since ${since.toISOString()}`);
    return { tenant, status: 'done', value, durationMs: 0 };
  }
  const error: Failure = {
    message: `it is being woken since ${since.toISOString()} by run ${run}`,
    code: 'waking',
    hint: `finish that first: tenantctl wake -t ${shellQuote(tenant.id)}`,
  };
  return { tenant, status: 'failed', step: 'plan', error, durationMs: 0 };
}

/** Null: nothing speaks against that way so far. */
function refuseWay(fleet: Fleet, tenant: Tenant, how: SleepWay): Outcome<HibernateValue> | null {
  if (neverSleeps(fleet.inventory, tenant)) {
    const message = 'the inventory says that it never sleeps';
    return refused(tenant, [{ code: 'never', message, hint: 'see hibernate.never of the inventory' }]);
  }
  if (tenant.schema !== null && how === 'lock') {
    const message = 'a schema cannot be locked: only a database can be closed';
    return refused(tenant, [{ code: 'lock', message, hint: 'use --how archive' }]);
  }
  const isOfServer = how === 'stop' || how === 'pause';
  if (tenant.schema === null && !isOfServer && statePlace(fleet, tenant).database === tenant.database) {
    const message = `database ${tenant.database} is the one that servers.${tenant.server}.url names, where it is written down who sleeps`;
    return refused(tenant, [{ code: 'home', message, hint: 'name another database in the url, like postgres' }]);
  }
  return null;
}

export function refused(tenant: Tenant, refusals: readonly Refusal[]): Outcome<HibernateValue> {
  const [first, ...rest] = refusals;
  const error: Failure = {
    message: first?.message ?? 'it cannot be put to sleep',
    code: `refused-${first?.code ?? 'unknown'}`,
    ...(rest.length === 0 ? {} : { detail: rest.map(({ message }) => message).join('\n') }),
    ...(first === undefined ? {} : { hint: first.hint }),
  };
  return { tenant, status: 'failed', step: 'plan', error, durationMs: 0 };
}

interface Inspected {
  readonly plan: PlannedSleep;
  readonly refusals: readonly Refusal[];
}

/** Asks each database once about all of its tenants. */
function inspect(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  wayFor: (tenant: Tenant) => SleepWay,
): Promise<Outcome<Inspected>[]> {
  const places = groupByPlace(tenants).map((group): Place<unknown, Inspected> => {
    const { server, database } = group;
    const schemas = group.tenants.filter(({ schema }) => schema !== null);
    const own = group.tenants.filter(({ schema }) => schema === null);
    return {
      ...group,
      batches: () => [...(schemas.length > 0 ? [{ tenants: schemas }] : []), ...own.map((one) => ({ tenants: [one] }))],
      work: (_scope, batch, task) =>
        fleet.pools.use(server, database, async (session) => {
          await prepareReader(session, applicationName(fleet.run, 'hibernate'));
          const found = await inspectBatch(session, batch.tenants, wayFor);
          for (const tenant of batch.tenants) {
            const inspection = found.get(tenant);
            if (inspection === undefined) continue;
            const { refusals, remarks, sizeBytes, ownRoles } = inspection;
            const plan = { tenant, how: wayFor(tenant), isCarriedOn: false, sizeBytes, ownRoles, remarks };
            task.done(tenant, { plan, refusals });
          }
        }),
    };
  });
  return readFleet(context, fleet, 'looking', tenants, places);
}

async function inspectBatch(
  session: Session,
  tenants: readonly Tenant[],
  wayFor: (tenant: Tenant) => SleepWay,
): Promise<ReadonlyMap<Tenant, Inspection>> {
  const [first] = tenants;
  if (first !== undefined && first.schema === null) {
    return new Map([[first, await inspectDatabase(session, wayFor(first) === 'lock' ? 'lock' : 'archive')]]);
  }
  const subjects = tenants.map(({ id, database, schema }) => ({ tenant: id, database, schema: schema ?? '' }));
  const bySchema = await inspectTenants(session, subjects);
  return new Map(
    tenants.flatMap((tenant) => {
      const found = bySchema.get(tenant.schema ?? '');
      return found === undefined ? [] : [[tenant, found] as const];
    }),
  );
}
