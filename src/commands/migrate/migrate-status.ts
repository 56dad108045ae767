import type { Context } from '../../context.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { MigrationFolder } from '../../migrations/folder.ts';
import { countStandings, describeHistogram, type Histogram } from '../../migrations/histogram.ts';
import type { Standing } from '../../migrations/plan.ts';
import type { Survey } from '../../migrations/survey.ts';
import type { Result } from '../../output/result.ts';
import type { Command, Flag, RawOptions } from '../command.ts';
import { limitFlags, selectionFlags } from '../flags.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { type Fleet, mergeOutcomes } from '../open-fleet.ts';
import { readSwitch } from '../read-options.ts';
import { type Surveyed, sharedEntries, surveyShared, surveyTenants, withMigrations } from './survey-fleet.ts';

interface StatusOptions extends FleetOptions {
  readonly check: boolean;
}

/** `value` of a done outcome. */
interface Status {
  readonly version: string | null;
  readonly applied: number;
  readonly pending: readonly string[];
  readonly ahead: readonly string[];
  readonly edited: readonly string[];
  readonly outOfOrder: readonly string[];
}

const checkFlag: Flag = {
  flags: '--check',
  description: 'exit 1 when a tenant has pending, edited or out-of-order migrations',
  fromEnvironment: true,
};

/** `tenantctl migrate status`: how many tenants stand at which migration. */
export const migrateStatus: Command<StatusOptions, Status> = {
  name: 'migrate status',
  summary: 'show how many tenants stand at which migration',
  examples: [
    ['tenantctl migrate status --all', '812 at 0142_invoices, 3 at 0139_due_dates, 1 ahead, 2 without history'],
    ['tenantctl migrate status --all -v', 'a line for each tenant'],
    ['tenantctl migrate status --all --check', 'for CI: exit 1 when anything is pending'],
  ],
  flags: [...selectionFlags, checkFlag, ...limitFlags],
  view: {
    columns: ['tenant', 'version', 'applied', 'pending', 'note'],
    row: (outcome, { verbose }) => {
      if (outcome.status !== 'done' || !verbose) return null;
      const { version, applied, pending } = outcome.value;
      return [outcome.tenant.id, version ?? '-', String(applied), String(pending.length), noteOf(outcome.value)];
    },
  },
  options: (raw: RawOptions) => ({ ...readFleetOptions(raw), check: readSwitch(raw, 'check') }),
  run: (context, options) =>
    withMigrations(context, { ...options, mode: 'read' }, (fleet, folder) => status(context, fleet, folder, options)),
};

async function status(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  { check }: StatusOptions,
): Promise<Result<Status>> {
  const surveyed = await surveyTenants(context, fleet, folder, fleet.tenants);
  const surveyedShared = await surveyShared(context, fleet);
  const known = new Map<Standing, Status>();
  const toStatus = (outcome: Outcome<Survey>): Outcome<Status> => {
    if (outcome.status !== 'done') return outcome;
    const { standing } = outcome.value;
    const value = known.get(standing) ?? statusOf(standing);
    known.set(standing, value);
    return { ...outcome, value, ...(check ? { finding: isBehind(value) } : {}) };
  };
  const outcomes = surveyed.outcomes.map(toStatus);
  const shared = surveyedShared.flatMap((each) => each.outcomes.map(toStatus));
  for (const outcome of [...fleet.rejected, ...outcomes]) context.emit({ type: 'settled', outcome });
  const histogram = histogramOf(surveyed);
  return {
    outcomes: mergeOutcomes<Status>(fleet.selected, fleet.rejected, outcomes),
    run: null,
    environment: fleet.inventory.environment,
    sources: fleet.sources,
    text: [
      `environment ${fleet.inventory.environment}: ${describeHistogram(histogram)}`,
      ...warnings(histogram),
      ...shared.map(describeShared),
    ],
    findings: shared
      .filter((outcome) => outcome.status === 'done' && outcome.finding === true)
      .map((outcome) => ({ message: describeShared(outcome), code: 'pending' })),
    extra: {
      histogram,
      ...sharedEntries(
        shared.map(({ tenant }) => tenant),
        shared,
      ),
    },
  };
}

function histogramOf({ outcomes, folder }: Surveyed): Histogram {
  const standings = outcomes.flatMap((outcome) => (outcome.status === 'done' ? [outcome.value.standing] : []));
  return countStandings(standings, folder);
}

function statusOf(standing: Standing): Status {
  return {
    version: standing.version,
    applied: standing.applied.length,
    pending: standing.pending.map(({ name }) => name),
    ahead: standing.ahead,
    edited: standing.edited.map(({ name }) => name),
    outOfOrder: standing.outOfOrder.map(({ name }) => name),
  };
}

function isBehind({ pending, edited, outOfOrder }: Status): boolean {
  return pending.length > 0 || edited.length > 0 || outOfOrder.length > 0;
}

function noteOf({ ahead, edited, outOfOrder }: Status): string {
  return [
    ahead.length > 0 ? `ahead: ${ahead.join(', ')}` : '',
    edited.length > 0 ? `edited: ${edited.join(', ')}` : '',
    outOfOrder.length > 0 ? `out of order: ${outOfOrder.join(', ')}` : '',
  ]
    .filter((note) => note !== '')
    .join('; ');
}

function warnings({ behind, edited, outOfOrder }: Histogram): string[] {
  return [
    ...(behind > 0 ? [`${behind} behind: see them with -v, bring them up with tenantctl migrate`] : []),
    ...(edited > 0 ? [`${edited} ran migrations that were edited since`] : []),
    ...(outOfOrder > 0 ? [`${outOfOrder} without a migration that is older than one applied`] : []),
  ];
}

function describeShared({ tenant, ...outcome }: Outcome<Status>): string {
  const place = `shared schema ${tenant.schema} in ${tenant.server}/${tenant.database}`;
  if (outcome.status !== 'done') return `${place}: ${outcome.status}`;
  const { version, pending } = outcome.value;
  return `${place}: at ${version ?? 'no history'}${pending.length > 0 ? `, ${pending.length} pending` : ''}`;
}
