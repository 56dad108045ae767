import { describe, expect, it } from 'vitest';
import { cutWaves } from '../../src/fleet/cut-waves.ts';
import type { Limits } from '../../src/fleet/inventory/types.ts';
import type { Outcome } from '../../src/fleet/outcome.ts';
import type { Place } from '../../src/fleet/place.ts';
import { placeKey, type Tenant } from '../../src/fleet/tenant.ts';
import { makeRandom, type Random, testSeeds } from '../support/random.ts';
import { type Brakes, ConnectionLost, makePlace, makeTenants, startRun, untilAborted } from './run-harness.ts';

/** What will happen to a tenant when its turn comes. */
type Fate = 'done' | 'finding' | 'told' | 'guilty';
type PlaceFate = 'fine' | 'down' | 'open fails' | 'batches fail' | 'close fails';

interface Fleet {
  readonly tenants: readonly Tenant[];
  readonly places: readonly Place[];
  readonly limits: Limits;
  readonly perServer: ReadonlyMap<string, number>;
  readonly fates: ReadonlyMap<Tenant, Fate>;
  readonly placeFates: ReadonlyMap<string, PlaceFate>;
  readonly watch: Watch;
}

/** Sees the places from inside: what was opened, closed, in use, and each broken promise of the executor. */
class Watch {
  readonly broken: string[] = [];
  readonly opened = new Map<string, number>();
  readonly closed = new Map<string, number>();
  readonly touched = new Set<Tenant>();
  readonly reported = new Set<Tenant>();
  readonly #inUse = new Map<string, number>();
  readonly #limits: Limits;
  readonly #perServer: ReadonlyMap<string, number>;

  constructor(limits: Limits, perServer: ReadonlyMap<string, number>) {
    this.#limits = limits;
    this.#perServer = perServer;
  }

  async using<T>(place: Place, connections: number, work: () => Promise<T>): Promise<T> {
    const { server } = place;
    const { concurrency, perDatabase, perServer } = this.#limits;
    const levels = [
      { level: 'fleet', amount: 1, limit: concurrency },
      { level: `server ${server}`, amount: connections, limit: this.#perServer.get(server) ?? perServer },
      { level: placeKey(place), amount: connections, limit: perDatabase },
    ];
    for (const { level, amount, limit } of levels) {
      const before = this.#inUse.get(level) ?? 0;
      this.#inUse.set(level, before + amount);
      // A batch that is larger than a limit may run, but alone.
      if (before > 0 && before + amount > limit) this.broken.push(`${level}: ${before} + ${amount} > ${limit}`);
    }
    try {
      return await work();
    } finally {
      for (const { level, amount } of levels) this.#inUse.set(level, (this.#inUse.get(level) ?? 0) - amount);
    }
  }

  inUse(place: Place): number {
    return this.#inUse.get(placeKey(place)) ?? 0;
  }
}

function makeFleet(random: Random): Fleet {
  const limits = {
    concurrency: random.between(1, 10),
    perServer: random.between(1, 6),
    perDatabase: random.between(1, 4),
  };
  const perServer = new Map(random.chance(0.5) ? [['server0', random.between(1, limits.perServer)]] : []);
  const watch = new Watch(limits, perServer);
  const fates = new Map<Tenant, Fate>();
  const placeFates = new Map<string, PlaceFate>();
  const places: Place[] = [];
  for (let server = 0; server < random.between(1, 4); server += 1) {
    for (let database = 0; database < random.between(1, 4); database += 1) {
      const where = { server: `server${server}`, database: `db${database}`, prefix: `s${server}d${database}t` };
      const tenants = makeTenants(random.between(1, 30), where);
      for (const tenant of tenants) fates.set(tenant, drawFate(random));
      const fate = random.chance(0.7)
        ? 'fine'
        : random.pick(['down', 'open fails', 'batches fail', 'close fails'] as const);
      const place = watchedPlace(tenants, fate, fates, watch, random);
      placeFates.set(placeKey(place), fate);
      places.push(place);
    }
  }
  return { tenants: random.shuffle([...fates.keys()]), places, limits, perServer, fates, placeFates, watch };
}

function drawFate(random: Random): Fate {
  if (random.chance(0.8)) return 'done';
  return random.pick(['finding', 'told', 'guilty'] as const);
}

function watchedPlace(
  tenants: readonly Tenant[],
  fate: PlaceFate,
  fates: ReadonlyMap<Tenant, Fate>,
  watch: Watch,
  random: Random,
): Place {
  const count = (map: Map<string, number>) => map.set(placeKey(place), (map.get(placeKey(place)) ?? 0) + 1);
  const isClosed = () => (watch.closed.get(placeKey(place)) ?? 0) >= (watch.opened.get(placeKey(place)) ?? 0);
  const place: Place = makePlace(tenants, {
    open: (signal) =>
      watch.using(place, 1, async () => {
        await random.pause(signal);
        if (fate === 'open fails') throw new Error('open failed');
        count(watch.opened);
        return `scope of ${placeKey(place)}`;
      }),
    batches: () => {
      if (fate === 'batches fail') throw new Error('batches failed');
      return randomBatches(random.shuffle(tenants), random);
    },
    work: (scope, batch, task) =>
      watch.using(place, batch.connections ?? 1, async () => {
        if (scope !== `scope of ${placeKey(place)}` || isClosed()) watch.broken.push('work outside of its scope');
        for (const tenant of batch.tenants) watch.touched.add(tenant);
        if (fate === 'down') throw new ConnectionLost('server is down');
        for (const tenant of random.shuffle(batch.tenants)) {
          if (watch.reported.has(tenant)) watch.broken.push(`${tenant.id} is settled and was given out again`);
          task.step(tenant, 'pausing');
          await random.pause(task.signal);
          const end = fates.get(tenant);
          if (end === 'guilty') throw new Error(`guilty: ${tenant.id}`);
          watch.reported.add(tenant);
          if (end === 'told') task.failed(tenant, new Error(`told: ${tenant.id}`));
          else task.done(tenant, `value of ${tenant.id}`, { finding: end === 'finding' });
        }
      }),
    close: async (scope) => {
      if (scope !== `scope of ${placeKey(place)}` || isClosed()) watch.broken.push('closed what is not open');
      if (watch.inUse(place) > 0) watch.broken.push('closed while it was in use');
      count(watch.closed);
      await random.pause();
      if (fate === 'close fails') throw new Error('close failed');
    },
  });
  return place;
}

function randomBatches(tenants: readonly Tenant[], random: Random) {
  const batches = [];
  for (let start = 0; start < tenants.length; ) {
    const size = random.between(1, 12);
    const connections = random.between(0, 3);
    const batch = { tenants: tenants.slice(start, start + size) };
    batches.push(connections === 0 ? batch : { ...batch, connections });
    start += size;
  }
  return batches;
}

/** What must come out when nobody stops the run. */
function expected(tenant: Tenant, { fates, placeFates }: Fleet): Record<string, unknown> {
  const failed = (message: string, step: string | null) => ({ status: 'failed', step, error: { message } });
  switch (placeFates.get(placeKey(tenant))) {
    case 'down':
      return failed('server is down', null);
    case 'open fails':
      return failed('open failed', null);
    case 'batches fail':
      return failed('batches failed', null);
  }
  const fate = fates.get(tenant);
  if (fate === 'guilty' || fate === 'told') return failed(`${fate}: ${tenant.id}`, 'pausing');
  return { status: 'done', value: `value of ${tenant.id}`, finding: fate === 'finding' };
}

function withoutDuration({ durationMs: _, ...rest }: Outcome): unknown {
  return rest;
}

describe('runFleet on random schedules', () => {
  it.each(testSeeds(40))('gives each tenant its own end, within the limits (seed %i)', async (seed) => {
    const fleet = makeFleet(makeRandom(seed));
    const { tenants, places, limits, perServer, watch } = fleet;
    const run = startRun(places, { tenants, limits, perServer });
    const outcomes = await run.outcomes;

    expect(outcomes.map(withoutDuration)).toEqual(tenants.map((tenant) => ({ tenant, ...expected(tenant, fleet) })));
    expect(watch.broken).toEqual([]);
    expect(watch.closed).toEqual(watch.opened);
    expect([...watch.opened.values()].every((times) => times === 1)).toBe(true);
    expect(run.events.flatMap((event) => (event.type === 'settled' ? [event.outcome] : [])).length).toBe(
      tenants.length,
    );
    expect(run.events.at(0)?.type).toBe('phase');
    expect(run.events.at(-1)?.type).toBe('phase-ended');
  });

  it.each(testSeeds(40))('tells the truth when it is braked or interrupted (seed %i)', async (seed) => {
    const random = makeRandom(seed);
    const fleet = makeFleet(random);
    const { tenants, places, limits, perServer, fates, watch } = fleet;
    const policy = { maxFailures: random.chance(0.5) ? random.between(0, 5) : null };
    const canary = random.chance(0.5) ? random.between(1, tenants.length) : 0;
    const canaries = new Set(tenants.slice(0, canary));
    const interruptAt = random.between(1, tenants.length * 2);
    const interrupt = random.pick(['stop', 'cancel', 'abandon', null] as const);
    let settled = 0;
    const notDone = new Set(canaries);
    const late: string[] = [];
    const run = startRun(places, {
      tenants,
      limits,
      perServer,
      policy,
      waves: cutWaves(tenants, canary, []),
      listen: (event, brakes: Brakes) => {
        if (event.type === 'started') {
          if (brakes.interrupts.stop.aborted && !watch.touched.has(event.tenant)) late.push(event.tenant.id);
          if (!canaries.has(event.tenant) && notDone.size > 0) late.push(`${event.tenant.id} before the canaries`);
        }
        if (event.type !== 'settled') return;
        if (event.outcome.status === 'done') notDone.delete(event.outcome.tenant);
        settled += 1;
        if (settled === interruptAt && interrupt !== null) brakes[interrupt]();
      },
    });
    const outcomes = await run.outcomes;

    expect(outcomes.map(({ tenant }) => tenant)).toEqual(tenants);
    expect(late).toEqual([]);
    expect(watch.broken).toEqual([]);
    if (interrupt !== 'abandon') expect(watch.closed).toEqual(watch.opened);
    for (const outcome of outcomes) {
      const { tenant, status } = outcome;
      if (status === 'skipped') expect(watch.touched).not.toContain(tenant);
      if (status === 'interrupted') expect(watch.touched).toContain(tenant);
      if (status === 'done') expect(['done', 'finding']).toContain(fates.get(tenant));
      if (status === 'failed') expect(withoutDuration(outcome)).toEqual({ tenant, ...expected(tenant, fleet) });
    }
    const wasStopped = outcomes.some(({ status }) => status === 'skipped' || status === 'interrupted');
    const failures = outcomes.filter(({ status }) => status === 'failed').length;
    const isBraked = policy.maxFailures !== null && failures >= Math.max(1, policy.maxFailures);
    const canaryFailed = outcomes.slice(0, canary).some(({ status }) => status !== 'done');
    if (wasStopped) expect(isBraked || canaryFailed || run.brakes.interrupts.stop.aborted).toBe(true);
  });

  it.each(testSeeds(5))('resolves at once when it is abandoned, whatever still hangs (seed %i)', async (seed) => {
    const random = makeRandom(seed);
    const tenants = makeTenants(random.between(2, 20));
    const hung = random.pick(tenants);
    const place = makePlace(tenants, {
      work: async (_scope, { tenants: [tenant] }, task) => {
        if (tenant === undefined) return;
        task.step(tenant, 'hanging');
        if (tenant === hung) await untilAborted(new AbortController().signal);
        await random.pause();
        task.done(tenant, null);
      },
    });
    const run = startRun([place], {
      listen: (event, brakes) => {
        if (event.type === 'step' && event.tenant === hung) setImmediate(() => brakes.abandon());
      },
    });
    const outcomes = await run.outcomes;
    expect(outcomes.map(({ tenant }) => tenant)).toEqual(tenants);
    expect(outcomes.find(({ tenant }) => tenant === hung)).toMatchObject({ status: 'interrupted', step: 'hanging' });
  });
});
