import { afterEach, describe, expect, it, vi } from 'vitest';
import { TenantError } from '../../src/errors.ts';
import {
  fakeClock,
  makePlace,
  makeTenants,
  nextTurn,
  outcomeOf,
  runClockUntil,
  startRun,
  statuses,
  tally,
  untilAborted,
} from './run-harness.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('an interruption', () => {
  it('starts nothing new at the first step, and lets end what runs', async () => {
    const place = makePlace(makeTenants(6), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        await nextTurn();
        expect(task.signal.aborted).toBe(false);
        if (tenant !== undefined) task.done(tenant, null);
      },
    });
    const run = startRun([place], {
      limits: { concurrency: 2 },
      listen: (event, brakes) => event.type === 'started' && event.tenant.id === 't1' && brakes.stop(),
    });
    const outcomes = await run.outcomes;
    expect(statuses(outcomes)).toMatchObject({ t0: 'done', t1: 'done', t2: 'skipped', t5: 'skipped' });
    expect(outcomeOf(outcomes, 't5')).toEqual({
      tenant: expect.anything(),
      status: 'skipped',
      reason: 'not-started',
      durationMs: 0,
    });
  });

  it('lets a tenant that had only waited say so', async () => {
    const place = makePlace(makeTenants(2), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        if (tenant === undefined) return;
        task.step(tenant, 'waiting for the lock');
        await untilAborted(task.stop).catch(() => task.notStarted(tenant));
      },
    });
    const run = startRun([place], {
      limits: { concurrency: 1 },
      listen: (event, brakes) => event.type === 'step' && setImmediate(() => brakes.stop()),
    });
    expect(statuses(await run.outcomes)).toEqual({ t0: 'skipped', t1: 'skipped' });
  });

  it('cancels what runs at the second step: those were in the middle of a named step', async () => {
    const place = makePlace(makeTenants(4), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        if (tenant === undefined) return;
        task.step(tenant, '0001_users');
        if (tenant.id === 't0') return task.done(tenant, null);
        await untilAborted(task.signal);
      },
    });
    const run = startRun([place], {
      limits: { concurrency: 3 },
      listen: (event, brakes) =>
        event.type === 'step' && event.tenant.id === 't2' && setImmediate(() => brakes.cancel()),
    });
    const outcomes = await run.outcomes;
    expect(outcomeOf(outcomes, 't0').status).toBe('done');
    expect(outcomeOf(outcomes, 't1')).toMatchObject({
      status: 'interrupted',
      step: '0001_users',
      error: expect.anything(),
    });
    expect(outcomeOf(outcomes, 't2').status).toBe('interrupted');
  });

  it('keeps the outcome of a tenant that ended in spite of being cancelled', async () => {
    const place = makePlace(makeTenants(1), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        await untilAborted(task.signal).catch(() => {});
        if (tenant !== undefined) task.done(tenant, 'committed');
      },
    });
    const run = startRun([place], {
      listen: (event, brakes) => event.type === 'started' && setImmediate(() => brakes.cancel()),
    });
    expect(outcomeOf(await run.outcomes, 't0')).toMatchObject({ status: 'done', value: 'committed' });
  });

  it('touches no tenant of a place that was still being opened when it was cancelled', async () => {
    const place = makePlace(makeTenants(3), { open: (signal) => untilAborted(signal), work: async () => {} });
    const run = startRun([place]);
    setImmediate(() => run.brakes.cancel());
    expect(tally(await run.outcomes)).toEqual({ skipped: 3 });
  });

  it('closes the places that were open', async () => {
    const closed: string[] = [];
    const place = makePlace(makeTenants(3), {
      work: async (_scope, _batch, task) => untilAborted(task.signal),
      close: async () => void closed.push('closed'),
    });
    const run = startRun([place], {
      listen: (event, brakes) => event.type === 'started' && setImmediate(() => brakes.cancel()),
    });
    await run.outcomes;
    expect(closed).toEqual(['closed']);
  });

  it('resolves at once at the third step, and nothing that ends later changes the outcomes', async () => {
    const late = Promise.withResolvers<void>();
    const place = makePlace(makeTenants(2), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        if (tenant === undefined) return;
        task.step(tenant, 'deaf');
        await late.promise;
        task.done(tenant, 'too late');
      },
    });
    const run = startRun([place], {
      limits: { concurrency: 1 },
      listen: (event, brakes) => event.type === 'step' && setImmediate(() => brakes.abandon()),
    });
    const outcomes = await run.outcomes;
    const before = structuredClone(outcomes);
    const eventsBefore = run.events.length;
    late.resolve();
    await nextTurn();
    expect(outcomes).toEqual(before);
    expect(run.events.length).toBe(eventsBefore);
    expect(outcomeOf(outcomes, 't0')).toMatchObject({ status: 'interrupted', step: 'deaf' });
    expect(outcomeOf(outcomes, 't1')).toMatchObject({ status: 'skipped' });
  });

  it('starts nothing when it came before the run', async () => {
    const work = vi.fn();
    const stopped = AbortSignal.abort();
    const never = new AbortController().signal;
    const run = startRun([makePlace(makeTenants(3), { work })], {
      interrupts: { stop: stopped, cancel: never, abandon: never },
    });
    expect(tally(await run.outcomes)).toEqual({ skipped: 3 });
    expect(work).not.toHaveBeenCalled();
  });
});

describe('--timeout', () => {
  const slow = 't3';
  const makeSlow = (size: number) =>
    makePlace(makeTenants(8), {
      size,
      work: async (_scope, batch, task) => {
        for (const tenant of batch.tenants) task.step(tenant, 'copying');
        if (batch.tenants.some(({ id }) => id === slow)) {
          await untilAborted(task.signal).catch(() => {
            throw new Error('canceling statement due to user request');
          });
        }
        for (const tenant of batch.tenants) task.done(tenant, null);
      },
    });

  it.each([1, 8])('gives up on the tenant that takes too long, and on no other (batches of %i)', async (size) => {
    fakeClock();
    const outcomes = await runClockUntil(startRun([makeSlow(size)], { timeoutMs: 15 * 60_000 }).outcomes);
    expect(tally(outcomes)).toEqual({ done: 7, failed: 1 });
    expect(outcomeOf(outcomes, slow)).toMatchObject({
      status: 'failed',
      step: 'copying',
      error: { code: 'timeout', message: 'gave up after 15min', hint: expect.stringContaining('--timeout') },
    });
  });

  it.each([
    ['57014', undefined],
    ['23505', '23505'],
  ])('keeps what else is known of the tenant (SQLSTATE %s)', async (sqlState, kept) => {
    fakeClock();
    const known = { file: 'migrations/0002_b.sql', line: 3, column: 1, detail: 'already committed: 0001_a' };
    const place = makePlace(makeTenants(1), {
      work: async (_scope, _batch, task) => {
        await untilAborted(task.signal).catch(() => {
          throw new TenantError({ message: 'canceling statement', hint: 'try again', sqlState, ...known });
        });
      },
    });
    const [outcome] = await runClockUntil(startRun([place], { timeoutMs: 1000 }).outcomes);
    expect(outcome).toMatchObject({
      error: { ...known, code: 'timeout', message: 'gave up after 1s', hint: expect.stringContaining('--timeout') },
    });
    expect(outcome?.status === 'failed' ? outcome.error.sqlState : null).toBe(kept);
  });

  it('keeps no timer that would fire later', async () => {
    fakeClock();
    const place = makePlace(makeTenants(3), {
      work: async (_scope, { tenants: [tenant] }, task) => task.done(tenant as never, null),
    });
    await startRun([place], { timeoutMs: 1000 }).outcomes;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not fire at once when it is longer than a timer can be', async () => {
    const tenants = makeTenants(1000);
    let attempts = 0;
    const place = makePlace(tenants, {
      size: 1000,
      work: async (_scope, batch, task) => {
        attempts += 1;
        // A timer that is too long is taken for one of 1 ms, which would come first.
        await new Promise((resolve) => setTimeout(resolve, 5));
        task.signal.throwIfAborted();
        for (const tenant of batch.tenants) task.done(tenant, null);
      },
    });
    const run = startRun([place], { timeoutMs: 24 * 3_600_000 });
    expect(tally(await run.outcomes)).toEqual({ done: 1000 });
    expect(attempts).toBe(1);
  });
});
