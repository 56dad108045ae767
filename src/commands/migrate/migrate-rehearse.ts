import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { resolveShare, type Share } from '../../fleet/share.ts';
import type { MigrationFolder } from '../../migrations/folder.ts';
import type { RehearsalResult } from '../../migrations/rehearsal.ts';
import type { Result } from '../../output/result.ts';
import type { Command, Flag, RawOptions } from '../command.ts';
import { changeFlags, limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes } from '../open-fleet.ts';
import { type MigrationOptions, readMigrationOptions, rehearsedFlags, upTargetFlags } from './migration-options.ts';
import { runPreflight } from './preflight.ts';
import { describeRehearsal } from './rehearsal-text.ts';
import { forTenants, prepareRehearsal, rehearseParts } from './rehearse-jobs.ts';
import { sharedEntries, withMigrations } from './survey-fleet.ts';
import { planUpJobs } from './up-jobs.ts';

interface RehearseOptions extends MigrationOptions {
  /** So many of those with something to run. */
  readonly canary: Share;
}

const canaryFlag: Flag = {
  flags: '--canary <n|p%>',
  description: 'rehearse on the first n of those with something to run (default: 1)',
  fromEnvironment: true,
  group: 'Which tenants:',
};

/** `tenantctl migrate rehearse`: runs pending migrations on a few tenants and rolls them back. */
export const migrateRehearse: Command<RehearseOptions, RehearsalResult> = {
  name: 'migrate rehearse',
  summary: 'run pending migrations on a few tenants, report time and locks, and roll them back',
  examples: [
    ['tenantctl migrate rehearse --all', 'on the first tenant that has something to run'],
    ['tenantctl migrate rehearse --all --canary 3', 'on those three that `migrate --canary 3` would begin with'],
    ['tenantctl migrate rehearse -t acme --to 0142 --json', 'one tenant, up to a migration, for a program'],
  ],
  flags: [
    ...selectionFlags,
    canaryFlag,
    ...upTargetFlags.filter(({ flags }) => flags !== '--fake'),
    ...limitFlags,
    ...changeFlags.filter(({ flags }) => !flags.startsWith('--canary ')),
  ],
  view: {
    columns: ['tenant', 'migrations', 'not rehearsed', 'strong locks', 'ms'],
    row: ({ tenant, ...outcome }, { verbose }) => {
      if (outcome.status !== 'done' || !verbose) return null;
      const { migrations, notRehearsed, locks, durationMs } = outcome.value;
      return [tenant.id, ...[migrations, notRehearsed, locks].map(({ length }) => String(length)), String(durationMs)];
    },
  },
  options: readRehearseOptions,
  // It waits for locks, and makes others wait for them: what a run refuses, this refuses.
  run: (context, options) => {
    return withMigrations(context, { ...options, mode: 'change', writesNothing: true }, (fleet, folder) => {
      return rehearse(context, fleet, folder, options);
    });
  },
  retryFlags: rehearsedFlags,
  canRetry: true,
};

function readRehearseOptions(raw: RawOptions): RehearseOptions {
  const options = readMigrationOptions(raw);
  const canary = options.canary ?? { count: 1 };
  if (Object.values(canary).includes(0)) {
    throw new UsageError('--canary 0 would rehearse nothing', { hint: 'like 3 or 2%' });
  }
  return { ...options, canary };
}

async function rehearse(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: RehearseOptions,
): Promise<Result<RehearsalResult>> {
  const jobs = await planUpJobs(context, fleet, folder, options);
  // Looked through for everybody: what a run would refuse, this refuses.
  const all = await prepareRehearsal(jobs);
  const pending = [...jobs.tenants.work.keys()];
  const parts = forTenants(all, pending.slice(0, resolveShare(options.canary, pending.length)));
  await runPreflight(
    context,
    fleet,
    [parts.tenants, ...parts.shared].map(({ job }) => job),
    [],
  );
  const { outcomes, shared } = await rehearseParts(context, fleet, parts, options);
  const { environment } = fleet.inventory;
  return {
    outcomes: mergeOutcomes<RehearsalResult>(fleet.selected, outcomes),
    run: null,
    environment,
    sources: fleet.sources,
    text: describeRehearsal(environment, pending.length, outcomes, shared),
    extra: {
      pendingTenants: pending.length,
      ...sharedEntries(
        shared.map(({ tenant }) => tenant),
        shared,
      ),
    },
  };
}
