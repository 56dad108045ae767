import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Migration, MigrationFolder } from '../../migrations/folder.ts';
import { type RepairResult, repairChecksums } from '../../migrations/repair.ts';
import type { Result } from '../../output/result.ts';
import { changeTenants } from '../change-tenants.ts';
import type { Command, Flag, RawOptions } from '../command.ts';
import { askConsent } from '../consent.ts';
import { changeFlags, consentFlags, dryRunFlag, limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { readDuration, readSwitch } from '../read-options.ts';
import { recordRun } from '../record-run.ts';
import { type MigrationOptions, readMigrationOptions } from './migration-options.ts';
import { countTenants } from './migration-view.ts';
import { type LockResult, repairLocks } from './repair-locks.ts';
import { sharedEntries, surveyShared, surveyTenants, withMigrations } from './survey-fleet.ts';

interface RepairOptions extends MigrationOptions {
  readonly yes: boolean;
  /** Locks in place of checksums. */
  readonly locks: boolean;
  readonly force: boolean;
  readonly idleMs: number;
}

const defaultIdleMs = 300_000;

function lockFlag(flags: string, description: string): Flag {
  return { flags, description, fromEnvironment: false, group: 'Stale locks:' };
}

const lockFlags: readonly Flag[] = [
  lockFlag('--locks', 'look for sessions that hold the tenants’ locks, and end those that nobody works on'),
  lockFlag(
    '--idle <duration>',
    'with --locks: without a statement for so long, a session is abandoned (default: 5min)',
  ),
  lockFlag('--force', 'with --locks: also end sessions that may be at work, and those of node-pg-migrate'),
];

/** `tenantctl migrate repair`: accepts that applied files were edited, or frees locks that nobody needs. */
export const migrateRepair: Command<RepairOptions, RepairResult | LockResult> = {
  name: 'migrate repair',
  summary: 'accept applied files that were edited, or free stale locks',
  examples: [
    ['tenantctl migrate repair --all --dry-run', 'which files were edited, and how many tenants ran them before'],
    ['tenantctl migrate repair --all', 'after a look at the edit: a comment, say, and not a statement'],
    ['tenantctl migrate repair --all --locks', 'who holds locks of tenants; sessions that nobody works on are ended'],
  ],
  flags: [...selectionFlags, ...lockFlags, dryRunFlag, ...consentFlags, ...limitFlags, ...changeFlags],
  view: {
    columns: ['tenant', 'found'],
    row: (outcome, { verbose }) => {
      if (outcome.status !== 'done' || !verbose) return null;
      const { value } = outcome;
      const found = 'held' in value ? value.held.map(({ pid }) => `pid ${pid}`) : value.repaired;
      return [outcome.tenant.id, found.join(' ') || '-'];
    },
  },
  options: readRepairOptions,
  run: (context, options): Promise<Result<RepairResult | LockResult>> => {
    const mode = options.dryRun ? 'read' : 'change';
    const open = { ...options, mode, writesNothing: options.dryRun } as const;
    if (options.locks) return withFleet(context, open, (fleet) => repairLocks(context, fleet, options));
    return withMigrations(context, open, (fleet, folder) => repair(context, fleet, folder, options));
  },
  retryFlags: ({ locks, force }) => [...(locks ? ['--locks'] : []), ...(force ? ['--force'] : [])],
  canRetry: true,
};

function readRepairOptions(raw: RawOptions): RepairOptions {
  const locks = readSwitch(raw, 'locks');
  for (const name of locks ? [] : ['force', 'idle']) {
    if (raw[name] !== undefined) throw new UsageError(`--${name} goes with --locks`);
  }
  return {
    ...readMigrationOptions(raw),
    yes: readSwitch(raw, 'yes'),
    locks,
    force: readSwitch(raw, 'force'),
    idleMs: readDuration(raw, 'idle') ?? defaultIdleMs,
  };
}

async function repair(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: RepairOptions,
): Promise<Result<RepairResult>> {
  const { environment } = fleet.inventory;
  const surveyed = [
    await surveyTenants(context, fleet, folder, fleet.tenants),
    ...(await surveyShared(context, fleet)),
  ];
  const shared = surveyed.slice(1).flatMap(({ tenants }) => tenants);
  const edited = new Map<Tenant, readonly Migration[]>();
  const settled: Outcome<RepairResult>[] = [...fleet.rejected];
  for (const outcome of surveyed.flatMap(({ outcomes }) => outcomes)) {
    if (outcome.status !== 'done') settled.push(outcome);
    else if (outcome.value.standing.edited.length === 0) settled.push({ ...outcome, value: { repaired: [] } });
    else edited.set(outcome.tenant, outcome.value.standing.edited);
  }
  const lines = describeEdits(edited);
  const [first = 'no applied file was edited', ...rest] = lines;
  const answer = { environment, sources: fleet.sources, text: [`environment ${environment}: ${first}`, ...rest] };
  if (options.dryRun || edited.size === 0) {
    const planned = [...edited].map(([tenant, migrations]): Outcome<RepairResult> => {
      const repaired = migrations.map(({ name }) => name);
      return { tenant, status: 'done', value: { repaired }, durationMs: 0 };
    });
    const all = mergeOutcomes<RepairResult>(fleet.selected, settled, planned);
    const entries = sharedEntries(shared, [...settled, ...planned]);
    return { ...answer, outcomes: all, run: null, extra: { dryRun: options.dryRun, ...entries } };
  }
  await askConsent(context, environment, { lines, risk: 'this accepts edits of applied files' }, options.yes);
  const run = { phase: 'repairing', tenants: [...edited.keys()], change: repairer(edited) };
  const done = await recordRun(context, fleet, 'migrate repair', {}, (recorded) => {
    for (const outcome of settled) recorded.emit({ type: 'settled', outcome });
    return changeTenants(recorded, fleet, run, options);
  });
  const outcomes = mergeOutcomes<RepairResult>(fleet.selected, settled, done);
  return { ...answer, outcomes, run: fleet.run, extra: sharedEntries(shared, [...settled, ...done]) };
}

function repairer(edited: ReadonlyMap<Tenant, readonly Migration[]>) {
  return (...[session, tenant, take]: Parameters<RepairOne>) =>
    repairChecksums(session, tenant, edited.get(tenant) ?? [], take);
}

type RepairOne = Parameters<typeof changeTenants<RepairResult>>[2]['change'];

function describeEdits(edited: ReadonlyMap<Tenant, readonly Migration[]>): string[] {
  const counts = new Map<Migration, number>();
  for (const migration of [...edited.values()].flat()) counts.set(migration, (counts.get(migration) ?? 0) + 1);
  return [...counts].map(([{ displayPath }, count]) => `${displayPath} was edited since ${countTenants(count)} ran it`);
}
