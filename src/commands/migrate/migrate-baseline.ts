import type { Context } from '../../context.ts';
import { TenantError, UsageError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import {
  type BaselineResult,
  type Comparison,
  differs,
  hasHistory,
  judgeHistory,
  recordBaseline,
} from '../../migrations/baseline.ts';
import { findMigration, type Migration, type MigrationFolder } from '../../migrations/folder.ts';
import type { Survey } from '../../migrations/survey.ts';
import type { Result } from '../../output/result.ts';
import { changeTenants } from '../change-tenants.ts';
import type { Command, Flag, RawOptions } from '../command.ts';
import { askConsent } from '../consent.ts';
import { changeFlags, consentFlags, dryRunFlag, limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes } from '../open-fleet.ts';
import { readSwitch, readText } from '../read-options.ts';
import { recordRun } from '../record-run.ts';
import { compareTenants } from './baseline-compare.ts';
import { describeBaseline, describeComparison, describeReported } from './baseline-text.ts';
import { type MigrationOptions, readMigrationOptions } from './migration-options.ts';
import { surveyTenants, withMigrations } from './survey-fleet.ts';

interface BaselineOptions extends MigrationOptions {
  readonly at: string;
  readonly acceptDifferences: boolean;
  readonly yes: boolean;
}

const atFlag: Flag = {
  flags: '--at <migration>',
  description: 'the tenants have this one and all before it: its name, or a beginning that only it has (0142)',
  fromEnvironment: false,
};
const acceptFlag: Flag = {
  flags: '--accept-differences',
  description: 'also record tenants whose schema is not what the migrations build',
  fromEnvironment: false,
};

/** `tenantctl migrate baseline`: takes over schemas that something else built. */
export const migrateBaseline: Command<BaselineOptions, BaselineResult> = {
  name: 'migrate baseline',
  summary: 'take over schemas that already stand: record migrations as applied',
  examples: [
    ['tenantctl migrate baseline --all --at 0005 --dry-run', 'which tenants are what the migrations up to 0005 build'],
    ['tenantctl migrate baseline --all --at 0005', 'record these migrations for them, run nothing'],
  ],
  flags: [...selectionFlags, atFlag, acceptFlag, dryRunFlag, ...consentFlags, ...limitFlags, ...changeFlags],
  view: {
    columns: ['tenant', 'at', 'recorded', 'compared'],
    row: (outcome, { verbose }) => {
      if (outcome.status !== 'done' || !verbose) return null;
      const { at, recorded } = outcome.value;
      return [outcome.tenant.id, at, String(recorded.length), describeComparison(outcome.value)];
    },
  },
  options: readBaselineOptions,
  run: (context, options) => {
    const mode = options.dryRun ? 'read' : 'change';
    return withMigrations(context, { ...options, mode, writesNothing: options.dryRun }, (fleet, folder) =>
      baseline(context, fleet, folder, options),
    );
  },
  retryFlags: ({ at, acceptDifferences, skipUnreachable }) => [
    ...['--at', at],
    ...(acceptDifferences ? ['--accept-differences'] : []),
    ...(skipUnreachable ? ['--skip-unreachable'] : []),
  ],
  canRetry: true,
};

function readBaselineOptions(raw: RawOptions): BaselineOptions {
  const at = readText(raw, 'at');
  if (at === null) {
    throw new UsageError('the baseline needs to know where the tenants stand', { hint: 'name a migration: --at 0005' });
  }
  return {
    ...readMigrationOptions(raw),
    at,
    acceptDifferences: readSwitch(raw, 'acceptDifferences'),
    yes: readSwitch(raw, 'yes'),
  };
}

async function baseline(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: BaselineOptions,
): Promise<Result<BaselineResult>> {
  const target = findMigration(folder, options.at);
  const migrations = folder.migrations.slice(0, folder.migrations.indexOf(target) + 1);
  const { outcomes: surveyed } = await surveyTenants(context, fleet, folder, fleet.tenants);
  const { settled, candidates, ...counts } = sortOut(surveyed, migrations);
  settled.unshift(...fleet.rejected);
  const compared = await compareTenants(context, fleet, candidates, migrations, folder, options);
  const comparisons = new Map<Tenant, Comparison>();
  const work = new Map<Tenant, BaselineResult>();
  for (const outcome of compared) {
    if (outcome.status !== 'done') {
      settled.push(outcome);
      continue;
    }
    const { tenant, value, durationMs } = outcome;
    comparisons.set(tenant, value);
    if (value.differences !== undefined && !options.acceptDifferences) {
      settled.push(failedAt('compare', tenant, differs(target.name, value.differences), durationMs));
    } else work.set(tenant, { at: target.name, recorded: migrations.map(({ name }) => name), ...value });
  }
  const { environment } = fleet.inventory;
  const { acceptDifferences } = options;
  const findings = { environment, migrations, comparisons, acceptDifferences, ...counts };
  const answer = { environment, sources: fleet.sources, text: describeReported(findings) };
  if (options.dryRun || work.size === 0) {
    const planned = [...work].map(([tenant, value]): Outcome<BaselineResult> => {
      return { tenant, status: 'done', value, durationMs: 0 };
    });
    for (const outcome of [...settled, ...planned]) context.emit({ type: 'settled', outcome });
    const outcomes = mergeOutcomes<BaselineResult>(fleet.selected, settled, planned);
    return { ...answer, outcomes, run: null, extra: { dryRun: options.dryRun } };
  }
  const risk = 'this records migrations as applied that nobody ran here';
  await askConsent(context, environment, { lines: describeBaseline(findings), risk }, options.yes);
  const facts = { at: target.name, acceptDifferences };
  const done = await recordRun(context, fleet, 'migrate baseline', facts, (recorded) => {
    for (const outcome of settled) recorded.emit({ type: 'settled', outcome });
    return write(recorded, fleet, work, migrations, options);
  });
  return { ...answer, outcomes: mergeOutcomes<BaselineResult>(fleet.selected, settled, done), run: fleet.run };
}

interface SortedOut {
  readonly settled: Outcome<BaselineResult>[];
  readonly candidates: readonly Tenant[];
  readonly already: number;
  readonly withHistory: number;
}

/** Only tenants without a history get one; whoever has exactly this one is done. */
function sortOut(surveyed: readonly Outcome<Survey>[], migrations: readonly Migration[]): SortedOut {
  const settled: Outcome<BaselineResult>[] = [];
  const candidates: Tenant[] = [];
  const counts = { already: 0, withHistory: 0 };
  for (const outcome of surveyed) {
    if (outcome.status !== 'done') {
      settled.push(outcome);
      continue;
    }
    const { tenant, durationMs } = outcome;
    const { standing } = outcome.value;
    const verdict = judgeHistory(standing.applied, migrations);
    if (verdict === 'none') candidates.push(tenant);
    else if (verdict === 'same') {
      counts.already += 1;
      const value = { at: migrations.at(-1)?.name ?? '', recorded: [] };
      settled.push({ tenant, status: 'done', value, durationMs });
    } else {
      counts.withHistory += 1;
      settled.push(failedAt('plan', tenant, hasHistory(standing), durationMs));
    }
  }
  return { settled, candidates, ...counts };
}

function failedAt(step: string, tenant: Tenant, { failure }: TenantError, durationMs: number): Outcome<never> {
  return { tenant, status: 'failed', step, error: failure, durationMs };
}

function write(
  context: Context,
  fleet: Fleet,
  work: ReadonlyMap<Tenant, BaselineResult>,
  migrations: readonly Migration[],
  options: BaselineOptions,
): Promise<Outcome<BaselineResult>[]> {
  const committing = new Set<Tenant>();
  const run = {
    phase: 'recording',
    tenants: [...work.keys()],
    leftBehind: (tenant: Tenant) => ({ names: [], isCommitUnknown: committing.has(tenant) }),
    change: async (...[session, tenant, take]: Parameters<WriteOne>): Promise<BaselineResult> => {
      const value = work.get(tenant);
      if (value === undefined) throw new TenantError({ message: 'nothing was planned for it', code: 'internal' });
      await recordBaseline(session, tenant, migrations, take, () => committing.add(tenant));
      return value;
    },
  };
  return changeTenants<BaselineResult>(context, fleet, run, options);
}

type WriteOne = Parameters<typeof changeTenants<BaselineResult>>[2]['change'];
