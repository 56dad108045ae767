import type { Context } from '../context.ts';
import type { Outcome } from '../fleet/outcome.ts';
import { placeKey, type Tenant } from '../fleet/tenant.ts';
import type { Engine } from '../migrations/change.ts';
import type { ChangeResult } from '../migrations/change-tenant.ts';
import { decideUp } from '../migrations/decide.ts';
import type { MigrationFolder } from '../migrations/folder.ts';
import { readTarget } from '../migrations/plan.ts';
import type { Result } from '../output/result.ts';
import type { Command } from './command.ts';
import { changeFlags, dryRunFlag, limitFlags, selectionFlags } from './flags.ts';
import { type MigrationJob, planJob, prepareEngine, runJob } from './migration-job.ts';
import { type MigrationOptions, readMigrationOptions, retryFlags, upTargetFlags } from './migration-options.ts';
import { changeView, describeChange, describeShared } from './migration-view.ts';
import { type Fleet, mergeOutcomes } from './open-fleet.ts';
import { describeJobs } from './plan-text.ts';
import { recordRun } from './record-run.ts';
import { sharedEntries, surveyShared, surveyTenants, withMigrations } from './survey-fleet.ts';

/** `tenantctl migrate`: brings tenants to the newest migration, or to the one that `--to` names. */
export const migrateUp: Command<MigrationOptions, ChangeResult> = {
  name: 'migrate up',
  summary: 'run pending migrations, each tenant in one transaction',
  examples: [
    ['tenantctl migrate --all', 'bring every tenant to the newest migration'],
    ['tenantctl migrate --all --dry-run', 'show what would run, write nothing'],
    ['tenantctl migrate -l tier=free --canary 3', 'three tenants first; the others only if those succeed'],
    ['tenantctl migrate --from-run k3f9 --outcome failed', 'once more those that failed in a run'],
  ],
  flags: [...selectionFlags, ...upTargetFlags, dryRunFlag, ...limitFlags, ...changeFlags],
  view: changeView,
  options: readMigrationOptions,
  run: (context, options) => {
    const mode = options.dryRun ? 'read' : 'change';
    return withMigrations(context, { ...options, mode, writesNothing: options.dryRun }, (fleet, folder) => {
      return migrate(context, fleet, folder, options);
    });
  },
  retryFlags,
  canRetry: true,
};

async function migrate(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: MigrationOptions,
): Promise<Result<ChangeResult>> {
  const { tenants, shared } = await planUpJobs(context, fleet, folder, options);
  const { environment } = fleet.inventory;
  if (options.dryRun) return describePlan(fleet, tenants, shared, options.fake);

  const engines = await prepareEngines(tenants, shared, options.fake);
  const work = (recorded: Context) => migrateInOrder(recorded, fleet, { tenants, shared, engines }, options);
  const hasWork = [tenants, ...shared].some((job) => job.work.size > 0);
  const hasTrouble = [...fleet.rejected, ...tenants.settled].some(({ status }) => status !== 'done');
  const isRecorded = hasWork || hasTrouble;
  const { outcomes, sharedOutcomes } = isRecorded
    ? await recordRun(context, fleet, 'migrate', manifestOptions(options, tenants), work)
    : await work(context);
  return {
    outcomes: mergeOutcomes<ChangeResult>(fleet.selected, outcomes),
    run: isRecorded ? fleet.run : null,
    environment,
    sources: fleet.sources,
    text: describeChange(environment, tenants, outcomes, sharedOutcomes),
    extra: sharedEntries(
      sharedOutcomes.map(({ tenant }) => tenant),
      sharedOutcomes,
    ),
  };
}

/** Reads where everybody stands and decides what would run; refuses what must not. */
export async function planUpJobs(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: MigrationOptions,
): Promise<{ readonly tenants: MigrationJob; readonly shared: readonly MigrationJob[] }> {
  const target = readTarget(folder, options.to, options.count);
  const [surveyed, surveyedShared] = [
    await surveyTenants(context, fleet, folder, fleet.tenants),
    // Faking is for tenants: what they share has a folder and a history of its own, and is left as it stands.
    options.fake ? [] : await surveyShared(context, fleet),
  ];
  const everything = { to: null, count: null };
  const tenants = planJob(surveyed, 'up', (standing) => decideUp(standing, folder, target, options.checkOrder));
  const shared = surveyedShared.map((each) =>
    planJob(each, 'up', (standing) => decideUp(standing, each.folder, everything, options.checkOrder)),
  );
  return { tenants, shared };
}

interface Prepared {
  readonly tenants: MigrationJob;
  readonly shared: readonly MigrationJob[];
  readonly engines: { readonly tenants: Engine; readonly shared: ReadonlyMap<MigrationJob, Engine> };
}

/** Loaded before anything runs, so that an objection to a tenant's file is told before a shared schema has moved. */
async function prepareEngines(
  tenants: MigrationJob,
  shared: readonly MigrationJob[],
  fake: boolean,
): Promise<Prepared['engines']> {
  const prepared = await Promise.all(shared.map(async (job) => [job, await prepareEngine(job, fake)] as const));
  return { tenants: await prepareEngine(tenants, fake), shared: new Map(prepared) };
}

/** What all tenants of a database use comes first; where it fails, they are not started. */
async function migrateInOrder(
  context: Context,
  fleet: Fleet,
  { tenants, shared, engines }: Prepared,
  options: MigrationOptions,
): Promise<{
  readonly outcomes: readonly Outcome<ChangeResult>[];
  readonly sharedOutcomes: readonly Outcome<ChangeResult>[];
}> {
  const sharedOutcomes: Outcome<ChangeResult>[] = [];
  for (const [job, engine] of engines.shared) {
    const outcomes = job.work.size === 0 ? [] : await runJob(context, fleet, job, engine, withoutCanary(options));
    sharedOutcomes.push(...job.settled, ...outcomes);
  }
  const isHeldBack = heldBackBy(shared.length === 0 ? [] : sharedOutcomes);
  const free = new Map([...tenants.work].filter(([tenant]) => !isHeldBack(tenant)));
  const settled = [
    ...fleet.rejected,
    ...tenants.settled.map((outcome) => (isHeldBack(outcome.tenant) ? holdBack(outcome.tenant) : outcome)),
    ...[...tenants.work.keys()].filter(isHeldBack).map(holdBack),
  ];
  for (const outcome of settled) context.emit({ type: 'settled', outcome });
  const done =
    free.size === 0 ? [] : await runJob(context, fleet, { ...tenants, work: free }, engines.tenants, options);
  return { outcomes: [...settled, ...done], sharedOutcomes };
}

/** Tenants in a database whose shared schema failed: also those that had nothing to do, or the run would look well. */
function heldBackBy(sharedOutcomes: readonly Outcome[]): (tenant: Tenant) => boolean {
  const failed = sharedOutcomes.filter(({ status }) => status !== 'done').map(({ tenant }) => placeKey(tenant));
  const places = new Set(failed);
  return (tenant) => places.has(placeKey(tenant));
}

function holdBack(tenant: Tenant): Outcome<ChangeResult> {
  const because = `the shared schema of database ${tenant.database} could not be migrated`;
  return { tenant, status: 'skipped', reason: 'not-started', because, durationMs: 0 };
}

/** What `--dry-run` and `migrate plan` answer: nothing is written, and the exit code is that of a run that went well. */
export async function describePlan(
  fleet: Fleet,
  tenants: MigrationJob,
  shared: readonly MigrationJob[],
  fake: boolean,
): Promise<Result<ChangeResult>> {
  await prepareEngines(tenants, shared, fake);
  const sharedOutcomes = shared.flatMap(({ settled }) => settled);
  const isHeldBack = heldBackBy(sharedOutcomes);
  const planned = [...tenants.work].map(([tenant, { plan, survey }]): Outcome<ChangeResult> => {
    const pending = plan.migrations.map(({ name }) => name);
    return { tenant, status: 'done', durationMs: 0, value: { from: survey.standing.version, to: plan.to, pending } };
  });
  const outcomes = [...tenants.settled, ...planned].map((outcome) =>
    isHeldBack(outcome.tenant) ? holdBack(outcome.tenant) : outcome,
  );
  const troubled = sharedOutcomes.filter(({ status }) => status !== 'done');
  return {
    outcomes: mergeOutcomes<ChangeResult>(fleet.selected, fleet.rejected, outcomes),
    run: null,
    environment: fleet.inventory.environment,
    sources: fleet.sources,
    text: [...describeJobs(fleet.inventory.environment, tenants, shared), ...troubled.map(describeShared)],
    extra: {
      dryRun: true,
      ...sharedEntries(
        sharedOutcomes.map(({ tenant }) => tenant),
        sharedOutcomes,
      ),
    },
  };
}

function manifestOptions(options: MigrationOptions, { folder, work }: MigrationJob) {
  const { to, count, fake, checkOrder, limits, timeoutMs } = options;
  const names = new Set([...work.values()].flatMap(({ plan }) => plan.migrations));
  const migrations = Object.fromEntries([...names].map(({ name, checksum }) => [name, checksum]));
  return { to, count, fake, checkOrder, limits, timeoutMs, folder: folder.path, migrations };
}

function withoutCanary(options: MigrationOptions): MigrationOptions {
  return { ...options, canary: null };
}
