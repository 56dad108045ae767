import type { Backup } from '../../backups/repository/backup.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import { type ExpirePlan, planExpiry } from '../../backups/retention/expire-plan.ts';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { KeepRules } from '../../fleet/inventory/backups.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import { listRuns, runState } from '../../fleet/run-records.ts';
import type { Result } from '../../output/result.ts';
import { formatBytes, plural } from '../../words.ts';
import type { Command, Flag, RawOptions } from '../command.ts';
import { askConsent } from '../consent.ts';
import { consentFlags, dryRunFlag, selectionFlags } from '../flags.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { type Fleet, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { readDuration, readSwitch, readText } from '../read-options.ts';
import { recordRun } from '../record-run.ts';
import { ofArchives } from './archives-alone.ts';
import { allSeries, countExpired, describeExpiry, type Expired } from './expire-text.ts';
import { findDeparted, isCompleteLook, isWholeFleet } from './find-departed.ts';
import { keepFlags, keepRules, readKeepFlags } from './keep-flags.ts';
import { openRepository, storeFlag } from './open-repository.ts';
import { removeExpired } from './remove-expired.ts';

interface ExpireOptions extends FleetOptions {
  readonly store: string | null;
  readonly keep: Partial<KeepRules>;
  readonly departedAfterMs: number | null;
  readonly explain: boolean;
  readonly verbose: boolean;
  readonly quiet: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

const ownFlags: readonly Flag[] = [
  ...keepFlags,
  {
    flags: '--departed-after <duration>',
    description: 'with --all: remove all of a tenant that left the fleet so long ago, like 90d (default: never)',
    fromEnvironment: false,
    group: 'What is kept:',
  },
  {
    flags: '--explain',
    description: 'say of each backup why it is kept or removed',
    fromEnvironment: false,
  },
];

/** `tenantctl backups expire`: removes the backups that no rule keeps. */
export const backupsExpire: Command<ExpireOptions, Expired> = {
  name: 'backups expire',
  summary: 'remove backups that no rule keeps',
  examples: [
    ['tenantctl backups expire --all --dry-run --explain', 'show of each backup why it stays or goes'],
    ['tenantctl backups expire --all --yes', 'by the rules of the inventory, without a question, for cron'],
    ['tenantctl backups expire -t acme --keep-last 3 --keep-daily 7', 'by other rules'],
    ['tenantctl backups expire --all --departed-after 90d', 'also those of tenants that left three months ago'],
  ],
  flags: [...selectionFlags, ...ownFlags, dryRunFlag, ...consentFlags, storeFlag],
  view: {
    columns: ['tenant', 'kept', 'size', 'removed', 'freed'],
    row: (outcome, { verbose }) => {
      if (outcome.status !== 'done' || (outcome.value.removed === 0 && !verbose)) return null;
      const { kept, keptBytes, removed, freedBytes } = outcome.value;
      return [outcome.tenant.id, String(kept), formatBytes(keptBytes), String(removed), formatBytes(freedBytes)];
    },
  },
  options: readOptions,
  run: expire,
  canRetry: false,
};

function readOptions(raw: RawOptions): ExpireOptions {
  const fleet = readFleetOptions(raw);
  const departedAfterMs = readDuration(raw, 'departedAfter');
  if (departedAfterMs !== null && !isWholeFleet(fleet)) {
    throw new UsageError('--departed-after goes with --all, and with nothing that narrows it', {
      hint: 'only a look at the whole fleet tells who left it',
    });
  }
  return {
    ...fleet,
    store: readText(raw, 'store'),
    keep: readKeepFlags(raw),
    departedAfterMs,
    explain: readSwitch(raw, 'explain'),
    verbose: readSwitch(raw, 'verbose'),
    quiet: readSwitch(raw, 'quiet'),
    dryRun: readSwitch(raw, 'dryRun'),
    yes: readSwitch(raw, 'yes'),
  };
}

async function expire(context: Context, options: ExpireOptions): Promise<Result<Expired>> {
  // A mistake in the rules is told before a server is asked.
  const beside = (inventory: Fleet['inventory']) => void keepRules(inventory, options.keep);
  const open = { ...options, mode: 'read', ...ofArchives, writesNothing: options.dryRun, beside } as const;
  return withFleet(context, open, async (fleet) => {
    await using repository = await openRepository(context, fleet.inventory, {
      store: options.store,
      identity: null,
      for: 'change',
    });
    return await expireFrom(context, fleet, repository, options);
  });
}

async function expireFrom(
  context: Context,
  fleet: Fleet,
  repository: Repository,
  options: ExpireOptions,
): Promise<Result<Expired>> {
  const planned = await makePlan(context, fleet, repository, options);
  const total = countAll(planned);
  if (options.dryRun || total.removed === 0) {
    const outcomes = fleet.tenants.map((tenant): Outcome<Expired> => {
      const value = countExpired(planned.tenants.get(tenant.id) ?? [], options.explain);
      return { tenant, status: 'done', value, durationMs: 0 };
    });
    return report(fleet, planned, options, outcomes, { text: describe(fleet, planned, options, false) });
  }
  const lines = describe(fleet, planned, options, true);
  const risk = `this removes ${plural(total.removed, 'backup')} (${formatBytes(total.freedBytes)}) for good`;
  if (options.yes && !options.quiet) for (const line of lines) context.stderr.write(`${line}\n`);
  await askConsent(context, fleet.inventory.environment, { lines, risk }, options.yes);
  // What somebody pinned while the question stood there is kept.
  const plan = options.yes ? planned : bothPlans(planned, await makePlan(context, fleet, repository, options));
  const { departedAfterMs } = options;
  const recorded = { keep: keepRules(fleet.inventory, options.keep), departedAfterMs, to: repository.name };
  return recordRun(context, fleet, 'backups expire', recorded, async (recorder) => {
    const removed = await removeExpired(recorder, repository, plan, fleet.tenants, options.explain);
    await repository.removeLeftovers();
    const text = removed.failures.map(({ message }) => `not removed: ${message}`);
    const run = { run: fleet.run, findings: removed.failures, text };
    return report(fleet, removed.plan, options, removed.outcomes, run);
  });
}

function describe(fleet: Fleet, plan: ExpirePlan, options: ExpireOptions, listsTenants: boolean): readonly string[] {
  const { environment } = fleet.inventory;
  return describeExpiry(plan, {
    ...options,
    environment,
    rules: keepRules(fleet.inventory, options.keep),
    listsTenants,
  });
}

/** Reads the store, and who left; decides. */
async function makePlan(
  context: Context,
  fleet: Fleet,
  repository: Repository,
  options: ExpireOptions,
): Promise<ExpirePlan> {
  const isWhole = isWholeFleet(options);
  const isComplete = isWhole && isCompleteLook(fleet);
  const ids = fleet.tenants.map(({ id }) => id);
  const backups = await repository.listBackups(isWhole ? {} : { tenants: ids });
  if (options.departedAfterMs !== null && !isComplete) {
    context.emit({
      type: 'notice',
      level: 'warning',
      message: 'the fleet could not be read as a whole, so nobody is taken for a tenant that left',
    });
  }
  return planExpiry(backups, {
    rules: keepRules(fleet.inventory, options.keep),
    now: context.now(),
    isWriting: await isDumping(context, fleet),
    selected: new Set(ids),
    isWhole,
    departed: isComplete ? await findDepartedOf(context, fleet, repository, backups, options) : null,
    departedAfterMs: options.departedAfterMs,
  });
}

function findDepartedOf(
  context: Context,
  fleet: Fleet,
  repository: Repository,
  backups: readonly Backup[],
  { dryRun }: ExpireOptions,
): Promise<ReadonlyMap<string, Date>> {
  return findDeparted(context, fleet, repository.store, backups, { writesNothing: dryRun });
}

/** Does a dump that was started here go on? One of another machine is known by the age of what it wrote. */
async function isDumping(context: Context, fleet: Fleet): Promise<boolean> {
  const { runs } = await listRuns(fleet.inventory.state, recentRuns);
  return runs.some((run) => {
    return 'manifest' in run && run.manifest.command === 'dump' && runState(run, context.now()) === 'running';
  });
}

const recentRuns = 20;

/** Removes what both would remove. */
function bothPlans(shown: ExpirePlan, now: ExpirePlan): ExpirePlan {
  const keyOf = ({ subject, time }: Backup) => JSON.stringify([subject, time]);
  const going = new Set(
    allSeries(shown).flatMap(({ judged }) => judged.flatMap((it) => (it.isKept ? [] : [keyOf(it.backup)]))),
  );
  const narrow = (judged: ExpirePlan['shared'][number]['judged']) =>
    judged.map((it) => (it.isKept || going.has(keyOf(it.backup)) ? it : { ...it, isKept: true, reasons: ['new'] }));
  return {
    tenants: new Map([...now.tenants].map(([tenant, judged]) => [tenant, narrow(judged)])),
    departed: now.departed.map((series) => ({ ...series, judged: narrow(series.judged) })),
    shared: now.shared.map((series) => ({ ...series, judged: narrow(series.judged) })),
  };
}

function countAll(plan: ExpirePlan): Expired {
  return countExpired(allSeries(plan).flatMap(({ judged }) => judged));
}

function report(
  fleet: Fleet,
  plan: ExpirePlan,
  { explain, dryRun, keep }: ExpireOptions,
  outcomes: readonly Outcome<Expired>[],
  more: Pick<Result<Expired>, 'run' | 'findings' | 'text'>,
): Result<Expired> {
  return {
    outcomes: mergeOutcomes(fleet.selected, fleet.rejected, outcomes),
    environment: fleet.inventory.environment,
    sources: fleet.sources,
    ...more,
    extra: {
      dryRun,
      keep: keepRules(fleet.inventory, keep),
      departed: plan.departed.map(({ name, since, judged }) => {
        return { tenant: name, firstSeenAt: since.toISOString(), ...countExpired(judged, explain) };
      }),
      shared: plan.shared.map(({ name, judged }) => ({ name, ...countExpired(judged, explain) })),
    },
  };
}
