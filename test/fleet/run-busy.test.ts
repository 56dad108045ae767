import { afterEach, describe, expect, it, vi } from 'vitest';
import { cutWaves } from '../../src/fleet/cut-waves.ts';
import {
  fakeClock,
  makePlace,
  makeTenants,
  NoConnectionLeft,
  nextTurn,
  notices,
  outcomeOf,
  runClockUntil,
  startRun,
  statuses,
  tally,
} from './run-harness.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('a server without free connections', () => {
  it('gets half of our connections, once for all that were refused together, and the tenants another turn', async () => {
    fakeClock();
    let inUse = 0;
    let mostLater = 0;
    let refusals = 0;
    const other = makePlace(makeTenants(6, { server: 'other', prefix: 'o' }), {
      work: async (_scope, { tenants: [tenant] }, task) => task.done(tenant as never, null),
    });
    const place = makePlace(makeTenants(20), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        inUse += 1;
        if (refusals >= 8) mostLater = Math.max(mostLater, inUse);
        try {
          for (let turn = 0; turn < 3; turn += 1) await nextTurn();
          refusals += 1;
          if (refusals <= 8) throw new NoConnectionLeft('no connection left');
          task.done(tenant as never, null);
        } finally {
          inUse -= 1;
        }
      },
    });
    const run = startRun([place, other], { limits: { perServer: 8 } });
    const outcomes = await runClockUntil(run.outcomes);
    expect(tally(outcomes)).toEqual({ done: 26 });
    expect(mostLater).toBe(4);
    expect(notices(run.events)).toEqual(['server main has no free connections: going on with 4 at once']);
  });

  it('keeps the lower limit after the canary', async () => {
    fakeClock();
    let refused = false;
    let inUse = 0;
    let most = 0;
    const place = makePlace(makeTenants(9), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        inUse += 1;
        most = Math.max(most, inUse);
        await nextTurn();
        inUse -= 1;
        if (!refused) {
          refused = true;
          throw new NoConnectionLeft('no connection left');
        }
        task.done(tenant as never, null);
      },
    });
    const run = startRun([place], { limits: { perServer: 8 }, waves: cutWaves(place.tenants, 1, []) });
    expect(tally(await runClockUntil(run.outcomes))).toEqual({ done: 9 });
    // One was in use when the server refused, and half of it is one.
    expect(most).toBe(1);
  });

  it('is given up after some attempts', async () => {
    fakeClock();
    const work = vi.fn(async () => {
      throw new NoConnectionLeft('no connection left');
    });
    const outcomes = await runClockUntil(startRun([makePlace(makeTenants(2), { size: 2, work })]).outcomes);
    expect(tally(outcomes)).toEqual({ failed: 2 });
    expect(outcomeOf(outcomes, 't0')).toMatchObject({ error: { message: 'no connection left' } });
    expect(work).toHaveBeenCalledTimes(7);
  });

  it('is not asked again for tenants that all had their outcome', async () => {
    fakeClock();
    const attempts: string[][] = [];
    const place = makePlace(makeTenants(2), {
      size: 2,
      work: async (_scope, batch, task) => {
        attempts.push(batch.tenants.map(({ id }) => id));
        for (const tenant of batch.tenants) task.done(tenant, null);
        throw new NoConnectionLeft('no connection left');
      },
    });
    expect(tally(await runClockUntil(startRun([place]).outcomes))).toEqual({ done: 2 });
    expect(attempts).toEqual([['t0', 't1']]);
  });

  it('is asked again too when a place could not be opened', async () => {
    fakeClock();
    let attempts = 0;
    const closed: unknown[] = [];
    const place = makePlace(makeTenants(2), {
      open: async () => {
        attempts += 1;
        if (attempts < 4) throw new NoConnectionLeft('no connection left');
        return attempts;
      },
      work: async (_scope, { tenants: [tenant] }, task) => task.done(tenant as never, null),
      close: async (scope) => void closed.push(scope),
    });
    expect(tally(await runClockUntil(startRun([place]).outcomes))).toEqual({ done: 2 });
    expect(closed).toEqual([4]);
  });

  it('leaves a tenant untouched whose turn does not come any more', async () => {
    fakeClock();
    const place = makePlace(makeTenants(2), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        await nextTurn();
        if (tenant?.id === 't0') throw new NoConnectionLeft('no connection left');
        task.done(tenant as never, null);
      },
    });
    const run = startRun([place], {
      listen: (event, brakes) => event.type === 'settled' && brakes.stop(),
    });
    const outcomes = await runClockUntil(run.outcomes);
    expect(statuses(outcomes)).toEqual({ t0: 'skipped', t1: 'done' });
  });
});

describe('a server without free connections, when the run is stopped', () => {
  const refusedAtStep = (step: string | null) => {
    const place = makePlace(makeTenants(1), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        if (tenant !== undefined && step !== null) task.step(tenant, step);
        await nextTurn();
        throw new NoConnectionLeft('no connection left');
      },
    });
    return startRun([place], { listen: (event, brakes) => event.type === 'started' && brakes.stop() });
  };

  it('is not asked for less any more', async () => {
    const run = refusedAtStep(null);
    expect(statuses(await run.outcomes)).toEqual({ t0: 'skipped' });
    expect(notices(run.events)).toEqual([]);
  });

  it('leaves a tenant in the middle that had named a step', async () => {
    const outcomes = await refusedAtStep('copying').outcomes;
    expect(outcomeOf(outcomes, 't0')).toMatchObject({
      status: 'interrupted',
      step: 'copying',
      error: { message: 'no connection left' },
    });
  });
});
