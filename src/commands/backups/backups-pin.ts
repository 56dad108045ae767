import type { Backup, Pin } from '../../backups/repository/backup.ts';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { parseDuration } from '../../fleet/duration.ts';
import type { Result } from '../../output/result.ts';
import { type Command, type Flag, type RawOptions, textView } from '../command.ts';
import { dryRunFlag } from '../flags.ts';
import { readInventory } from '../open-inventory.ts';
import { readSwitch, readText } from '../read-options.ts';
import { utc } from '../runs/runs-list.ts';
import { backupJson } from './backup-text.ts';
import { openRepository, storeFlag } from './open-repository.ts';
import { backupAt, backupsOf } from './pick-backup.ts';
import { type BackupTime, readBackupTime } from './read-time.ts';

interface PinOptions {
  readonly config: string | null;
  readonly store: string | null;
  readonly tenant: string;
  readonly at: BackupTime;
  /** Null: the pin is taken away. */
  readonly reason: string | null;
  /** A duration from now in milliseconds, or a time; null: until it is taken away. */
  readonly until: number | Date | null;
  readonly dryRun: boolean;
}

function flag(flags: string, description: string): Flag {
  return { flags, description, fromEnvironment: false };
}

/** `tenantctl backups pin`: keeps one backup from expiring. */
export const backupsPin: Command<PinOptions, never> = {
  name: 'backups pin',
  summary: 'keep a backup from expiring, or let it go again',
  examples: [
    ['tenantctl backups pin acme --at latest --reason "before the merger"', 'keep the newest'],
    ['tenantctl backups pin acme --at 2026-11-22 --reason audit --until 90d', 'the newest of that day, for 90 days'],
    ['tenantctl backups pin acme --at 2026-11-22 --remove', 'let it expire as others do'],
  ],
  arguments: '<tenant>',
  flags: [
    flag('--at <time>', 'which backup: a time as backups list shows it, one with its zone, a day, or latest'),
    flag('--reason <text>', 'why, for those who ask later'),
    flag('--until <date|duration>', 'the pin runs out then (default: never)'),
    flag('--remove', 'take the pin away'),
    storeFlag,
    dryRunFlag,
  ],
  view: textView,
  options: readOptions,
  run: pin,
};

function readOptions(raw: RawOptions, [tenant = '']: readonly string[]): PinOptions {
  const [at, reason, until] = [readText(raw, 'at'), readText(raw, 'reason'), readText(raw, 'until')];
  const isRemoval = readSwitch(raw, 'remove');
  if (at === null) throw new UsageError('say which backup: --at <time>', { hint: 'like --at latest' });
  if (isRemoval && (reason !== null || until !== null)) {
    throw new UsageError('--remove does not go with --reason and --until');
  }
  if (!isRemoval && (reason === null || reason.trim() === '')) {
    throw new UsageError('say why: --reason <text>', { hint: 'or --remove, to take a pin away' });
  }
  return {
    config: readText(raw, 'config'),
    store: readText(raw, 'store'),
    tenant,
    at: readBackupTime(at),
    reason,
    until: until === null ? null : (parseDuration(until) ?? readBackupTime(until, '--until').span?.to ?? null),
    dryRun: readSwitch(raw, 'dryRun'),
  };
}

async function pin(context: Context, options: PinOptions): Promise<Result<never>> {
  const inventory = await readInventory(context, { ...options, writesNothing: options.dryRun });
  await using repository = await openRepository(context, inventory, {
    store: options.store,
    identity: null,
    for: 'change',
  });
  const backup = backupAt(await backupsOf(repository, options.tenant), options.at);
  const wanted = makePin(context, backup, options);
  if (!options.dryRun) await (wanted === null ? repository.removePin(backup) : repository.putPin(backup, wanted));
  const after = { ...backup, pin: wanted };
  return {
    outcomes: [],
    environment: inventory.environment,
    text: [describe(backup, wanted, options)],
    extra: { store: repository.name, dryRun: options.dryRun, backup: backupJson(after, context.now()) },
  };
}

/** Null: it is to have none. */
function makePin(context: Context, backup: Backup, { reason, until, tenant }: PinOptions): Pin | null {
  if (reason === null) return null;
  if (backup.state !== 'complete') {
    throw new UsageError(`${tenant} ${backup.time} is not a backup: ${backup.problem}`, {
      hint: 'see `tenantctl backups list` for those that are',
    });
  }
  const now = context.now();
  const end = typeof until === 'number' ? new Date(now.getTime() + until) : until;
  if (end !== null && end <= now) throw new UsageError(`--until is over already: ${utc(end)} UTC`);
  return {
    schema: 'tenantctl-pin/1',
    at: now.toISOString(),
    by: context.osUser,
    reason,
    until: end?.toISOString() ?? null,
  };
}

function describe(backup: Backup, wanted: Pin | null, { tenant, dryRun }: PinOptions): string {
  const name = `${tenant} ${backup.time}`;
  if (wanted === null) {
    if (backup.pin === null) return `${name} has no pin`;
    return dryRun ? `the pin of ${name} would be taken away` : `the pin of ${name} is taken away: it may expire`;
  }
  const until = wanted.until === null ? 'until the pin is taken away' : `until ${utc(wanted.until)} UTC`;
  return `${name} ${dryRun ? 'would be' : 'is'} kept ${until}`;
}
