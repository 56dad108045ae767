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
import { noteSettled, settleRest, withoutOutcomes } from './later-outcomes.ts';
import { serverWaitFlags } from './server-options.ts';
import { unseenServers, wakeServers } from './server-wake.ts';
import { askHealthOfWoken, catchUp } from './wake-migrations.ts';
import { readWakeOptions, type WakeOptions, wakeFlags } from './wake-options.ts';
import { type PlannedWake, planWakes } from './wake-plan.ts';
import { runWakes } from './wake-run.ts';
import { describeWoken, wakeView } from './wake-text.ts';
import { awakeAlready, type WakeValue } from './wake-value.ts';

/** `tenantctl wake`: brings tenants back that were put to sleep, as they were, and up to date. */
export const wake: Command<WakeOptions, WakeValue> = {
  name: 'wake',
  summary: 'bring tenants back that were put to sleep, as they were, with the migrations they have missed',
  examples: [
    ['tenantctl wake -t acme', 'a customer is back: restored, compared, opened, migrated'],
    ['tenantctl wake -l tier=trial --dry-run', 'who sleeps, and could be woken from what there is'],
    ['tenantctl wake --server staging', 'start an RDS server that was stopped'],
  ],
  flags: [
    ...selectionFlags,
    ...wakeFlags,
    ...serverWaitFlags,
    ...repositoryFlags,
    dryRunFlag,
    ...consentFlags,
    ...limitFlags,
    ...changeFlags.filter(({ flags }) => !flags.startsWith('--canary')),
  ],
  view: wakeView,
  options: readWakeOptions,
  run: (context, options) => {
    const mode = options.dryRun ? 'read' : 'change';
    const open = { ...options, mode, writesNothing: options.dryRun, takesSleeping: true } as const;
    return withFleet(context, open, (fleet) => wakeFleet(context, fleet, options));
  },
  retryFlags: ({ migrates, acceptsDifferences, repository }) => [
    ...(migrates ? [] : ['--no-migrate']),
    ...(acceptsDifferences ? ['--accept-differences'] : []),
    ...(repository.store === null ? [] : ['--store', shellQuote(repository.store)]),
    ...(repository.identity === null ? [] : ['--identity', shellQuote(repository.identity)]),
  ],
  canRetry: true,
};

async function wakeFleet(context: Context, fleet: Fleet, options: WakeOptions): Promise<Result<WakeValue>> {
  const beganAt = performance.now();
  const isOfServer = (tenant: Tenant) => ['stop', 'pause'].includes(fleet.sleeping.get(tenant)?.how ?? '');
  const served = fleet.tenants.filter(isOfServer);
  const sleeping = fleet.tenants.filter((tenant) => fleet.sleeping.has(tenant) && !isOfServer(tenant));
  const unseen = unseenServers(fleet);
  const needsArchive = sleeping.some((tenant) => mayNeedArchive(fleet, tenant));
  await using repository = needsArchive ? await openRepository(context, fleet.inventory, options.repository) : null;
  const plan = await planWakes(context, fleet, sleeping, repository);
  const planned = plan.flatMap((outcome) =>
    outcome.status === 'done' && outcome.value !== null ? [outcome.value] : [],
  );
  const settled = [...fleet.rejected, ...settledOf(fleet, plan)];
  const { environment } = fleet.inventory;
  const hasWork = planned.length + served.length + unseen.length > 0;
  let complaint: string | null = null;
  const work = async (recorded: Context): Promise<readonly Outcome<WakeValue>[]> => {
    const noted = noteSettled(recorded);
    settleRest(recorded, settled, noted.tenants);
    const woken = await runWakes(noted.context, planned, { fleet, repository, options, beganAt });
    const started = await wakeServed(noted.context, fleet, served, unseen, options);
    const outcomes = [...woken, ...started];
    complaint = await askHealthOfWoken(recorded, fleet, doneOf(outcomes));
    return settleRest(recorded, outcomes, noted.tenants);
  };
  await confirmDifferences(context, environment, planned, options);
  const outcomes = options.dryRun
    ? [...planned.map(wouldWake), ...(await wakeServers(context, fleet, served, options, unseen))]
    : hasWork
      ? await recordRun(context, fleet, 'wake', { migrates: options.migrates }, work)
      : [];
  if (options.dryRun || !hasWork) settleRest(context, [...settled, ...outcomes], new Set());
  return {
    outcomes: mergeOutcomes<WakeValue>(fleet.selected, settled, outcomes),
    run: options.dryRun || !hasWork ? null : fleet.run,
    ...{ environment, sources: fleet.sources },
    text: [...describeWoken(outcomes, options.dryRun), ...(complaint === null ? [] : [complaint])],
    findings: complaint === null ? [] : [{ message: complaint, code: 'health' }],
    ...(options.dryRun ? { extra: { dryRun: true } } : {}),
  };
}

/** Only who accepts what nobody has proved is asked. */
async function confirmDifferences(
  context: Context,
  environment: string,
  planned: readonly PlannedWake[],
  { acceptsDifferences, dryRun, yes }: WakeOptions,
): Promise<void> {
  const restored = planned.filter(({ restore }) => restore !== null);
  if (!acceptsDifferences || dryRun || restored.length === 0) return;
  const lines = restored.map(
    ({ tenant: { id }, restore }) => `${id}: from its archive of ${restore?.chosen.backup.time}`,
  );
  const risk = 'this lets tenants be used whose rows may not be those that they were put to sleep with';
  await askConsent(context, environment, { lines, risk }, yes);
}

/** What is only fenced stands where it was; a database may be gone all the same. */
function mayNeedArchive({ sleeping }: Fleet, tenant: Tenant): boolean {
  const sleep = sleeping.get(tenant);
  return sleep?.how === 'archive' && (sleep.state !== 'hibernating' || tenant.schema === null);
}

/** Those who are awake, and those whose waking could not be planned. */
function settledOf(fleet: Fleet, plan: Awaited<ReturnType<typeof planWakes>>): readonly Outcome<WakeValue>[] {
  const awake = fleet.tenants.filter((tenant) => !fleet.sleeping.has(tenant));
  const since = plan.flatMap((outcome) =>
    outcome.status === 'done' && outcome.value === null ? [outcome.tenant] : [],
  );
  return [
    ...[...awake, ...since].map((tenant): Outcome<WakeValue> => {
      return { tenant, status: 'done', value: awakeAlready, durationMs: 0 };
    }),
    ...plan.flatMap((outcome) => (outcome.status === 'done' ? [] : [outcome])),
  ];
}

/** Tenants of servers that were stopped: when those are up they are brought up to date like all others. */
async function wakeServed(
  context: Context,
  fleet: Fleet,
  served: readonly Tenant[],
  unseen: readonly string[],
  options: WakeOptions,
): Promise<readonly Outcome<WakeValue>[]> {
  const later = { ...context, emit: withoutOutcomes(context.emit) };
  const outcomes = await wakeServers(later, fleet, served, options, unseen);
  const caught = await catchUp(later, fleet, doneOf(outcomes), options);
  return outcomes.map((outcome) => {
    const met = caught.get(outcome.tenant);
    if (outcome.status !== 'done' || met === undefined) return outcome;
    if ('applied' in met) return { ...outcome, value: { ...outcome.value, migrations: met.applied } };
    const { tenant, durationMs } = outcome;
    return { tenant, status: 'failed', step: 'migrating', error: met.error, durationMs };
  });
}

function doneOf(outcomes: readonly Outcome[]): readonly Tenant[] {
  return outcomes.flatMap(({ tenant, status }) => (status === 'done' ? [tenant] : []));
}

function wouldWake({ tenant, row }: PlannedWake): Outcome<WakeValue> {
  const how = row.how as WakeValue['how'];
  const value = { ...awakeAlready, how, asleepSince: row.since.toISOString(), remarks: [] };
  return { tenant, status: 'done', value, durationMs: 0 };
}
