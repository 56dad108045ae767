import type { Backup } from '../../backups/repository/backup.ts';
import { inParallel } from '../../backups/repository/in-parallel.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import type { ExpirePlan, Series } from '../../backups/retention/expire-plan.ts';
import type { Judged } from '../../backups/retention/judge-series.ts';
import type { Context } from '../../context.ts';
import type { Failure } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { toFailure } from '../../postgres/failure.ts';
import { plural } from '../../words.ts';
import { countExpired, type Expired } from './expire-text.ts';

/** Tenants whose files are removed at the same time; more does not help a bucket, and a disk even less. */
const atOnce = 8;

export interface Removed {
  readonly outcomes: readonly Outcome<Expired>[];
  /** What could not be removed of tenants that left, and of what tenants share. */
  readonly failures: readonly Failure[];
  /** The plan as it came true. */
  readonly plan: ExpirePlan;
}

/** Removes what the plan says, tenant by tenant; one that fails does not stop the others. */
export async function removeExpired(
  context: Context,
  repository: Repository,
  plan: ExpirePlan,
  tenants: readonly Tenant[],
  explain: boolean,
): Promise<Removed> {
  context.emit({ type: 'phase', name: 'removing backups', servers: countServers(tenants) });
  const outcomes = await inParallel(tenants, atOnce, (tenant) =>
    removeOfTenant(context, repository, tenant, plan.tenants.get(tenant.id) ?? [], explain),
  );
  context.emit({ type: 'phase-ended', name: 'removing backups' });
  const departed = await removeAll(context, repository, plan.departed);
  // A backup that is still there needs what the plan took to be needed by nobody.
  const isAllGone = departed.failures.length === 0 && outcomes.every(({ status }) => status === 'done');
  const shared = isAllGone
    ? await removeAll(context, repository, plan.shared)
    : { failures: [], series: plan.shared.map(allKept) };
  return {
    outcomes,
    failures: [...departed.failures, ...shared.failures],
    plan: { ...plan, departed: departed.series, shared: shared.series },
  };
}

async function removeAll<S extends Series>(
  context: Context,
  repository: Repository,
  series: readonly S[],
): Promise<{ readonly failures: readonly Failure[]; readonly series: readonly S[] }> {
  const failures = await inParallel(series, atOnce, (each) => removeSeries(context, repository, each));
  return {
    failures: failures.filter((failure) => failure !== null),
    series: series.map((each, index) => (failures[index] === null ? each : allKept(each))),
  };
}

function allKept<S extends Series>(series: S): S {
  const judged = series.judged.map((it) => (it.isKept ? it : { ...it, isKept: true, reasons: ['not removed'] }));
  return { ...series, judged };
}

async function removeOfTenant(
  context: Context,
  repository: Repository,
  tenant: Tenant,
  judged: readonly Judged[],
  explain: boolean,
): Promise<Outcome<Expired>> {
  const going = goingOf(judged);
  const started = performance.now();
  context.emit({ type: 'started', tenant });
  const outcome = await settle();
  context.emit({ type: 'settled', outcome });
  return outcome;

  async function settle(): Promise<Outcome<Expired>> {
    if (going.length > 0 && context.interrupts.stop.aborted) {
      return { tenant, status: 'skipped', reason: 'not-started', durationMs: 0 };
    }
    try {
      if (going.length > 0) await repository.removeBackups(going);
    } catch (error) {
      const durationMs = Math.round(performance.now() - started);
      return { tenant, status: 'failed', step: 'removing', error: toFailure(error), durationMs };
    }
    const durationMs = going.length === 0 ? 0 : Math.round(performance.now() - started);
    return { tenant, status: 'done', value: countExpired(judged, explain), durationMs };
  }
}

/** What went wrong; null: nothing. */
async function removeSeries(
  context: Context,
  repository: Repository,
  { name, judged }: Series,
): Promise<Failure | null> {
  const going = goingOf(judged);
  if (going.length === 0) return null;
  if (context.interrupts.stop.aborted) return { message: `${name}: stopped before it was begun`, code: 'not-started' };
  try {
    await repository.removeBackups(going);
    return null;
  } catch (error) {
    const failure = toFailure(error);
    return { ...failure, message: `${plural(going.length, 'backup')} of ${name}: ${failure.message}` };
  }
}

function goingOf(judged: readonly Judged[]): readonly Backup[] {
  return judged.flatMap(({ backup, isKept }) => (isKept ? [] : [backup]));
}

function countServers(tenants: readonly Tenant[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { server } of tenants) counts.set(server, (counts.get(server) ?? 0) + 1);
  return counts;
}
