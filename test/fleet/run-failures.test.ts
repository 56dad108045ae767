import { describe, expect, it, vi } from 'vitest';
import type { Batch } from '../../src/fleet/place.ts';
import {
  ConnectionLost,
  cut,
  makePlace,
  makeTenants,
  nextTurn,
  notices,
  outcomeOf,
  startRun,
  statuses,
  tally,
} from './run-harness.ts';

const ids = ({ tenants }: Batch) => tenants.map(({ id }) => id);

describe('a batch that fails as a whole', () => {
  it('is halved until the guilty tenant stands alone: 49 of 50 are done', async () => {
    const tenants = makeTenants(50);
    const sizes: number[] = [];
    const place = makePlace(tenants, {
      size: 50,
      work: async (_scope, batch, task) => {
        sizes.push(batch.tenants.length);
        await nextTurn();
        if (ids(batch).includes('t31')) throw new Error('t31 is broken');
        for (const tenant of batch.tenants) task.done(tenant, null);
      },
    });
    const outcomes = await startRun([place]).outcomes;
    expect(tally(outcomes)).toEqual({ done: 49, failed: 1 });
    expect(outcomeOf(outcomes, 't31')).toMatchObject({ status: 'failed', error: { message: 't31 is broken' } });
    // Two for each time that 50 can be halved, not one for each tenant.
    expect(sizes.length).toBeLessThanOrEqual(1 + 2 * Math.ceil(Math.log2(50)));
  });

  it('keeps its connections and its order when it is halved', async () => {
    const tenants = makeTenants(4);
    const seen: string[] = [];
    const place = makePlace(tenants, {
      batches: () => [{ tenants, connections: 3 }],
      work: async (_scope, batch, task) => {
        seen.push(`${ids(batch).join(' ')} with ${batch.connections}`);
        if (batch.tenants.length > 1) throw new Error('one at a time, please');
        for (const tenant of batch.tenants) task.done(tenant, null);
      },
    });
    const outcomes = await startRun([place], { limits: { concurrency: 1 } }).outcomes;
    expect(tally(outcomes)).toEqual({ done: 4 });
    expect(seen.filter((line) => /^t\d+ with/.test(line))).toEqual([0, 1, 2, 3].map((n) => `t${n} with 3`));
  });

  it('is not tried again for the tenants that have an outcome already', async () => {
    const tenants = makeTenants(4);
    const attempts: string[][] = [];
    const place = makePlace(tenants, {
      size: 4,
      work: async (_scope, batch, task) => {
        attempts.push(ids(batch));
        for (const tenant of batch.tenants) {
          if (tenant.id === 't1') task.failed(tenant, new Error('told'));
          else if (tenant.id === 't3') throw new Error('thrown');
          else task.done(tenant, null);
        }
      },
    });
    const outcomes = await startRun([place]).outcomes;
    expect(statuses(outcomes)).toEqual({ t0: 'done', t1: 'failed', t2: 'done', t3: 'failed' });
    expect(outcomeOf(outcomes, 't1')).toMatchObject({ error: { message: 'told' } });
    expect(attempts).toEqual([['t0', 't1', 't2', 't3']]);
  });

  it('is not halved when the connection is lost: that would be a storm of attempts', async () => {
    const work = vi.fn(async () => {
      throw new ConnectionLost('server is down');
    });
    const outcomes = await startRun([makePlace(makeTenants(40), { size: 20, work })]).outcomes;
    expect(work).toHaveBeenCalledTimes(2);
    expect(tally(outcomes)).toEqual({ failed: 40 });
    expect(outcomeOf(outcomes, 't39')).toMatchObject({ error: { message: 'server is down' } });
  });

  it('fails, as a bug of ours, the tenants that it forgot', async () => {
    const tenants = makeTenants(3);
    const place = makePlace(tenants, {
      batches: () => cut(tenants.slice(0, 2), 2),
      work: async (_scope, batch, task) => task.done(batch.tenants[0] as never, null),
    });
    const outcomes = await startRun([place]).outcomes;
    expect(statuses(outcomes)).toEqual({ t0: 'done', t1: 'failed', t2: 'failed' });
    expect(outcomeOf(outcomes, 't1')).toMatchObject({ error: { code: 'internal' } });
    expect(outcomeOf(outcomes, 't2')).toMatchObject({ error: { code: 'internal' } });
  });

  it('leaves the first word about a tenant standing', async () => {
    const place = makePlace(makeTenants(2), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        if (tenant?.id === 't0') task.done(tenant, 'first');
        if (tenant !== undefined) task.failed(tenant, new Error('second'));
        if (tenant !== undefined) task.done(tenant, 'third');
      },
    });
    const outcomes = await startRun([place]).outcomes;
    expect(outcomeOf(outcomes, 't0')).toMatchObject({ status: 'done', value: 'first' });
    expect(outcomeOf(outcomes, 't1')).toMatchObject({ status: 'failed', error: { message: 'second' } });
  });
});

describe('a place', () => {
  it('fails its own tenants alone when it cannot be opened, and is not closed then', async () => {
    const close = vi.fn();
    const broken = makePlace(makeTenants(3, { database: 'gone', prefix: 'g' }), {
      open: async () => {
        throw new Error('no such database');
      },
      work: async () => {},
      close,
    });
    const fine = makePlace(makeTenants(2), {
      work: async (_scope, { tenants: [tenant] }, task) => task.done(tenant as never, null),
    });
    const outcomes = await startRun([broken, fine]).outcomes;
    expect(tally(outcomes)).toEqual({ failed: 3, done: 2 });
    expect(outcomeOf(outcomes, 'g2')).toMatchObject({ step: null, error: { message: 'no such database' } });
    expect(close).not.toHaveBeenCalled();
  });

  it('is closed when its work could not be cut, and says what went wrong at closing without failing a tenant', async () => {
    const closed: string[] = [];
    const uncut = makePlace(makeTenants(1, { database: 'uncut', prefix: 'u' }), {
      open: async () => 'uncut',
      batches: () => {
        throw new Error('no batches');
      },
      work: async () => {},
      close: async (scope) => void closed.push(scope as string),
    });
    const stuck = makePlace(makeTenants(1), {
      open: async () => 'stuck',
      work: async (_scope, { tenants: [tenant] }, task) => task.done(tenant as never, null),
      close: async () => {
        closed.push('stuck');
        throw new Error('cannot let go');
      },
    });
    const run = startRun([uncut, stuck]);
    expect(statuses(await run.outcomes)).toEqual({ u0: 'failed', t0: 'done' });
    expect(closed.toSorted()).toEqual(['stuck', 'uncut']);
    expect(notices(run.events)).toEqual(['closing saas: Error: cannot let go']);
  });

  it('comes first when it is the largest', async () => {
    const begun: string[] = [];
    const places = [3, 9, 1, 6].map((size) =>
      makePlace(makeTenants(size, { database: `db${size}`, prefix: `d${size}t` }), {
        open: async () => void begun.push(`db${size}`),
        work: async (_scope, { tenants: [tenant] }, task) => task.done(tenant as never, null),
      }),
    );
    await startRun(places, { limits: { concurrency: 1 } }).outcomes;
    expect(begun).toEqual(['db9', 'db6', 'db3', 'db1']);
  });
});

it('lets a batch that is larger than a limit run alone', async () => {
  let inUse = 0;
  const seen: number[] = [];
  const tenants = makeTenants(6);
  const place = makePlace(tenants, {
    batches: () => cut(tenants, 1).map((batch, index) => ({ ...batch, connections: index === 2 ? 5 : 1 })),
    work: async (_scope, batch, task) => {
      inUse += batch.connections ?? 1;
      if (batch.connections === 5) seen.push(inUse);
      await nextTurn();
      inUse -= batch.connections ?? 1;
      task.done(batch.tenants[0] as never, null);
    },
  });
  expect(tally(await startRun([place], { limits: { perDatabase: 2 } }).outcomes)).toEqual({ done: 6 });
  expect(seen).toEqual([5]);
});

it('goes on when a listener throws at every event', async () => {
  const place = makePlace(makeTenants(5), {
    size: 5,
    work: async (_scope, batch, task) => {
      for (const tenant of batch.tenants) task.step(tenant, 'working');
      if (ids(batch).includes('t2')) throw new Error('t2 is broken');
      for (const tenant of batch.tenants) task.done(tenant, null);
    },
  });
  const run = startRun([place], {
    listen: () => {
      throw new Error('the terminal is gone');
    },
  });
  expect(tally(await run.outcomes)).toEqual({ done: 4, failed: 1 });
});
