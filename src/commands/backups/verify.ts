import { isOverdue, type Turn } from '../../backups/verify/turns.ts';
import type { Context } from '../../context.ts';
import { formatDuration } from '../../fleet/duration.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Result } from '../../output/result.ts';
import { shellQuote } from '../../words.ts';
import type { Command } from '../command.ts';
import { limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { recordRun } from '../record-run.ts';
import { ofArchives } from './archives-alone.ts';
import { openRepository, repositoryFlags } from './open-repository.ts';
import { readVerifyOptions, type VerifyOptions, verifyFlags } from './verify-options.ts';
import { planVerification, type VerifyPlan } from './verify-plan.ts';
import { runVerification, type Verified } from './verify-run.ts';
import { type Cycle, describeCycle, describeUnfinished, describeVerified, verifyView } from './verify-text.ts';

/** `tenantctl verify`: are the backups there, whole, and can they be restored. */
export const verify: Command<VerifyOptions, Verified> = {
  name: 'verify',
  summary: 'prove that backups are whole, and that they can be restored',
  examples: [
    ['tenantctl verify --all', 'the newest backup of each tenant is read to its last byte'],
    ['tenantctl verify -t acme --level restore', 'restored into a scratch database, and compared'],
    ['tenantctl verify --all --level restore --within 30d --budget 20min', 'each night a part, each tenant in 30 days'],
    ['tenantctl verify --all --level restore --scratch staging', 'on a server of the inventory'],
  ],
  flags: [...selectionFlags, ...verifyFlags, ...repositoryFlags, ...limitFlags],
  view: verifyView,
  options: readVerifyOptions,
  run: (context, options) =>
    // Backups are verified also while the servers that they are of are down: only discovery speaks to those.
    withFleet(context, { ...options, mode: 'read', ...ofArchives }, (fleet) => run(context, fleet, options)),
  retryFlags: ({ level, scratch, at, allBackups, checks, repository }) => [
    ...['--level', level],
    ...(scratch === null ? [] : ['--scratch', shellQuote(scratch)]),
    ...(at === null ? [] : ['--at', at.toISOString()]),
    ...(allBackups ? ['--all-backups'] : []),
    ...(checks.length === 0 ? [] : ['--check', ...checks.map(shellQuote)]),
    ...(repository.store === null ? [] : ['--store', shellQuote(repository.store)]),
    ...(repository.identity === null ? [] : ['--identity', shellQuote(repository.identity)]),
  ],
};

async function run(context: Context, fleet: Fleet, options: VerifyOptions): Promise<Result<Verified>> {
  await using repository = await openRepository(context, fleet.inventory, options.repository);
  const { budgetMs } = options;
  const budget = budgetMs === null ? new AbortController().signal : AbortSignal.timeout(budgetMs);
  const now = context.now();
  const plan = await planVerification(repository, fleet.tenants, options, now);
  const isChosen = new Set(plan.planned.map(({ tenant }) => tenant));
  const rejected = new Set(fleet.rejected.map(({ tenant }) => tenant));
  // Those whose turn it is not are no part of this run.
  const selected = fleet.selected.filter((tenant) => isChosen.has(tenant) || rejected.has(tenant));
  const outcomes = await recordRun(
    context,
    { ...fleet, selected },
    'verify',
    { level: options.level },
    async (recorded) => {
      for (const outcome of fleet.rejected) recorded.emit({ type: 'settled', outcome });
      const { planned } = plan;
      const quiet = withoutPostponed(recorded, plan, options, now);
      const found = await runVerification(quiet, fleet, { repository, planned, options, budget });
      return context.interrupts.stop.aborted ? found : found.map((outcome) => explainBudget(outcome, options));
    },
  );
  const cycle = readCycle(plan, outcomes, options, now);
  // What the promise still allows to wait was neither begun nor missed.
  const postponed = new Set(cycle?.postponed);
  const counted = outcomes.filter(({ tenant }) => !postponed.has(tenant.id));
  return {
    outcomes: mergeOutcomes<Verified>(selected, fleet.rejected, counted),
    run: fleet.run,
    environment: fleet.inventory.environment,
    sources: fleet.sources,
    text: [
      ...describeVerified(counted, options.level),
      ...(cycle === null ? [] : describeCycle(cycle)),
      ...describeUnfinished(plan.planned, options.allBackups),
    ],
    findings: overdueFindings(cycle, counted),
    extra: { level: options.level, store: repository.name, ...(cycle === null ? {} : { cycle }) },
  };
}

function explainBudget(outcome: Outcome<Verified>, { budgetMs }: VerifyOptions): Outcome<Verified> {
  if (outcome.status !== 'skipped' || budgetMs === null) return outcome;
  return { ...outcome, because: `the budget of ${formatDuration(budgetMs)} was used up` };
}

/** Neither the record nor ndjson shall tell of those that are no outcome of this run. */
function withoutPostponed(context: Context, { turns }: VerifyPlan, { withinMs }: VerifyOptions, now: Date): Context {
  if (withinMs === null) return context;
  const mayWait = new Set(
    turns.filter((turn) => !isOverdue(turn, withinMs, now.getTime())).map(({ subject }) => subject),
  );
  return {
    ...context,
    emit: (event) => {
      if (event.type === 'settled' && event.outcome.status === 'skipped' && mayWait.has(event.outcome.tenant)) return;
      context.emit(event);
    },
  };
}

/** Null: no cycle was promised. */
function readCycle(
  { planned, turns }: VerifyPlan,
  outcomes: readonly Outcome<Verified>[],
  { withinMs }: VerifyOptions,
  now: Date,
): Cycle | null {
  if (withinMs === null) return null;
  const statuses = new Map(outcomes.map(({ tenant, status }) => [tenant, status]));
  const isLate = (turn: Turn<Tenant>) => isOverdue(turn, withinMs, now.getTime());
  const waiting = turns.filter(({ subject }) => statuses.get(subject) !== 'done');
  const known = new Set(turns.map(({ subject }) => subject));
  return {
    withinMs,
    tenants: turns.length,
    due: planned.filter(({ tenant }) => known.has(tenant)).length,
    verified: turns.length - waiting.length,
    postponed: waiting
      .filter((turn) => statuses.get(turn.subject) === 'skipped' && !isLate(turn))
      .map(({ subject }) => subject.id),
    overdue: waiting.filter(isLate).map(({ subject }) => subject.id),
  };
}

/** A promise that was broken is told even where nothing else went wrong: by those who are not in this run's outcomes. */
function overdueFindings(cycle: Cycle | null, outcomes: readonly Outcome<Verified>[]): Result['findings'] & {} {
  if (cycle === null) return [];
  const told = new Set(outcomes.map(({ tenant }) => tenant.id));
  return cycle.overdue
    .filter((id) => !told.has(id))
    .map((id) => ({
      message: `${id}: not verified within ${formatDuration(cycle.withinMs)}`,
      code: 'overdue',
      hint: 'give verify more time, or more runs',
    }));
}
