import type { Backup } from '../../backups/repository/backup.ts';
import type { BackupSubject } from '../../backups/repository/manifest.ts';
import { subjectFolder, subjectName } from '../../backups/repository/names.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { formatDuration } from '../../fleet/duration.ts';
import { hasWildcard, matchGlob } from '../../fleet/glob.ts';
import { idsFromText } from '../../fleet/selection.ts';
import type { Result } from '../../output/result.ts';
import { formatBytes, listNames, plural } from '../../words.ts';
import { alignRows } from '../align-rows.ts';
import { type Command, type Flag, type RawOptions, textView } from '../command.ts';
import { readInventory } from '../open-inventory.ts';
import { readCount, readSwitch, readText, readTexts } from '../read-options.ts';
import { backupJson, stateWord, storeFacts, verifiedWord } from './backup-text.ts';
import { openRepository, storeFlag } from './open-repository.ts';

const kinds = ['tenant', 'shared', 'large-objects', 'roles'] as const satisfies readonly BackupSubject['kind'][];

interface ListOptions {
  readonly config: string | null;
  readonly store: string | null;
  readonly all: boolean;
  readonly patterns: readonly string[];
  readonly kinds: readonly BackupSubject['kind'][];
  readonly last: number | null;
  readonly allowEmpty: boolean;
}

function selecting(flags: string, description: string): Flag {
  return { flags, description, fromEnvironment: false, group: 'Which backups:' };
}

const flags: readonly Flag[] = [
  selecting('--all', 'of every tenant that has some, also of those that left the fleet'),
  selecting('-t, --tenant <pattern...>', 'ids or globs, of tenants in the store; - reads ids from standard input'),
  selecting('--kind <kind...>', 'tenant, shared, large-objects, roles (default: tenant)'),
  selecting('--last <n>', 'only the newest n of each'),
  selecting('--allow-empty', 'finding none is no mistake'),
  storeFlag,
];

/** `tenantctl backups list`: what is in the store, whoever is in the fleet. */
export const backupsList: Command<ListOptions, never> = {
  name: 'backups list',
  summary: 'show which backups there are, and what in the store is none',
  examples: [
    ['tenantctl backups list -t acme', 'those of one tenant, the newest first'],
    ['tenantctl backups list --all --last 1', 'the newest of every tenant'],
    ['tenantctl backups list --kind shared roles', 'what was taken with the tenants and is none of theirs'],
    ['tenantctl backups list --all --json | jq \'.backups[] | select(.state != "complete")\'', 'what is no backup'],
  ],
  flags,
  view: textView,
  options: readOptions,
  run: list,
};

function readOptions(raw: RawOptions): ListOptions {
  const named = readTexts(raw, 'kind').flatMap((word) => word.split(','));
  const wanted = named.map((word) => {
    const kind = kinds.find((known) => known === word);
    if (kind === undefined) {
      throw new UsageError(`--kind does not know ${JSON.stringify(word)}`, { hint: kinds.join(', ') });
    }
    return kind;
  });
  const [all, patterns] = [readSwitch(raw, 'all'), readTexts(raw, 'tenant')];
  if (!all && patterns.length === 0 && wanted.length === 0) {
    throw new UsageError('no tenant is selected', { hint: 'give --all, --tenant <pattern>, or --kind shared' });
  }
  if (patterns.length > 0 && wanted.length > 0 && !wanted.includes('tenant')) {
    throw new UsageError(`--tenant does not go with --kind ${wanted.join(' ')}`, { hint: 'add --kind tenant' });
  }
  return {
    config: readText(raw, 'config'),
    store: readText(raw, 'store'),
    all,
    patterns,
    kinds: wanted.length === 0 ? ['tenant'] : wanted,
    last: readCount(raw, 'last'),
    allowEmpty: readSwitch(raw, 'allowEmpty'),
  };
}

async function list(context: Context, options: ListOptions): Promise<Result<never>> {
  const inventory = await readInventory(context, { ...options, writesNothing: true });
  await using repository = await openRepository(context, inventory, {
    store: options.store,
    identity: null,
    for: 'look',
  });
  const selected = await select(repository, await resolvePatterns(context, options), options);
  const shown = options.last === null ? selected : newestOfEach(selected, options.last);
  const now = context.now();
  return {
    outcomes: [],
    environment: inventory.environment,
    text: [
      ...(repository.environment === null ? [] : [`environment ${repository.environment}`]),
      ...(shown.length === 0 ? [`there is no backup in ${repository.name}`] : describe(shown, now)),
    ],
    extra: {
      ...storeFacts(repository),
      total: selected.length,
      backups: shown.map((backup) => backupJson(backup, now)),
    },
  };
}

/** Null: every tenant. */
async function resolvePatterns(context: Context, { all, patterns }: ListOptions): Promise<readonly string[] | null> {
  if (all || patterns.length === 0) return null;
  if (!patterns.includes('-')) return patterns;
  return [...patterns.filter((pattern) => pattern !== '-'), ...idsFromText(await context.readStdin())];
}

async function select(
  repository: Repository,
  patterns: readonly string[] | null,
  options: ListOptions,
): Promise<readonly Backup[]> {
  const { kinds: wanted, allowEmpty } = options;
  if (patterns === null) return repository.listBackups({ kinds: wanted });
  if (patterns.length === 0 && !allowEmpty) throw new UsageError('no tenant is selected: standard input was empty');
  const tenants = patterns.some(hasWildcard) ? {} : { tenants: patterns };
  const found = await repository.listBackups({ ...tenants, kinds: wanted });
  const isOf = (pattern: string, { subject }: Backup) =>
    subject.kind === 'tenant' && matchGlob(pattern, subject.tenant) !== null;
  const missing = patterns.filter((pattern) => !found.some((backup) => isOf(pattern, backup)));
  if (missing.length > 0 && !allowEmpty) {
    const words = listNames(missing.map((pattern) => JSON.stringify(pattern)));
    throw new UsageError(`there is no backup of ${words} in ${repository.name}`, {
      hint: 'see `tenantctl backups list --all`',
    });
  }
  return found.filter(
    (backup) => backup.subject.kind !== 'tenant' || patterns.some((pattern) => isOf(pattern, backup)),
  );
}

function newestOfEach(backups: readonly Backup[], last: number): readonly Backup[] {
  return [...Map.groupBy(backups, ({ subject }) => subjectFolder(subject)).values()].flatMap((own) =>
    own.slice(0, last),
  );
}

function describe(backups: readonly Backup[], now: Date): readonly string[] {
  const rows = backups.map((backup) => [
    subjectName(backup.subject),
    backup.time,
    formatDuration(now.getTime() - backup.takenAt.getTime()),
    backup.keys.file === null ? '-' : formatBytes(backup.sizeBytes),
    verifiedWord(backup.verification),
    stateWord(backup, now),
  ]);
  const lacking = backups.filter(({ state }) => state !== 'complete').length;
  return [
    ...alignRows([['TENANT', 'TIME', 'AGE', 'SIZE', 'VERIFIED', 'STATE'], ...rows]),
    ...(lacking === 0 ? [] : ['', `${plural(lacking, 'entry', 'entries')} of ${backups.length} cannot be restored`]),
  ];
}
