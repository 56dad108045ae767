import type { Backup } from '../../backups/repository/backup.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import { type BackupWindow, backupWindows } from '../../backups/retention/backup-windows.ts';
import { type Asleep, assessBackups, type Condition, type ReportLimits } from '../../backups/retention/condition.ts';
import type { Context } from '../../context.ts';
import { formatDuration } from '../../fleet/duration.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Result } from '../../output/result.ts';
import { formatBytes } from '../../words.ts';
import type { Command, Flag, RawOptions } from '../command.ts';
import { selectionFlags } from '../flags.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { type Fleet, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { readDuration, readText } from '../read-options.ts';
import { backupMetrics } from './backup-metrics.ts';
import { findDeparted, isCompleteLook, isWholeFleet } from './find-departed.ts';
import { openRepository, storeFlag } from './open-repository.ts';
import { type DepartedBackups, describeReport, sumUp } from './report-text.ts';

interface ReportOptions extends FleetOptions {
  readonly store: string | null;
  /** Null: the inventory's. */
  readonly rpoMs: number | null;
  readonly rtoMs: number | null;
}

const limitFlags: readonly Flag[] = [
  {
    flags: '--rpo <duration>',
    description: 'how old the newest backup may be, like 24h (default: backups.rpo of the inventory)',
    fromEnvironment: false,
  },
  {
    flags: '--rto <duration>',
    description: 'how long a restore may take, like 30min (default: backups.rto of the inventory)',
    fromEnvironment: false,
  },
];

/** `tenantctl backups report`: does every tenant that lives have a backup, young enough and quick enough to restore. */
export const backupsReport: Command<ReportOptions, Condition> = {
  name: 'backups report',
  summary: 'who has no backup, an old one, or one that takes too long to restore',
  examples: [
    ['tenantctl backups report --all', 'against rpo and rto of the inventory; exit code 1 on a breach'],
    ['tenantctl backups report --all --rpo 26h --verbose', 'against another limit, with a line for each tenant'],
    [
      'tenantctl backups report --all -o table -o prometheus=/var/lib/node_exporter/tenantctl.prom',
      'for node_exporter too',
    ],
  ],
  flags: [...selectionFlags, ...limitFlags, storeFlag],
  view: {
    columns: ['tenant', 'newest backup', 'age', 'size', 'verified', 'restore', 'breach'],
    row: (outcome, { verbose }) => {
      if (outcome.status !== 'done' || (outcome.value.breaches.length === 0 && !verbose)) return null;
      return conditionCells(outcome.tenant.id, outcome.value);
    },
    isFinding: (outcome) => outcome.status === 'done' && outcome.value.breaches.length > 0,
    metrics: backupMetrics,
  },
  options: (raw: RawOptions) => ({
    ...readFleetOptions(raw),
    store: readText(raw, 'store'),
    rpoMs: readDuration(raw, 'rpo'),
    rtoMs: readDuration(raw, 'rto'),
  }),
  run: (context, options) =>
    withFleet(context, { ...options, mode: 'read', reachesServers: false, takesSleeping: true }, async (fleet) => {
      await using repository = await openRepository(context, fleet.inventory, { store: options.store, identity: null });
      return await reportOn(context, fleet, repository, options);
    }),
  canRetry: false,
};

async function reportOn(
  context: Context,
  fleet: Fleet,
  repository: Repository,
  options: ReportOptions,
): Promise<Result<Condition>> {
  const { environment, backups: settings } = fleet.inventory;
  const limits: ReportLimits = { rpoMs: options.rpoMs ?? settings.rpoMs, rtoMs: options.rtoMs ?? settings.rtoMs };
  const ids = fleet.tenants.map(({ id }) => id);
  const isWhole = isWholeFleet(options);
  const backups = await repository.listBackups(isWhole ? { kinds: ['tenant'] } : { tenants: ids });
  const conditions = assessBackups(ids, backups, limits, context.now(), asleepById(fleet));
  const outcomes = fleet.tenants.map((tenant): Outcome<Condition> => {
    return { tenant, status: 'done', value: conditions.get(tenant.id)!, durationMs: 0 };
  });
  // Who is not in this fleet has not left another one.
  const isOwn = repository.environment === null || repository.environment === environment;
  const departed =
    isOwn && isWhole && isCompleteLook(fleet) ? await listDeparted(context, fleet, repository, backups) : null;
  const windows: readonly BackupWindow[] = backupWindows(backups);
  const fleetTotals = sumUp([...conditions.values()]);
  return {
    outcomes: mergeOutcomes(fleet.selected, fleet.rejected, outcomes),
    environment,
    sources: fleet.sources,
    text: describeReport({ environment, limits, conditions, fleet: fleetTotals, windows, departed: departed ?? [] }),
    extra: { limits, fleet: fleetTotals, windows, departed },
  };
}

function asleepById({ sleeping }: Fleet): ReadonlyMap<string, Asleep> {
  return new Map(
    [...sleeping].map(([{ id }, { state, how, since }]) => {
      // While it is put to sleep its data stand where they were.
      return [id, { since, isArchived: how === 'archive' && state !== 'hibernating' }];
    }),
  );
}

async function listDeparted(
  context: Context,
  fleet: Fleet,
  { store }: Repository,
  backups: readonly Backup[],
): Promise<readonly DepartedBackups[]> {
  const departed = await findDeparted(context, fleet, store, backups, { writesNothing: false });
  const series = Map.groupBy(backups, ({ subject }) => (subject.kind === 'tenant' ? subject.tenant : ''));
  return [...departed].map(([tenant, since]) => {
    const own = series.get(tenant) ?? [];
    const sizeBytes = own.reduce((sum, backup) => sum + backup.sizeBytes, 0);
    return { tenant, firstSeenAt: since.toISOString(), backups: own.length, sizeBytes };
  });
}

function conditionCells(tenant: string, condition: Condition): readonly string[] {
  const { backup, verified, expectedRestore, asleepSince, breaches } = condition;
  return [
    tenant,
    backup === null ? 'none' : backup.takenAt.slice(0, 16).replace('T', ' '),
    backup === null ? '-' : formatDuration(backup.ageMs),
    backup === null ? '-' : formatBytes(backup.sizeBytes),
    verified === null ? 'never' : `${verified.level} ${verified.at.slice(0, 10)}`,
    expectedRestore === null
      ? '-'
      : `${expectedRestore.basis === 'others' ? '~' : ''}${formatDuration(expectedRestore.durationMs)}`,
    breaches.join(', ') || (asleepSince === null ? '-' : 'none, it sleeps'),
  ];
}
