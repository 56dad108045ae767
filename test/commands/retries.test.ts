import { describe, expect, it } from 'vitest';
import { Retries } from '../../src/commands/retries.ts';
import { RepeatableError } from '../../src/migrations/repeatable.ts';
import { LockedError } from '../../src/postgres/lock-wait.ts';

const limits = { tries: 20, retryForMs: 300_000, lockWaitMs: 30_000, timeoutMs: null };
const lockTimeout = new RepeatableError(Object.assign(new Error('lock timeout'), { code: '55P03' }), {
  mayRepeat: true,
  committing: null,
});
const locked = new LockedError('tenant', null);

/** How often it is tried again when each attempt takes 2 s and its turn comes `queueMs` after the pause. */
function countPauses(retries: Retries, error: unknown, queueMs: number): number {
  let now = 0;
  for (let count = 0; ; count += 1) {
    retries.begin(now);
    now += 2000;
    const pause = retries.after(error, now);
    if (pause === null) return count;
    now += ('ms' in pause ? pause.ms : 0) + queueMs;
  }
}

describe('Retries', () => {
  it('do not count the time behind other tenants in the queue', () => {
    expect(countPauses(new Retries(limits), lockTimeout, 0)).toBe(19);
    expect(countPauses(new Retries(limits), lockTimeout, 600_000)).toBe(19);
    expect(countPauses(new Retries({ ...limits, retryForMs: 20_000 }), lockTimeout, 600_000)).toBeLessThan(8);
  });

  it('end when the time for a lock of ours is over, and when that of the tenant is', () => {
    expect(countPauses(new Retries({ ...limits, lockWaitMs: 0 }), locked, 0)).toBe(0);
    const pauses = countPauses(new Retries(limits), locked, 0);
    expect(pauses).toBeGreaterThan(9);
    expect(countPauses(new Retries({ ...limits, timeoutMs: 5000 }), locked, 600_000)).toBeLessThan(pauses);
  });

  it('begin anew with the next stage', () => {
    const retries = new Retries({ ...limits, tries: 2 });
    retries.begin(0);
    expect(retries.after(lockTimeout, 10)).toMatchObject({ of: 'tenant' });
    retries.begin(20);
    retries.nextStage(30);
    retries.begin(3_600_000);
    expect(retries.after(lockTimeout, 3_600_010)).toMatchObject({ of: 'tenant' });
    retries.begin(3_700_000);
    expect(retries.after(lockTimeout, 3_700_010)).toBeNull();
  });

  it('leave alone what will not pass by itself', () => {
    const retries = new Retries(limits);
    retries.begin(0);
    expect(retries.after(Object.assign(new Error('exists'), { code: '42P07' }), 1)).toBeNull();
  });
});
