import { describe, expect, it } from 'vitest';
import { cutWaves } from '../../src/fleet/cut-waves.ts';
import type { Tenant } from '../../src/fleet/tenant.ts';
import { makePlace, makeTenants, nextTurn, notices, outcomeOf, startRun, statuses, tally } from './run-harness.ts';

/** One tenant a batch; `fails` says with what message a tenant fails, null: it is done. */
function place(tenants: readonly Tenant[], fails: (tenant: Tenant) => string | null) {
  return makePlace(tenants, {
    work: async (_scope, { tenants: [tenant] }, task) => {
      if (tenant === undefined) return;
      await nextTurn();
      const message = fails(tenant);
      if (message === null) task.done(tenant, null);
      else task.failed(tenant, new Error(message));
    },
  });
}

const everyone = (tenant: Tenant) => `failed for reason ${tenant.id}`;

describe('--max-failures', () => {
  it('starts nothing new after that many failures, and says why to those left', async () => {
    const run = startRun([place(makeTenants(10), everyone)], {
      limits: { concurrency: 1 },
      policy: { maxFailures: 3 },
    });
    const outcomes = await run.outcomes;
    expect(tally(outcomes)).toEqual({ failed: 3, skipped: 7 });
    const because = '3 tenants failed: no further tenant is started (--max-failures)';
    expect(outcomeOf(outcomes, 't9')).toMatchObject({ reason: 'not-started', because });
    expect(notices(run.events)).toEqual([because]);
  });

  it('lets those end that are running', async () => {
    const run = startRun([place(makeTenants(10), ({ id }) => (id === 't0' ? 'broken' : null))], {
      limits: { concurrency: 4 },
      policy: { maxFailures: 1 },
    });
    expect(statuses(await run.outcomes)).toMatchObject({
      t0: 'failed',
      t1: 'done',
      t2: 'done',
      t3: 'done',
      t4: 'skipped',
    });
  });

  it('lets the first failure stop the run when it is 0', async () => {
    const run = startRun([place(makeTenants(3), everyone)], { limits: { concurrency: 1 }, policy: { maxFailures: 0 } });
    expect(tally(await run.outcomes)).toEqual({ failed: 1, skipped: 2 });
  });

  it('counts a tenant once, however often it is said to have failed', async () => {
    const twice = makePlace(makeTenants(4), {
      work: async (_scope, { tenants: [tenant] }, task) => {
        if (tenant === undefined) return;
        if (tenant.id === 't0') task.failed(tenant, new Error('once'));
        if (tenant.id === 't0') task.failed(tenant, new Error('twice'));
        else task.done(tenant, null);
      },
    });
    const run = startRun([twice], { limits: { concurrency: 1 }, policy: { maxFailures: 2 } });
    expect(tally(await run.outcomes)).toEqual({ failed: 1, done: 3 });
  });

  it('says of a batch that was to be halved that it was in the middle, and why', async () => {
    const tenants = makeTenants(4);
    const halved = makePlace(tenants, {
      size: 4,
      work: async (_scope, batch, task) => {
        await nextTurn();
        if (batch.tenants.length > 1) throw new Error('too much at once');
        for (const tenant of batch.tenants) task.failed(tenant, new Error('broken'));
      },
    });
    const run = startRun([halved], { limits: { concurrency: 1 }, policy: { maxFailures: 1 } });
    const outcomes = await run.outcomes;
    expect(tally(outcomes)).toEqual({ failed: 1, interrupted: 3 });
    expect(outcomeOf(outcomes, 't3')).toMatchObject({ error: { message: 'too much at once' } });
  });
});

describe('--max-same-cause', () => {
  const policy = { maxSameCause: 3 };
  const limits = { concurrency: 1 };

  it('starts nothing new when so many failed for one cause, their own names aside', async () => {
    const run = startRun([place(makeTenants(10), ({ schema }) => `schema "${schema}" is odd`)], { policy, limits });
    const outcomes = await run.outcomes;
    expect(tally(outcomes)).toEqual({ failed: 3, skipped: 7 });
    expect(notices(run.events)).toEqual([
      '3 tenants failed for one cause: no further tenant is started (--max-same-cause)',
    ]);
  });

  it('goes on when each has a cause of its own', async () => {
    const causes = (tenant: Tenant) => `reason ${'x'.repeat(Number(tenant.id.slice(1)) % 5)}`;
    const run = startRun([place(makeTenants(10), causes)], { policy, limits });
    expect(tally(await run.outcomes)).toEqual({ failed: 10 });
  });
});

describe('--canary', () => {
  it('starts the others when all canaries are done', async () => {
    const canaries = new Set(['t0', 't1', 't2']);
    const tooEarly: string[] = [];
    const notDone = new Set(canaries);
    const tenants = makeTenants(8);
    const run = startRun([place(tenants, () => null)], {
      waves: cutWaves(tenants, 3, []),
      listen: (event) => {
        if (event.type === 'settled') notDone.delete(event.outcome.tenant.id);
        if (event.type === 'started' && !canaries.has(event.tenant.id) && notDone.size > 0)
          tooEarly.push(event.tenant.id);
      },
    });
    expect(tally(await run.outcomes)).toEqual({ done: 8 });
    expect(tooEarly).toEqual([]);
  });

  it('leaves the others alone when one did not succeed', async () => {
    const tenants = makeTenants(8);
    const run = startRun([place(tenants, ({ id }) => (id === 't1' ? 'broken' : null))], {
      waves: cutWaves(tenants, 3, []),
    });
    const outcomes = await run.outcomes;
    expect(statuses(outcomes)).toMatchObject({ t0: 'done', t1: 'failed', t2: 'done', t3: 'skipped', t7: 'skipped' });
    expect(outcomeOf(outcomes, 't7')).toMatchObject({
      reason: 'not-started',
      because: 'the canary did not succeed: the other tenants were not started',
    });
  });

  it('is not blamed when it was the operator who stopped', async () => {
    const tenants = makeTenants(4);
    const run = startRun([place(tenants, () => null)], {
      waves: cutWaves(tenants, 2, []),
      limits: { concurrency: 1 },
      listen: (event, brakes) => event.type === 'started' && brakes.stop(),
    });
    const outcomes = await run.outcomes;
    expect(tally(outcomes)).toEqual({ done: 1, skipped: 3 });
    expect(notices(run.events)).toEqual([]);
    expect(outcomeOf(outcomes, 't3')).not.toHaveProperty('because');
  });

  it('opens and closes a place once for the canaries and once for the others', async () => {
    const calls: string[] = [];
    const tenants = makeTenants(4);
    const watched = {
      ...place(tenants, () => null),
      open: async () => void calls.push('open'),
      close: async () => void calls.push('close'),
    };
    await startRun([watched], { waves: cutWaves(tenants, 2, []) }).outcomes;
    expect(calls).toEqual(['open', 'close', 'open', 'close']);
  });
});
