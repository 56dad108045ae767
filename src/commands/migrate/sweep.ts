import type { Context } from '../../context.ts';
import { type Failure, RefusedError, StoppedError, UsageError } from '../../errors.ts';
import { cutWaves } from '../../fleet/cut-waves.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { ChangeResult } from '../../migrations/change-tenant.ts';
import type { MigrationFolder } from '../../migrations/folder.ts';
import type { SourceReport } from '../../output/result.ts';
import { toFailure } from '../../postgres/failure.ts';
import { listNames, plural } from '../../words.ts';
import type { Fleet } from '../open-fleet.ts';
import type { JoinRun } from '../record-run.ts';
import { prepareEngine, runJob } from './migration-job.ts';
import type { MigrationOptions } from './migration-options.ts';
import { runPreflight } from './preflight.ts';
import { heldBackBy, holdBack, planTenants } from './up-jobs.ts';

export interface SweepOptions extends MigrationOptions {
  readonly preflightSql: readonly string[];
}

export interface Sweep {
  /** Born during the run, in the order in which they are reported, after all others. */
  readonly selected: readonly Tenant[];
  readonly outcomes: readonly Outcome<ChangeResult>[];
  /** Where nobody could look for them. */
  readonly sources: readonly SourceReport[];
}

/**
 * A last look at who is in the fleet: a tenant that was made while the run went on, by an application of the old
 * release, would lack what all others have now. One look; who comes after it comes to the new release. Nothing is refused
 * here: others were migrated, and the report must say so.
 */
export async function sweepBorn(
  context: Context,
  join: JoinRun,
  fleet: Fleet,
  folder: MigrationFolder,
  sharedOutcomes: readonly Outcome[],
  options: SweepOptions,
): Promise<Sweep> {
  const { tenants, rejected, selected, sources: unread } = await findBorn(fleet);
  const sources = tellUnread(context, fleet, unread);
  if (selected.length === 0) return { selected, outcomes: [], sources };
  const names = listNames(selected.map(({ id }) => id));
  const message = `${plural(selected.length, 'tenant')} more since the run began: ${names}`;
  context.emit({ type: 'notice', level: 'info', message });
  await join(selected);
  const isHeldBack = heldBackBy(sharedOutcomes);
  const settled = [...rejected, ...tenants.filter(isHeldBack).map(holdBack)];
  for (const outcome of settled) context.emit({ type: 'settled', outcome });
  const free = tenants.filter((tenant) => !isHeldBack(tenant));
  const outcomes = await migrateBorn(context, fleet, folder, free, options);
  return { selected, outcomes: [...settled, ...outcomes], sources };
}

/** What stands in the way of the whole look is said of each server, and is no end of a run that has changed tenants. */
async function findBorn(fleet: Fleet): ReturnType<Fleet['findBorn']> {
  try {
    return await fleet.findBorn();
  } catch (error) {
    const servers = [...new Set(fleet.selected.map(({ server }) => server))];
    const sources = servers.map((server) => ({ server, database: null, error: failureOf(error) }));
    return { tenants: [], rejected: [], selected: [], sources, sleeping: new Map() };
  }
}

async function migrateBorn(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  tenants: readonly Tenant[],
  options: SweepOptions,
): Promise<readonly Outcome<ChangeResult>[]> {
  const settle = (settled: readonly Outcome<ChangeResult>[]) => {
    for (const outcome of settled) context.emit({ type: 'settled', outcome });
    return settled;
  };
  try {
    const job = await planTenants(context, fleet, folder, tenants, options);
    const engine = await prepareEngine(job, options.fake);
    if (!options.fake) await runPreflight(context, fleet, [job], options.preflightSql);
    const settled = settle(job.settled);
    if (job.work.size === 0) return settled;
    const waves = cutWaves([...job.work.keys()], 0, []);
    return [...settled, ...(await runJob(context, fleet, job, engine, options, { waves }))];
  } catch (error) {
    if (error instanceof StoppedError) return settle(tenants.map((tenant) => notStarted(tenant)));
    if (!(error instanceof RefusedError || error instanceof UsageError)) throw error;
    return settle(tenants.map((tenant) => refused(tenant, error)));
  }
}

function notStarted(tenant: Tenant): Outcome<never> {
  return { tenant, status: 'skipped', reason: 'not-started', durationMs: 0 };
}

function refused(tenant: Tenant, error: RefusedError | UsageError): Outcome<never> {
  return { tenant, status: 'failed', step: 'plan', error: { code: 'refused', ...failureOf(error) }, durationMs: 0 };
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof RefusedError || error instanceof UsageError)) return toFailure(error);
  const { message, details, hint } = error;
  return {
    message,
    ...(details.length === 0 ? {} : { detail: details.join('; ') }),
    ...(hint === undefined ? {} : { hint }),
  };
}

/** Those that could be read when the run began. */
function tellUnread(context: Context, fleet: Fleet, unread: readonly SourceReport[]): readonly SourceReport[] {
  const isKnown = (source: SourceReport) =>
    fleet.sources.some(({ server, database }) => server === source.server && database === source.database);
  const sources = unread
    .filter((source) => !isKnown(source))
    .map(({ server, database, error }) => ({ server, database, error }));
  for (const { server, database, error } of sources) {
    const where = `server ${server}${database === null ? '' : `, database ${database}`}`;
    const message = `nobody knows whether tenants were born during the run: ${where}: ${error.message}`;
    context.emit({ type: 'notice', level: 'warning', message, hint: 'run the same command again' });
  }
  return sources;
}
