import type { Context } from '../../context.ts';
import type { Failure } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { ChangeSettings } from '../change-settings.ts';
import type { Fleet } from '../open-fleet.ts';
import { changeSleepers } from './change-sleepers.ts';
import { untilCancelled, withoutOutcomes } from './later-outcomes.ts';
import { type Reopened, reopenTenant } from './reopen-tenant.ts';

type Unfinished = Exclude<Outcome, { readonly status: 'done' }>;

export interface Fallen {
  /** At what it failed. */
  readonly outcome: Unfinished;
  /** The answer to the COMMIT of its drop may have been lost. */
  readonly mayBeDropped: boolean;
}

/** How a tenant ends that did not come through, and whether it is in use for certain. */
export interface GivenBack {
  readonly outcome: Unfinished;
  readonly isInUse: boolean;
}

/**
 * Gives tenants back that were not put to sleep after all, and says of each what is true: it is in use as before, or its
 * fence is still closed. A first Ctrl-C is no reason to leave them behind one.
 */
export async function reopenTenants(
  context: Context,
  fleet: Fleet,
  fallen: ReadonlyMap<Tenant, Fallen>,
  settings: ChangeSettings,
): Promise<readonly GivenBack[]> {
  const quiet = {
    ...context,
    emit: withoutOutcomes(context.emit),
    interrupts: untilCancelled(context.interrupts),
  };
  const outcomes = await changeSleepers<Reopened>(
    quiet,
    fleet,
    {
      phase: 'opening again',
      tenants: [...fallen.keys()],
      change: (session, tenant, take) => {
        take.onStep('opening the fence');
        return reopenTenant(session, tenant, fleet.run);
      },
    },
    // Each of them is worth trying, however many fail.
    { ...settings, maxFailures: null, maxSameCause: null, timeoutMs: null },
  );
  return outcomes.map((outcome) => ({
    outcome: judge(fallen.get(outcome.tenant)!, outcome),
    isInUse: outcome.status === 'done' && (outcome.value.what === 'opened' || outcome.value.what === 'already'),
  }));
}

function judge({ outcome: before, mayBeDropped }: Fallen, opened: Outcome<Reopened>): Unfinished {
  if (opened.status !== 'done') {
    const why = 'error' in opened && opened.error !== undefined ? opened.error : { message: 'it was not tried' };
    const error = notOpened('error' in before ? before.error : undefined, why, mayBeDropped);
    const { tenant, durationMs } = before;
    return before.status === 'failed'
      ? { ...before, error }
      : { tenant, status: 'interrupted', step: 'fenced', error, durationMs };
  }
  const { what, remarks } = opened.value;
  const said = what === 'dropped' ? [asleepAfterAll] : remarks;
  if (before.status !== 'skipped') return withDetail(before, said);
  // Whoever was fenced and given back was touched, but is as it was.
  if (what !== 'opened') return before;
  const { tenant, durationMs, because } = before;
  const reason = [because ?? backAgain, ...remarks].join('; ');
  return { tenant, status: 'skipped', reason: 'not-started', because: reason, durationMs };
}

const backAgain = 'the run was stopped: its fence was opened again, and it is in use as before';
const asleepAfterAll = 'it is dropped, and sleeps in its archive: only the answer to that was lost';

function withDetail(
  outcome: Exclude<Unfinished, { readonly status: 'skipped' }>,
  lines: readonly string[],
): Unfinished {
  const { error } = outcome;
  if (error === undefined || lines.length === 0) return outcome;
  return { ...outcome, error: { ...error, detail: joined(error.detail, ...lines) } };
}

/** What a failure says when its tenant could not be given back. */
function notOpened(error: Failure | undefined, why: Failure, mayBeDropped: boolean): Failure {
  const known = error ?? { message: 'it was stopped in the middle', code: 'stopped' };
  if (mayBeDropped) {
    const detail = joined(known.detail, `it may be dropped and asleep, or fenced still: ${why.message}`);
    return { ...known, detail, hint: 'tenantctl tenants list tells which; the same command again goes on' };
  }
  return {
    ...known,
    detail: joined(known.detail, `its fence is still closed: ${why.message}`),
    hint: why.hint ?? 'nobody can use it: run the same command again to go on, or tenantctl wake to open it',
  };
}

function joined(...lines: readonly (string | undefined)[]): string {
  return lines.filter((line) => line !== undefined).join('\n');
}
