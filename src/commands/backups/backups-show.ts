import type { Backup, VerificationResult } from '../../backups/repository/backup.ts';
import type { BackupManifest } from '../../backups/repository/manifest.ts';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { formatDuration } from '../../fleet/duration.ts';
import type { Result } from '../../output/result.ts';
import { formatBytes, plural } from '../../words.ts';
import { alignRows } from '../align-rows.ts';
import { type Command, type RawOptions, textView } from '../command.ts';
import { readInventory } from '../open-inventory.ts';
import { readSwitch, readText } from '../read-options.ts';
import { utc } from '../runs/runs-list.ts';
import { backupJson, isPinned, storeFacts } from './backup-text.ts';
import { openRepository, storeFlag } from './open-repository.ts';
import { backupsOf, newestAt } from './pick-backup.ts';
import { type BackupTime, readBackupTime } from './read-time.ts';

interface ShowOptions {
  readonly config: string | null;
  readonly store: string | null;
  readonly tenant: string;
  readonly at: BackupTime;
  readonly verbose: boolean;
}

/** The tables that are shown without `--verbose`: the largest. */
const tablesShown = 10;

/** `tenantctl backups show`: one backup, as `restore --at` with the same time would take it. */
export const backupsShow: Command<ShowOptions, never> = {
  name: 'backups show',
  summary: 'show one backup: where it was taken, what it holds and needs, whether it was verified',
  examples: [
    ['tenantctl backups show acme', 'the newest'],
    ['tenantctl backups show acme --at 2026-11-22T10:15:00Z', 'the newest that was taken before'],
    ['tenantctl backups show acme -v', 'with all its tables'],
  ],
  arguments: '<tenant>',
  flags: [
    {
      flags: '--at <time>',
      description: 'the newest that is not newer: a time with its zone, a day, or latest (default: latest)',
      fromEnvironment: false,
    },
    storeFlag,
  ],
  view: textView,
  options: (raw: RawOptions, [tenant = '']: readonly string[]) => ({
    config: readText(raw, 'config'),
    store: readText(raw, 'store'),
    tenant,
    at: readBackupTime(readText(raw, 'at') ?? 'latest'),
    verbose: readSwitch(raw, 'verbose'),
  }),
  run: show,
};

async function show(context: Context, options: ShowOptions): Promise<Result<never>> {
  const inventory = await readInventory(context, { ...options, writesNothing: true });
  await using repository = await openRepository(context, inventory, {
    store: options.store,
    identity: null,
    for: 'look',
  });
  const backups = await backupsOf(repository, options.tenant);
  const backup = newestAt(backups, options.at);
  if (backup === null) {
    const oldest = backups.findLast(({ state }) => state === 'complete');
    throw new UsageError(`there is no backup of ${JSON.stringify(options.tenant)} at ${options.at.text}`, {
      hint:
        oldest === undefined
          ? `none of the ${backups.length} in ${repository.name} is complete: see \`tenantctl backups list\``
          : `the oldest is of ${oldest.time}`,
    });
  }
  const now = context.now();
  return {
    outcomes: [],
    environment: inventory.environment,
    text: describe(backup, backup.manifest!, now, options.verbose),
    extra: { ...storeFacts(repository), backup: backupJson(backup, now) },
  };
}

function describe(backup: Backup, manifest: BackupManifest, now: Date, verbose: boolean): readonly string[] {
  const { place, snapshot, archive, file, encryption, made, versions } = manifest;
  const where = `${place.server}/${place.database}${place.schema === null ? '' : `, schema ${place.schema}`}`;
  const age = formatDuration(now.getTime() - backup.takenAt.getTime());
  const labels = Object.entries(manifest.labels).map(([key, value]) => `${key}=${value}`);
  const rows: (readonly [string, string])[] = [
    [
      'taken',
      `${utc(snapshot.takenAt)} UTC, ${age} ago, from ${where}${snapshot.fromReplica ? ', on its replica' : ''}`,
    ],
    ['environment', manifest.environment],
    ['snapshot', describeSnapshot(manifest)],
    ['file', `${backup.keys.file}, ${formatBytes(file.sizeBytes)}, sha256 ${file.sha256}`],
    ['encrypted', encryption === null ? 'no' : `age, for ${encryption.recipients.join(', ')}`],
    ...(encryption === null
      ? []
      : [['archive', `${formatBytes(archive.sizeBytes)}, sha256 ${archive.sha256}`] as const]),
    ['made', `${describeMaking(made)}, run ${manifest.run}, by version ${versions.tenantctl}`],
    ['versions', `PostgreSQL ${versions.server}, pg_dump ${versions.dump}`],
    ...(labels.length === 0 ? [] : [['labels', labels.join(', ')] as const]),
    ['migrations', describeMigration(manifest)],
    ...describeNeeds(manifest),
    ...(backup.verification?.results ?? []).map((result) => ['verified', describeResult(result)] as const),
    ...(backup.verification === null ? [['verified', 'never'] as const] : []),
    ['pin', describePin(backup, now)],
    ...(backup.receipt === null ? [] : [['receipt', describeReceipt(backup.receipt)] as const]),
    ...manifest.remarks.map((remark) => ['remark', remark] as const),
  ];
  return [
    `${manifest.subject.kind === 'tenant' ? manifest.subject.tenant : ''} ${backup.time}`,
    ...alignRows(rows),
    ...describeTables(manifest, verbose),
  ];
}

function describeSnapshot({ snapshot }: BackupManifest): string {
  const common = snapshot.isCommon
    ? 'the same instant as the other tenants of its database'
    : `an instant of its own${snapshot.reason === undefined ? '' : `: ${snapshot.reason}`}`;
  return `${common}, at LSN ${snapshot.lsn}`;
}

function describeMaking({ batch, alone, durationMs }: BackupManifest['made']): string {
  const how = batch > 1 ? `by one pg_dump with ${plural(batch - 1, 'other tenant')}` : 'by a pg_dump of its own';
  return `${how}${alone === undefined ? '' : ` (${alone})`} in ${formatDuration(durationMs)}`;
}

function describeMigration({ migration }: BackupManifest): string {
  return migration === null ? 'no history' : `${migration.version}, ${migration.applied} applied`;
}

function describeNeeds({ needs }: BackupManifest): readonly (readonly [string, string])[] {
  const extensions = needs.extensions.map(({ name, version, schema }) => `${name} ${version} in ${schema}`);
  const files = [needs.shared, needs.rolesFile, needs.largeObjects].filter((key) => key !== null);
  return [
    ...(extensions.length === 0 ? [] : [['needs', `extensions: ${extensions.join(', ')}`] as const]),
    ...(needs.roles.length === 0 ? [] : [['needs', `roles: ${needs.roles.join(', ')}`] as const]),
    ...files.map((key) => ['taken with', key] as const),
  ];
}

function describeResult({ level, verdict, at, durationMs, problems }: VerificationResult): string {
  const words = { passed: 'passed', bad: 'BAD', 'could-not-run': 'could not run' };
  const why = problems.length === 0 ? '' : `: ${problems.join('; ')}`;
  return `${level}: ${words[verdict]} on ${utc(at)} UTC in ${formatDuration(durationMs)}${why}`;
}

function describeReceipt({ living }: { readonly living: boolean }): string {
  return living ? 'the tenant sleeps, and will be woken from this' : 'the tenant was woken';
}

function describePin(backup: Backup, now: Date): string {
  const { pin } = backup;
  if (pin === null) return 'none';
  const until = pin.until === null ? 'until it is taken away' : `until ${utc(pin.until)} UTC`;
  return `${isPinned(backup, now) ? '' : 'run out: '}${until}, by ${pin.by} on ${utc(pin.at)} UTC: ${pin.reason}`;
}

function describeTables({ tables }: BackupManifest, verbose: boolean): readonly string[] {
  const sorted = tables.toSorted((a, b) => b.sizeBytes - a.sizeBytes);
  const shown = verbose ? sorted : sorted.slice(0, tablesShown);
  const rows = tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
  const rest = tables.length - shown.length;
  return [
    '',
    `${plural(tables.length, 'table')}, ${plural(rows, 'row')}`,
    ...alignRows(
      shown.map(({ schema, name, rows: own, sizeBytes }) => [
        `  ${schema}.${name}`,
        own === null ? '? rows' : plural(own, 'row'),
        formatBytes(sizeBytes),
      ]),
    ),
    ...(rest > 0 ? [`  … and ${rest} more, shown with --verbose`] : []),
  ];
}
