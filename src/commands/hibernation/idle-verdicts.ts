import type { Context } from '../../context.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { forgetOld, judgeUse, type UseFacts } from '../../hibernation/idle/judge.ts';
import { exemption, sleepWay } from '../../hibernation/idle/policy.ts';
import {
  appendSamples,
  readSamples,
  replaceSamples,
  type SampleFile,
  sampleFile,
} from '../../hibernation/idle/sample-file.ts';
import { foldStretches, type Stretch } from '../../hibernation/idle/stretch.ts';
import { type Fleet, mergeOutcomes } from '../open-fleet.ts';
import {
  askLogins,
  countedName,
  groupForSamples,
  type Reading,
  readCounters,
  type SampleGroup,
  toStretch,
} from './idle-samples.ts';
import { type IdleValue, toIdleValue } from './idle-value.ts';
import { forgetOwnSessions, type OwnWorkBook, readOwnWork } from './own-work.ts';

/**
 * `kept`: looks now, and writes the sample down. `unkept`: looks now and leaves no trace, so that nobody is asked for a
 * last login either. `none`: says what the samples of earlier looks say.
 */
export type Sampling = 'kept' | 'unkept' | 'none';

/** So many lines of a file are made one. */
const linesToFold = 24;

/** A place, what is known of it, and what is new. */
interface Watched {
  readonly group: SampleGroup;
  readonly file: string;
  readonly known: SampleFile;
  /** Samples of this look. */
  readonly fresh: Map<string, Stretch>;
}

/** Those of `fleet.tenants` that nobody uses and that may sleep, with what is known of each. */
export async function idleTenants(
  context: Context,
  fleet: Fleet,
  options: { readonly sampling?: Sampling } = {},
): Promise<ReadonlyMap<Tenant, IdleValue>> {
  const outcomes = await idleVerdicts(context, fleet, options);
  return new Map(
    outcomes.flatMap((outcome) => {
      const isIdle = outcome.status === 'done' && outcome.value.verdict === 'idle';
      return isIdle ? [[outcome.tenant, outcome.value] as const] : [];
    }),
  );
}

/**
 * Which tenants of the fleet are used and which are idle; an outcome for each of `fleet.tenants`, in their order. One
 * that could not be read has failed.
 */
export async function idleVerdicts(
  context: Context,
  fleet: Fleet,
  { sampling = 'kept' }: { readonly sampling?: Sampling } = {},
): Promise<readonly Outcome<IdleValue>[]> {
  const { hibernate: policy, state } = fleet.inventory;
  const since = context.now().getTime() - 2 * policy.afterMs;
  const ownWork = await readOwnWork(context, fleet.inventory, since);
  const watched = await Promise.all(
    groupForSamples(fleet.tenants.filter((tenant) => !fleet.sleeping.has(tenant))).map(
      async (group): Promise<Watched> => {
        const file = sampleFile(state, group);
        return { group, file, known: await readSamples(file), fresh: new Map() };
      },
    ),
  );
  const look = new Look(context, fleet, watched, ownWork);
  const unread = sampling === 'none' ? [] : await look.take(sampling === 'kept');
  if (sampling === 'kept') {
    await look.keep();
    await forgetOwnSessions(fleet.inventory, since, fleet.run);
  }
  const outcomes = mergeOutcomes<IdleValue>(fleet.tenants, look.judge(), unread);
  const whole = wholeServers(fleet, outcomes);
  return outcomes.map((outcome) => (outcome.status === 'done' ? withServer(outcome, whole, fleet) : outcome));
}

/** Servers at Amazon RDS of which every tenant is idle. Only a look at all tenants of a server can tell. */
function wholeServers(fleet: Fleet, outcomes: readonly Outcome<IdleValue>[]): ReadonlySet<string> {
  const narrowing = ['tenant', 'label', 'database', 'except', 'shard', 'fromRun'];
  const isNarrow = narrowing.some((flag) => fleet.typed[flag] !== undefined);
  if (isNarrow || fleet.sources.length > 0) return new Set();
  const isAwake = (outcome: Outcome<IdleValue>) => outcome.status !== 'done' || outcome.value.verdict !== 'idle';
  const busy = new Set([...outcomes.filter(isAwake), ...fleet.rejected].map(({ tenant }) => tenant.server));
  const settled = new Set(outcomes.map(({ tenant }) => tenant.server));
  const isWhole = (server: string) => fleet.inventory.servers.get(server)?.rds != null && !busy.has(server);
  return new Set([...settled].filter(isWhole));
}

function withServer(
  outcome: Outcome<IdleValue> & { readonly status: 'done' },
  whole: ReadonlySet<string>,
  { inventory }: Fleet,
): Outcome<IdleValue> {
  const { tenant, value } = outcome;
  if (!whole.has(tenant.server)) return outcome;
  return { ...outcome, value: { ...value, isWholeServer: true, how: sleepWay(tenant, inventory.hibernate, true) } };
}

/** One look at the tenants of a fleet. */
class Look {
  readonly #context: Context;
  readonly #fleet: Fleet;
  readonly #watched: readonly Watched[];
  readonly #ownWork: OwnWorkBook;
  /** Tenants of which nobody can tell, and why. */
  readonly #uncounted = new Map<Tenant, string>();

  constructor(context: Context, fleet: Fleet, watched: readonly Watched[], ownWork: OwnWorkBook) {
    this.#context = context;
    this.#fleet = fleet;
    this.#watched = watched;
    this.#ownWork = ownWork;
  }

  /** Takes a sample of each tenant; returns outcomes of those that could not be read. */
  async take(asks: boolean): Promise<readonly Outcome<never>[]> {
    const read = await readCounters(
      this.#context,
      this.#fleet,
      this.#watched.map(({ group }) => group),
    );
    const readings = new Map<Tenant, Reading>();
    for (const outcome of read) {
      if (outcome.status !== 'done') continue;
      if ('uncounted' in outcome.value) this.#uncounted.set(outcome.tenant, outcome.value.uncounted);
      else readings.set(outcome.tenant, outcome.value);
    }
    for (const [tenant, reading] of readings) this.#add(tenant, toStretch(reading, reading, null));
    const unasked = asks ? await this.#askCandidates(readings) : [];
    return [...read.flatMap(ifUnread), ...unasked];
  }

  /** Only those are asked for their last login for whom the answer matters. */
  async #askCandidates(readings: ReadonlyMap<Tenant, Reading>): Promise<readonly Outcome<never>[]> {
    const policy = this.#fleet.inventory.hibernate;
    if (policy.lastLogin === null) return [];
    const now = this.#context.now().getTime();
    const candidates = [...readings.keys()].filter((tenant) => {
      return exemption(tenant, policy) === null && judgeUse(this.#facts(tenant), policy, now).state === 'idle';
    });
    if (candidates.length === 0) return [];
    const asked = await askLogins(this.#context, this.#fleet, candidates, policy.lastLogin);
    const later = await readCounters(this.#context, this.#fleet, groupForSamples(candidates));
    const logins = new Map(
      asked.flatMap((each) => (each.status === 'done' ? [[each.tenant, { at: each.value }]] : [])),
    );
    for (const outcome of later) {
      const before = readings.get(outcome.tenant);
      if (outcome.status !== 'done' || 'uncounted' in outcome.value || before === undefined) continue;
      this.#add(outcome.tenant, toStretch(before, outcome.value, logins.get(outcome.tenant) ?? null));
    }
    return [...asked, ...later].flatMap(ifUnread);
  }

  /** Writes the samples down, and makes few lines of many. */
  async keep(): Promise<void> {
    const now = this.#context.now().getTime();
    for (const { group, file, known, fresh } of this.#watched) {
      if (fresh.size === 0) continue;
      await appendSamples(file, new Map([...fresh].map(([name, sample]) => [name, [sample]])));
      if (known.lines < linesToFold) continue;
      const read = await readSamples(file);
      const ofTenant = new Map(group.tenants.map((tenant) => [countedName(tenant), tenant]));
      const folded = [...read.samples].flatMap(([name, stretches]) => {
        const tenant = ofTenant.get(name);
        const fewer = foldStretches(stretches);
        // Of a tenant that is not selected nobody knows just now when tenantctl was at work there.
        const kept =
          tenant === undefined ? fewer : forgetOld(this.#factsOf(tenant, fewer), this.#fleet.inventory.hibernate, now);
        return isForgotten(kept, now, this.#fleet.inventory.hibernate.afterMs) ? [] : [[name, kept] as const];
      });
      await replaceSamples(file, read, new Map(folded), this.#fleet.run);
    }
  }

  judge(): readonly Outcome<IdleValue>[] {
    return this.#fleet.tenants.map((tenant) => {
      const value = toIdleValue(tenant, {
        now: this.#context.now().getTime(),
        policy: this.#fleet.inventory.hibernate,
        sleep: this.#fleet.sleeping.get(tenant) ?? null,
        facts: this.#facts(tenant),
        uncounted: this.#uncounted.get(tenant) ?? null,
      });
      return { tenant, status: 'done', value, durationMs: 0 };
    });
  }

  #add(tenant: Tenant, sample: Stretch): void {
    this.#placeOf(tenant)?.fresh.set(countedName(tenant), sample);
  }

  #placeOf({ server, database, schema }: Tenant): Watched | undefined {
    const wanted = schema === null ? null : database;
    return this.#watched.find(({ group }) => group.server === server && group.database === wanted);
  }

  #facts(tenant: Tenant): UseFacts {
    const place = this.#placeOf(tenant);
    const name = countedName(tenant);
    const fresh = place?.fresh.get(name);
    return this.#factsOf(tenant, [...(place?.known.samples.get(name) ?? []), ...(fresh === undefined ? [] : [fresh])]);
  }

  #factsOf(tenant: Tenant, stretches: readonly Stretch[]): UseFacts {
    return { stretches, ownWork: this.#ownWork.of(tenant), countsWrites: tenant.schema !== null };
  }
}

function ifUnread(outcome: Outcome<unknown>): readonly Outcome<never>[] {
  return outcome.status === 'done' ? [] : [outcome];
}

/** Its schema or database is gone for good. */
function isForgotten(stretches: readonly Stretch[], now: number, afterMs: number): boolean {
  const last = stretches.at(-1);
  return last === undefined || last.to < now - 2 * afterMs;
}
