import type { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Result } from '../../output/result.ts';
import type { Command } from '../command.ts';
import { askConsent } from '../consent.ts';
import { changeFlags, consentFlags, dryRunFlag, limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { readInventory } from '../open-inventory.ts';
import { recordRun } from '../record-run.ts';
import { openRepository, repositoryFlags } from './open-repository.ts';
import { describeBackup } from './restore-job.ts';
import { type RestoreOptions, readRestoreOptions, restoreFlags } from './restore-options.ts';
import { type PlannedRestore, planRestores, type RestorePlan } from './restore-plan.ts';
import { runRestores } from './restore-run.ts';
import { findLost, findStored } from './restore-selection.ts';
import { describePlanned, describeRestored, restoreView } from './restore-text.ts';
import { requireTools } from './restore-tools.ts';
import type { RestoreValue } from './restore-value.ts';

/** `tenantctl restore`: brings tenants back from their backups, beside the living ones or in their place. */
export const restore: Command<RestoreOptions, RestoreValue> = {
  name: 'restore',
  summary: 'bring tenants back from their backups, beside the living ones or in their place',
  examples: [
    ['tenantctl restore -t acme', 'the newest backup, beside the living tenant: look at it, nothing has changed'],
    ['tenantctl restore -t acme --at 2026-11-21T18:00:00Z', 'as it was then'],
    ['tenantctl restore -t acme --swap --from-run k3f9', 'put in place what that run has restored; keep the old one'],
    ['tenantctl restore -t acme --swap', 'both at once'],
    ['tenantctl restore -t acme --data-only --table tasks', 'only the rows of a table that somebody emptied'],
    ['tenantctl restore --database saas --swap --dry-run', 'what would be done to all tenants of a database'],
  ],
  flags: [
    ...selectionFlags,
    ...restoreFlags,
    ...repositoryFlags,
    dryRunFlag,
    ...consentFlags,
    ...limitFlags,
    ...changeFlags,
  ],
  view: restoreView,
  options: readRestoreOptions,
  run: async (context, options) => {
    // The fleet reads it again and says then what is to be said of it.
    const inventory = await readInventory({ ...context, emit: () => {} }, { ...options, writesNothing: true });
    await using repository = await openRepository(context, inventory, options);
    const stored = await findStored(repository, inventory, options);
    const { selection, dryRun } = options;
    const open = {
      ...options,
      // A name that is only in the store is no mistake; what is one is found later.
      selection: { ...selection, allowEmpty: selection.allowEmpty || stored.backups.size > 0 },
      mode: dryRun ? 'read' : 'change',
      writesNothing: dryRun,
      // Beside, nobody is disturbed, and who sleeps may be looked at.
      takesSleeping: options.toSchema !== null || options.toDatabase !== null,
    } as const;
    return await withFleet(context, open, (fleet) => {
      const lost = findLost(fleet, stored, options);
      for (const { id } of lost) {
        const message = `${id} is not in the fleet: it is restored to where it was`;
        context.emit({ type: 'notice', level: 'info', message });
      }
      const whole = { ...fleet, tenants: [...fleet.tenants, ...lost], selected: [...fleet.selected, ...lost] };
      return restoreFleet(context, whole, new Set(lost), repository, options);
    });
  },
  // The newest backup may be another one by then: what was chosen is in the record.
  retryFlags: () => null,
  canRetry: true,
};

async function restoreFleet(
  context: Context,
  fleet: Fleet,
  lost: ReadonlySet<Tenant>,
  repository: Repository,
  options: RestoreOptions,
): Promise<Result<RestoreValue>> {
  refuseMany(fleet, options);
  const plan = await planRestores(context, fleet, lost, repository, options);
  const planned = [...plan.planned.values()];
  const tools = await requireTools(context, fleet, planned);
  const values = planned.map((each) => describeWhat(each, options));
  const { environment } = fleet.inventory;
  const settled = [...fleet.rejected, ...plan.settled];
  if (options.dryRun) {
    const outcomes = planned.map(({ tenant }, index): Outcome<RestoreValue> => {
      return { tenant, status: 'done', durationMs: 0, value: values[index]! };
    });
    return {
      outcomes: mergeOutcomes<RestoreValue>(fleet.selected, settled, outcomes),
      ...{ run: null, environment, sources: fleet.sources },
      text: [
        `environment ${environment}: plan, nothing was changed`,
        ...describePlanned(planned, values, options.rows),
      ],
      extra: { dryRun: true },
    };
  }
  await confirm(context, environment, planned, values, options);
  const work = (recorder: Context) => runRestores(recorder, fleet, repository, plan, tools, options);
  const done = planned.length === 0 ? null : await record(context, fleet, plan, settled, options, work);
  if (done === null) for (const outcome of settled) context.emit({ type: 'settled', outcome });
  const outcomes = mergeOutcomes<RestoreValue>(fleet.selected, settled, done ?? []);
  const run = done === null ? null : fleet.run;
  return {
    ...{ outcomes, run, environment, sources: fleet.sources },
    text: withEnvironment(environment, describeRestored(outcomes, run)),
  };
}

function record(
  context: Context,
  fleet: Fleet,
  plan: RestorePlan,
  settled: readonly Outcome<never>[],
  { swapsRun }: RestoreOptions,
  work: (recorder: Context) => Promise<Outcome<RestoreValue>[]>,
): Promise<Outcome<RestoreValue>[]> {
  const backups = Object.fromEntries([...plan.planned].map(([{ id }, { chosen }]) => [id, chosen.backup.time]));
  return recordRun(context, fleet, 'restore', { backups, swapsRun }, (recorder) => {
    for (const outcome of settled) recorder.emit({ type: 'settled', outcome });
    return work(recorder);
  });
}

function withEnvironment(environment: string, lines: readonly string[]): string[] {
  return lines.map((line, index) => (index === 0 ? `environment ${environment}: ${line}` : line));
}

/** Restoring beside changes nothing that anybody uses. */
async function confirm(
  context: Context,
  environment: string,
  planned: readonly PlannedRestore[],
  values: readonly RestoreValue[],
  { yes, rows }: RestoreOptions,
): Promise<void> {
  const isHard = planned.some(({ way }) => way.oldName !== null) || rows?.replaces === true;
  if (!isHard) return;
  const risk =
    rows === null
      ? 'this puts backups in the place of living tenants, whose later changes are then in the old ones alone'
      : 'this deletes rows of living tenants';
  await askConsent(context, environment, { lines: describePlanned(planned, values, rows), risk }, yes);
}

/** A name is one tenant's. */
function refuseMany({ tenants }: Fleet, { toSchema, toDatabase }: RestoreOptions): void {
  if ((toSchema === null && toDatabase === null) || tenants.length <= 1) return;
  throw new UsageError(
    `${toSchema === null ? '--to-database' : '--to-schema'} is for one tenant, and ${tenants.length} are selected`,
    { hint: 'without it, each is restored beside the living one' },
  );
}

/** What is known before anything is done. */
function describeWhat(
  { chosen, way, remarks, tables, outside }: PlannedRestore,
  { rows }: RestoreOptions,
): RestoreValue {
  const { manifest, backup } = chosen;
  const restored = backup.verification?.results.find(
    ({ level, verdict }) => level === 'restore' && verdict === 'passed',
  );
  return {
    ...describeBackup(chosen),
    from: manifest.place,
    to: way.to,
    tables: tables.length,
    rows: tables.reduce((sum, { rows }) => sum + (rows ?? 0), 0),
    sizeBytes: manifest.archive.sizeBytes,
    ...{ durationMs: null, bytesPerSecond: null, swapped: false, old: way.oldName, outside },
    expectedMs: rows === null ? (restored?.durationMs ?? null) : null,
    remarks,
  };
}
