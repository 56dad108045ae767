import { describe, expect, it } from 'vitest';
import { Occupancy } from '../../src/fleet/limits.ts';
import type { Place } from '../../src/fleet/place.ts';
import { makeRandom, testSeeds } from '../support/random.ts';
import { makePlace, makeTenants, NoConnectionLeft, startRun, tally } from './run-harness.ts';

/** Counts connections as the server would see them: held by places, and in work. */
function makeHolders(places: number, tenants: number, pause: () => Promise<void>) {
  const seen = { now: 0, most: 0, open: 0 };
  const use = (connections: number) => {
    seen.now += connections;
    seen.most = Math.max(seen.most, seen.now);
  };
  const list = Array.from(
    { length: places },
    (_, index): Place =>
      makePlace(makeTenants(tenants, { database: `d${index}`, prefix: `p${index}-` }), {
        heldConnections: 1,
        open: async () => {
          use(1);
          seen.open += 1;
          await pause();
        },
        work: async (_scope, batch, task) => {
          use(1);
          await pause();
          use(-1);
          for (const tenant of batch.tenants) task.done(tenant, null);
        },
        close: async () => {
          use(-1);
          seen.open -= 1;
        },
      }),
  );
  return { list, seen };
}

describe('places that hold a connection', () => {
  it.each(testSeeds(10))('never take more than the limit, and never wait for each other, seed %i', async (seed) => {
    const random = makeRandom(seed);
    const perServer = random.between(2, 5);
    const { list, seen } = makeHolders(random.between(1, 6), random.between(1, 7), () => random.pause());
    const limits = { concurrency: 16, perServer, perDatabase: random.between(2, 5) };
    const outcomes = await startRun(list, { limits }).outcomes;
    expect(tally(outcomes)).toEqual({ done: outcomes.length });
    expect(seen.most).toBeLessThanOrEqual(perServer);
    expect([seen.now, seen.open]).toEqual([0, 0]);
  });

  it('go on one batch at a time when the server has no connection left for more', async () => {
    let refusals = 0;
    const place = makePlace(makeTenants(6), {
      heldConnections: 1,
      work: async (_scope, { tenants: [tenant] }, task) => {
        refusals += 1;
        if (refusals <= 3) throw new NoConnectionLeft('no connection left');
        task.done(tenant as never, null);
      },
    });
    const { outcomes } = startRun([place], { limits: { concurrency: 4, perServer: 2, perDatabase: 2 } });
    expect(tally(await outcomes)).toEqual({ done: 6 });
  });

  it('may work for the database itself, in a batch without tenants', async () => {
    const worked: number[] = [];
    const tenants = makeTenants(2);
    const place = makePlace(tenants, {
      batches: () => [{ tenants: [] }, { tenants }],
      work: async (_scope, batch, task) => {
        worked.push(batch.tenants.length);
        if (batch.tenants.length === 0) throw new Error('its own affair');
        for (const tenant of batch.tenants) task.done(tenant, null);
      },
    });
    expect(tally(await startRun([place], { timeoutMs: 60_000 }).outcomes)).toEqual({ done: 2 });
    expect(worked).toEqual([0, 2]);
  });

  it('are no failures when the run is stopped while they open', async () => {
    const begun = Promise.withResolvers<void>();
    const opened = Promise.withResolvers<void>();
    const place = makePlace(makeTenants(3), {
      open: async () => {
        begun.resolve();
        await opened.promise;
        throw new Error('stopped waiting');
      },
      work: async () => {},
    });
    const run = startRun([place]);
    await begun.promise;
    run.brakes.stop();
    opened.resolve();
    expect(tally(await run.outcomes)).toEqual({ skipped: 3 });
  });
});

describe('Occupancy', () => {
  it('opens a place only where a connection is left for its work', () => {
    const occupancy = new Occupancy({
      fleet: { concurrency: 9, perServer: 3, perDatabase: 3 },
      perServer: new Map(),
      perDatabase: new Map(),
    });
    occupancy.hold('main', 'a', 1);
    expect(occupancy.hasRoomToOpen('main', 'b', 1)).toBe(true);
    occupancy.hold('main', 'b', 1);
    expect(occupancy.hasRoomToOpen('main', 'c', 1)).toBe(false);
    expect(occupancy.hasRoom('main', 'a', 1)).toBe(true);
    occupancy.take('main', 'a', 1);
    expect(occupancy.hasRoom('main', 'b', 1)).toBe(false);
  });
});
