import type { Context } from '../../context.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Result } from '../../output/result.ts';
import { shellQuote } from '../../words.ts';
import { openRepository, repositoryFlags } from '../backups/open-repository.ts';
import type { Command } from '../command.ts';
import { askConsent } from '../consent.ts';
import { changeFlags, consentFlags, dryRunFlag, limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { recordRun } from '../record-run.ts';
import { refuseUnready, refuseWithoutMeans } from './hibernate-checks.ts';
import { defaultDrainMs, type HibernateOptions, hibernateFlags, readHibernateOptions } from './hibernate-options.ts';
import { type PlannedSleep, planSleep, type SleepPlan } from './hibernate-plan.ts';
import { ArchiveRun } from './hibernate-run.ts';
import { describeSleepPlan, describeSlept, hibernateView } from './hibernate-text.ts';
import type { HibernateValue } from './hibernate-value.ts';
import { noteSettled, settleRest } from './later-outcomes.ts';
import { lockTenants } from './lock-run.ts';
import { hibernateServers } from './server-hibernate.ts';
import { keepServers } from './server-keep.ts';
import { serverSleepFlags } from './server-options.ts';

/** `tenantctl hibernate`: puts tenants to sleep that nobody uses, so that they cost nothing or less. */
export const hibernate: Command<HibernateOptions, HibernateValue> = {
  name: 'hibernate',
  summary: 'put tenants to sleep: into a proven archive, behind a closed door, or with their server',
  examples: [
    ['tenantctl hibernate -t acme', 'archive it, prove the archive by restoring it, then drop its schema or database'],
    ['tenantctl hibernate --all --idle --dry-run', 'who would be put to sleep, how, and how much that frees'],
    ['tenantctl hibernate --all --idle --yes', 'all that nobody uses, for cron'],
    ['tenantctl hibernate -t globex --how lock', 'close its database and leave it on disk'],
    ['tenantctl hibernate --server staging --how stop', 'stop an RDS server with all of its tenants'],
    ['tenantctl hibernate --all --keep', 'stop RDS servers again that AWS has started after seven days'],
  ],
  flags: [
    ...selectionFlags,
    ...hibernateFlags,
    ...serverSleepFlags,
    ...repositoryFlags,
    dryRunFlag,
    ...consentFlags,
    ...limitFlags,
    ...changeFlags.filter(({ flags }) => !flags.startsWith('--canary')),
  ],
  view: hibernateView,
  options: readHibernateOptions,
  run: (context, options) => {
    const mode = options.dryRun ? 'read' : 'change';
    const open = { ...options, mode, writesNothing: options.dryRun, takesSleeping: true } as const;
    return withFleet(context, open, (fleet) => (options.keep ? keep : hibernateFleet)(context, fleet, options));
  },
  retryFlags: ({ how, scratch, repository, drainMs }) => [
    ...(how === null ? [] : ['--how', how]),
    ...(scratch === null ? [] : ['--scratch', shellQuote(scratch)]),
    ...(repository.store === null ? [] : ['--store', shellQuote(repository.store)]),
    ...(repository.identity === null ? [] : ['--identity', shellQuote(repository.identity)]),
    ...(drainMs === defaultDrainMs ? [] : ['--drain', `${drainMs}ms`]),
  ],
  canRetry: true,
};

/** Servers that AWS has started again, and nobody else. */
async function keep(context: Context, fleet: Fleet, options: HibernateOptions): Promise<Result<HibernateValue>> {
  const outcomes = await keepServers(context, fleet, options);
  const selected = outcomes.map(({ tenant }) => tenant);
  return {
    outcomes,
    environment: fleet.inventory.environment,
    sources: fleet.sources,
    run: null,
    text: keepText(selected),
  };
}

function keepText(tenants: readonly Tenant[]): readonly string[] {
  return tenants.length === 0 ? ['no selected tenant sleeps with a stopped server'] : [];
}

async function hibernateFleet(
  context: Context,
  whole: Fleet,
  options: HibernateOptions,
): Promise<Result<HibernateValue>> {
  const fleet = options.idle ? await onlyIdle(context, whole, options) : whole;
  const { environment } = fleet.inventory;
  const plan = await planSleep(context, fleet, fleet.tenants, options);
  const planned = [...plan.planned.values()];
  const archives = planned.flatMap(({ tenant, how }) => (how === 'archive' ? [tenant] : []));
  if (archives.length > 0) refuseUnready(fleet, archives, options);
  const lines = [`environment ${environment}: plan`, ...describeSleepPlan(planned, plan.settled)];
  if (options.dryRun) return describeOnly(context, fleet, plan, lines, options);
  if (archives.length > 0) {
    await refuseWithoutMeans(context, fleet, archives, options);
    const risk = 'this drops schemas and databases of tenants, who then live in their archives alone';
    await askConsent(context, environment, { lines, risk }, options.yes);
  }
  const settled = [...fleet.rejected, ...plan.settled];
  const isIdle = planned.length === 0;
  const outcomes = isIdle
    ? settleRest(context, settled, new Set())
    : await recordRun(context, fleet, 'hibernate', { how: waysOf(planned) }, (recorded) =>
        perform(recorded, fleet, planned, settled, options),
      );
  return {
    outcomes: mergeOutcomes<HibernateValue>(fleet.selected, outcomes),
    run: isIdle ? null : fleet.run,
    ...{ environment, sources: fleet.sources },
    text: describeSlept(outcomes),
  };
}

async function perform(
  context: Context,
  fleet: Fleet,
  planned: readonly PlannedSleep[],
  settled: readonly Outcome<HibernateValue>[],
  options: HibernateOptions,
): Promise<readonly Outcome<HibernateValue>[]> {
  const noted = noteSettled(context);
  settleRest(context, settled, noted.tenants);
  const by = (how: PlannedSleep['how']) => planned.filter((each) => each.how === how);
  const outcomes = [
    ...(await archive(noted.context, fleet, by('archive'), options)),
    ...(await lockTenants(noted.context, fleet, by('lock'), options)),
    ...(await hibernateServers(noted.context, fleet, planned.flatMap(toServerSleep), options)),
  ];
  return [...settled, ...settleRest(context, outcomes, noted.tenants)];
}

function toServerSleep({ tenant, how }: PlannedSleep) {
  return how === 'stop' || how === 'pause' ? [{ tenant, how } as const] : [];
}

async function archive(
  context: Context,
  fleet: Fleet,
  planned: readonly PlannedSleep[],
  options: HibernateOptions,
): Promise<readonly Outcome<HibernateValue>[]> {
  if (planned.length === 0) return [];
  await using repository = await openRepository(context, fleet.inventory, { ...options.repository, for: 'write' });
  return await new ArchiveRun(context, fleet, repository, planned, options).perform();
}

/** A dry run looks at servers at AWS too, and touches nothing. */
async function describeOnly(
  context: Context,
  fleet: Fleet,
  { planned, settled }: SleepPlan,
  lines: readonly string[],
  options: HibernateOptions,
): Promise<Result<HibernateValue>> {
  const all = [...planned.values()];
  const servers = await hibernateServers(context, fleet, all.flatMap(toServerSleep), options);
  const databases = all.filter(({ how }) => how === 'archive' || how === 'lock').map(wouldSleep);
  return {
    outcomes: mergeOutcomes<HibernateValue>(fleet.selected, fleet.rejected, settled, servers, databases),
    ...{ run: null, environment: fleet.inventory.environment, sources: fleet.sources },
    text: [...lines, 'nothing was changed'],
    extra: { dryRun: true },
  };
}

function wouldSleep({ tenant, how, sizeBytes, remarks }: PlannedSleep): Outcome<HibernateValue> {
  const sizes = { sizeBeforeBytes: sizeBytes, sizeAfterBytes: how === 'archive' ? 0 : sizeBytes };
  const value = { how, already: false, backup: null, ...sizes, phases: null, remarks };
  return { tenant, status: 'done', durationMs: 0, value };
}

async function onlyIdle(context: Context, fleet: Fleet, options: HibernateOptions): Promise<Fleet> {
  // Loaded here: nobody else needs the samples.
  const { idleTenants } = await import('./idle-verdicts.ts');
  const idle = await idleTenants(context, fleet, { sampling: options.dryRun ? 'unkept' : 'kept' });
  // What an earlier run has begun is carried on.
  const isIdle = (tenant: Tenant) => idle.has(tenant) || fleet.sleeping.get(tenant)?.state === 'hibernating';
  const isKept = (tenant: Tenant) => isIdle(tenant) || fleet.rejected.some((each) => each.tenant === tenant);
  return { ...fleet, tenants: fleet.tenants.filter(isIdle), selected: fleet.selected.filter(isKept) };
}

function waysOf(planned: readonly PlannedSleep[]): readonly string[] {
  return [...new Set(planned.map(({ how }) => how))].toSorted();
}
