import { type Failure, TenantError } from '../errors.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { Tenant } from '../fleet/tenant.ts';
import type { TenantSleep } from '../fleet/tenant-state.ts';
import { shellQuote } from '../words.ts';
import { dayOf, sleepWords } from './sleep-words.ts';

/** Selected tenants that discovery could not use. */
export function rejectFailed(selected: readonly Tenant[], failures: ReadonlyMap<Tenant, Failure>): Outcome<never>[] {
  return selected.flatMap((tenant) => {
    const error = failures.get(tenant);
    return error === undefined ? [] : [{ tenant, status: 'failed', step: 'discovery', error, durationMs: 0 }];
  });
}

/** Selected tenants that are left out, with what keeps them from being worked on. */
export function rejectSkipped(tenants: ReadonlyMap<Tenant, string>): Outcome<never>[] {
  return [...tenants].map(([tenant, because]) => ({
    tenant,
    status: 'skipped',
    reason: 'not-started',
    because,
    durationMs: 0,
  }));
}

/** Selected tenants that are not active. Those that sleep are well; those on their way need somebody to carry on. */
export function rejectSleeping(sleeping: ReadonlyMap<Tenant, TenantSleep>): Outcome<never>[] {
  return [...sleeping].map(([tenant, sleep]) => {
    const { state, how, since } = sleep;
    if (state !== 'hibernated') {
      return { tenant, status: 'failed', step: null, error: onItsWay(sleep), durationMs: 0 };
    }
    if (sleep.isNameTaken)
      return { tenant, status: 'failed', step: null, error: nameTaken(tenant, sleep), durationMs: 0 };
    const because = `since ${dayOf(since)} (${how}): tenantctl wake -t ${shellQuote(tenant.id)}`;
    return { tenant, status: 'skipped', reason: 'hibernated', because, durationMs: 0 };
  });
}

/** What stands there was never dumped or migrated as this tenant, and would not be: that must not go unseen. */
export function nameTaken({ database, schema }: Tenant, sleep: TenantSleep): Failure {
  const place = schema === null ? `database ${database}` : `schema ${schema}`;
  return {
    message: `it is ${sleepWords(sleep)}, and another ${place} stands in its place`,
    code: 'name-taken',
    hint: `nobody takes care of that one: rename it, and it is a tenant of its own; drop it, if it is nobody's`,
  };
}

function onItsWay({ state, since, run }: TenantSleep): Failure {
  const at = since.toISOString().replace(/\.\d+Z$/, 'Z');
  if (state === 'waking') {
    return {
      message: `is being woken since ${at} by run ${run}`,
      code: 'waking',
      hint: 'wait for that run; if it has ended, carry on: tenantctl wake',
    };
  }
  return {
    message: `is being put to sleep since ${at} by run ${run}`,
    code: 'hibernating',
    hint: 'wait for that run; if it has ended, carry on: tenantctl hibernate, or take it back: tenantctl wake',
  };
}

/** For a command about one tenant, which has nothing to do when that one is left alone. */
export function leftAlone({ tenant, reason, because }: Extract<Outcome, { status: 'skipped' }>): TenantError {
  const why = because === undefined ? reason : `${reason}, ${because}`;
  return new TenantError({ message: `${tenant.id}: ${why}`, code: reason });
}
