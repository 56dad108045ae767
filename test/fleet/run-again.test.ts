import { afterEach, describe, expect, it, vi } from 'vitest';
import type { WavePlan } from '../../src/fleet/cut-waves.ts';
import type { Batch, Place, Task } from '../../src/fleet/place.ts';
import type { Tenant } from '../../src/fleet/tenant.ts';
import { makeRandom, testSeeds } from '../support/random.ts';
import {
  ConnectionLost,
  fakeClock,
  makePlace,
  makeTenants,
  nextTurn,
  notices,
  outcomeOf,
  runClockUntil,
  startRun,
  tally,
} from './run-harness.ts';

afterEach(() => void vi.useRealTimers());

const blocker = {
  pid: 7,
  application: 'psql',
  user: 'ops',
  state: 'idle in transaction',
  transactionStartedAt: null,
  queryStartedAt: null,
  tenant: null,
};

/** One tenant a batch; `turn` says how its n-th turn ends. */
function place(
  tenants: readonly Tenant[],
  turn: (tenant: Tenant, number: number, task: Task<unknown>) => void | Promise<void>,
  rest: Partial<Place> = {},
): Place {
  const turns = new Map<Tenant, number>();
  return makePlace(tenants, {
    ...rest,
    work: async (_scope, { tenants: [tenant] }, task) => {
      if (tenant === undefined) return;
      await nextTurn();
      const number = (turns.get(tenant) ?? 0) + 1;
      turns.set(tenant, number);
      await turn(tenant, number, task);
    },
  });
}

describe('an attempt that is made again', () => {
  it('goes to the back of the queue and keeps nobody waiting', async () => {
    fakeClock();
    const ends: string[] = [];
    const held = place(makeTenants(4), (tenant, number, task) => {
      if (tenant.id === 't0' && number < 3) return task.retry(tenant, new Error('locked'), { of: 'tenant', ms: 1000 });
      ends.push(tenant.id);
      task.done(tenant, null);
    });
    const run = startRun([held], { limits: { concurrency: 1 } });
    const outcomes = await runClockUntil(run.outcomes);
    expect(ends).toEqual(['t1', 't2', 't3', 't0']);
    expect(outcomeOf(outcomes, 't0')).toMatchObject({ status: 'done', attempts: 3 });
    expect(outcomeOf(outcomes, 't1')).not.toHaveProperty('attempts');
    const told = run.events.flatMap((event) => ('tenant' in event && event.tenant.id === 't0' ? [event.type] : []));
    expect(told).toEqual(['started', 'put-back', 'started', 'put-back', 'started']);
  });

  it('is not made when the run stops: it is not started, for the last one was rolled back', async () => {
    fakeClock();
    const run = startRun(
      [place(makeTenants(1), (tenant, _n, task) => task.retry(tenant, new Error('locked'), { of: 'tenant', ms: 1e6 }))],
      { listen: (event, brakes) => event.type === 'put-back' && setImmediate(() => brakes.stop()) },
    );
    expect(outcomeOf(await run.outcomes, 't0')).toMatchObject({
      status: 'skipped',
      reason: 'not-started',
      because: 'it waited for another try: locked',
    });
  });

  it('tells who kept it waiting, also when it is done', async () => {
    fakeClock();
    const run = startRun([
      place(makeTenants(2), (tenant, number, task) => {
        if (tenant.id === 't1' || number === 2) return task.done(tenant, null);
        task.blocked(tenant, [blocker]);
        task.retry(tenant, new Error('locked'), { of: 'tenant', ms: 10 });
      }),
    ]);
    const outcomes = await runClockUntil(run.outcomes);
    expect(outcomeOf(outcomes, 't0')).toMatchObject({ status: 'done', attempts: 2, blockedBy: [blocker] });
    expect(outcomeOf(outcomes, 't1')).not.toHaveProperty('blockedBy');
  });
});

describe('a server whose connections are lost', () => {
  it('is left alone for a while, then tried by one tenant, then by all', async () => {
    fakeClock();
    let isAway = true;
    let attempts = 0;
    let inUse = 0;
    const lost = makePlace(makeTenants(20), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        if (tenant === undefined) return;
        inUse += 1;
        if (isAway && attempts >= 4) expect(inUse).toBe(1);
        await nextTurn();
        inUse -= 1;
        attempts += 1;
        if (attempts > 8) isAway = false;
        if (isAway) task.retry(tenant, new ConnectionLost('restarting'), { of: 'server' });
        else task.done(tenant, null);
      },
    });
    const run = startRun([lost], { limits: { perServer: 4 }, outageMs: 300_000 });
    expect(tally(await runClockUntil(run.outcomes))).toEqual({ done: 20 });
    // Four at once, then one after each of five pauses.
    expect(notices(run.events)).toHaveLength(5);
    expect(notices(run.events)[0]).toMatch(/^server main: restarting; trying again in \d+ms$/);
  });

  it('does not wait for a long batch that began before', async () => {
    fakeClock();
    const long = Promise.withResolvers<void>();
    const held = place(makeTenants(6), async (tenant, number, task) => {
      if (tenant.id === 't0') await long.promise;
      if (tenant.id === 't1' && number === 1) return task.retry(tenant, new ConnectionLost('cut'), { of: 'server' });
      task.done(tenant, null);
      if (tenant.id === 't5') long.resolve();
    });
    const run = startRun([held], { limits: { perServer: 2 }, outageMs: 60_000 });
    expect(tally(await runClockUntil(run.outcomes))).toEqual({ done: 6 });
  });

  it('is given up after the time it may be away, and another server does not wait for it', async () => {
    fakeClock();
    const gone = place(makeTenants(3), (tenant, _number, task) =>
      task.retry(tenant, new ConnectionLost('gone'), { of: 'server' }),
    );
    const other = place(makeTenants(3, { server: 'other', prefix: 'o' }), (tenant, _number, task) =>
      task.done(tenant, null),
    );
    const run = startRun([gone, other], { outageMs: 5000 });
    expect(tally(await runClockUntil(run.outcomes))).toEqual({ failed: 3, done: 3 });
    expect(outcomeOf(await run.outcomes, 't0')).toMatchObject({ error: { message: 'gone' } });
  });
});

describe('lanes', () => {
  it('keep apart what the place says, and let the rest of a tenant wait for its turn', async () => {
    const lanesOf = (number: number) => new Set([number === 1 ? 'backfill' : 'index']);
    const tenants = makeTenants(6);
    const running = new Set<string>();
    const broken: string[] = [];
    const order: string[] = [];
    const staged = makePlace(tenants, {
      batches: () => tenants.map((tenant) => ({ tenants: [tenant], lanes: lanesOf(1) })),
      mayRunBeside: ({ lanes = new Set() }: Batch, others: Iterable<Batch>) =>
        [...others].every((other) => [...lanes].every((lane) => other.lanes?.has(lane))),
      work: async (_scope, { tenants: [tenant], lanes = new Set() }, task) => {
        if (tenant === undefined) return;
        const [lane = ''] = lanes;
        running.add(lane);
        if (running.size > 1) broken.push([...running].join(' beside '));
        order.push(`${tenant.id} ${lane}`);
        await nextTurn();
        running.delete(lane);
        if (lane === 'backfill') task.goOn(tenant, lanesOf(2));
        else task.done(tenant, lane);
      },
    });
    const run = startRun([staged], { limits: { perDatabase: 2 } });
    const outcomes = await run.outcomes;
    expect(tally(outcomes)).toEqual({ done: 6 });
    expect(outcomes[0]).not.toHaveProperty('attempts');
    expect(broken).toEqual([]);
    // All of the first kind before the first of the second.
    expect(order.map((entry) => entry.split(' ')[1])).toEqual([
      ...Array(6).fill('backfill'),
      ...Array(6).fill('index'),
    ]);
  });

  it('leave a tenant between two turns in the middle when the run stops', async () => {
    const run = startRun(
      [
        place(makeTenants(1), (tenant, _number, task) => {
          task.step(tenant, 'first part');
          task.goOn(tenant, new Set(['index']));
        }),
      ],
      { listen: (event, brakes) => event.type === 'step' && brakes.stop() },
    );
    expect(outcomeOf(await run.outcomes, 't0')).toMatchObject({ status: 'interrupted', step: 'first part' });
  });
});

describe('waves', () => {
  const cut = (tenants: readonly Tenant[], size: number): WavePlan[] =>
    Array.from({ length: Math.ceil(tenants.length / size) }, (_, index) => ({
      name: `wave ${index + 1}`,
      tenants: tenants.slice(index * size, (index + 1) * size),
      mustSucceed: false,
    }));

  it('begin when the one before has ended and is well', async () => {
    const tenants = makeTenants(6);
    const asked: unknown[] = [];
    const run = startRun([place(tenants, (tenant, _number, task) => task.done(tenant, null))], {
      waves: cut(tenants, 2),
      afterWave: async ({ name, number, count, done }) => {
        asked.push([name, number, count, done.map(({ id }) => id).join(' ')]);
        return null;
      },
    });
    expect(tally(await run.outcomes)).toEqual({ done: 6 });
    expect(asked).toEqual([
      ['wave 1', 1, 3, 't0 t1'],
      ['wave 2', 2, 3, 't0 t1 t2 t3'],
    ]);
    const said = run.events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    expect(said).toEqual(['wave 1: 2 tenants', 'wave 2: 2 tenants', 'wave 3: 2 tenants']);
  });

  it('stop where one is not well, and say why to those left', async () => {
    const tenants = makeTenants(6);
    const run = startRun([place(tenants, (tenant, _number, task) => task.done(tenant, null))], {
      waves: cut(tenants, 2),
      afterWave: async ({ number }) => (number === 2 ? 'health check: 1 of 4 tenants complains' : null),
    });
    const outcomes = await run.outcomes;
    expect(tally(outcomes)).toEqual({ done: 4, skipped: 2 });
    expect(outcomeOf(outcomes, 't5')).toMatchObject({ because: 'health check: 1 of 4 tenants complains' });
  });

  it('are not asked about when failures have stopped the run', async () => {
    const tenants = makeTenants(4);
    const run = startRun([place(tenants, (tenant, _number, task) => task.failed(tenant, new Error('broken')))], {
      waves: cut(tenants, 2),
      policy: { maxFailures: 1 },
      limits: { concurrency: 1 },
      afterWave: async () => {
        throw new Error('asked');
      },
    });
    expect(tally(await run.outcomes)).toEqual({ failed: 1, skipped: 3 });
  });
});

describe('on random schedules', () => {
  it.each(testSeeds(30))('every tenant has one end, however often it is given back (seed %i)', async (seed) => {
    const random = makeRandom(seed);
    const tenants = makeTenants(random.between(1, 30));
    const turnsNeeded = new Map(tenants.map((tenant) => [tenant, random.between(1, 4)]));
    const stopAt = random.chance(0.5) ? random.between(1, tenants.length * 2) : null;
    let turns = 0;
    const busy = new Set<Tenant>();
    const broken: string[] = [];
    const source = place(tenants, async (tenant, number, task) => {
      if (busy.has(tenant)) broken.push(`${tenant.id} is given out twice`);
      busy.add(tenant);
      await random.pause(task.signal);
      busy.delete(tenant);
      if (number >= (turnsNeeded.get(tenant) ?? 1)) return task.done(tenant, number);
      if (random.chance(0.3)) return task.goOn(tenant, new Set(['other']));
      const pause = random.chance(0.2)
        ? ({ of: 'server' } as const)
        : ({ of: 'tenant', ms: random.between(0, 5) } as const);
      task.retry(tenant, new ConnectionLost('once more'), pause);
    });
    const run = startRun([source], {
      limits: { perDatabase: random.between(1, 6) },
      outageMs: 60_000,
      listen: (event, brakes) => {
        if (event.type === 'started') turns += 1;
        if (turns === stopAt) brakes.stop();
      },
    });
    const outcomes = await run.outcomes;
    expect(outcomes.map(({ tenant }) => tenant)).toEqual(tenants);
    expect(broken).toEqual([]);
    if (stopAt === null) expect(tally(outcomes)).toEqual({ done: tenants.length });
    for (const outcome of outcomes) {
      if (outcome.status === 'done') expect(outcome.value).toBe(turnsNeeded.get(outcome.tenant));
      else expect(['skipped', 'interrupted']).toContain(outcome.status);
    }
  });
});
