import { UsageError } from '../../errors.ts';
import { identifierProblem, isReservedDatabase, isReservedSchema } from '../../fleet/inventory/names.ts';
import { type ChangeSettings, readChangeSettings } from '../change-settings.ts';
import type { Flag, RawOptions } from '../command.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { readSwitch, readText, readTexts } from '../read-options.ts';
import { type RepositoryOptions, readRepositoryOptions } from './open-repository.ts';
import { readBackupTime } from './read-time.ts';

export interface RestoreOptions extends FleetOptions, ChangeSettings, RepositoryOptions {
  /** The last instant that is meant; null: the newest. */
  readonly at: Date | null;
  readonly toSchema: string | null;
  readonly toDatabase: string | null;
  readonly swap: boolean;
  readonly disconnect: boolean;
  readonly allowOldNames: boolean;
  /** Only the rows of these tables; null: everything. */
  readonly rows: null | {
    readonly tables: readonly string[];
    readonly replaces: boolean;
    readonly withSequences: boolean;
  };
  /** With --swap: what this run has restored beside is put in place, and nothing is restored. */
  readonly swapsRun: string | null;
  readonly yes: boolean;
  readonly dryRun: boolean;
  /** Of a run that is resumed, by tenant: the backup that it had chosen. */
  readonly planned: ReadonlyMap<string, string>;
}

const which = restoring('Which backup:');
const where = restoring('Where to:');
const rows = restoring('Only the rows of some tables:');

function restoring(group: string) {
  return (flags: string, description: string): Flag => ({ flags, description, fromEnvironment: false, group });
}

export const restoreFlags: readonly Flag[] = [
  which(
    '--at <time>',
    'the newest backup that is not newer: 2026-11-22T10:15:00Z, 2026-11-22, or as `backups list` names it',
  ),
  where('--to-schema <name>', 'this schema, which must not be there yet; one tenant only'),
  where(
    '--to-database <name>',
    'this database: for a tenant that has its own it must not be there yet; one tenant only',
  ),
  where(
    '--swap',
    'give it the living one’s name, which is kept as tenantctl_old_…; with --from-run: what that run restored',
  ),
  where('--disconnect', 'with --swap, for databases: end the sessions that are in the way'),
  where('--allow-old-names', 'functions may name the old schema in their text'),
  rows('--data-only', 'put rows back into tables of the living tenant; goes with --table'),
  rows('--table <name...>', 'these tables, which must be empty'),
  rows('--replace', 'delete first what is in them, in the same transaction'),
  rows('--with-sequences', 'set the sequences of their columns, never back'),
];

export function readRestoreOptions(raw: RawOptions): RestoreOptions {
  const options = {
    ...readFleetOptions(raw),
    ...readChangeSettings(raw),
    ...readRepositoryOptions(raw),
    at: readBackupTime(readText(raw, 'at') ?? 'latest').span?.to ?? null,
    toSchema: readName(raw, 'toSchema'),
    toDatabase: readName(raw, 'toDatabase'),
    swap: readSwitch(raw, 'swap'),
    disconnect: readSwitch(raw, 'disconnect'),
    allowOldNames: readSwitch(raw, 'allowOldNames'),
    rows: readRows(raw),
    swapsRun: null,
    yes: readSwitch(raw, 'yes'),
    dryRun: readSwitch(raw, 'dryRun'),
    planned: new Map<string, string>(),
  };
  refuseTogether(options);
  // Those that the earlier run has restored; with --outcome it is those that it has not, once more.
  const { fromRun } = options;
  if (!options.swap || fromRun === null || readText(raw, 'outcome') !== null) return options;
  return { ...options, swapsRun: fromRun.run, fromRun: { ...fromRun, outcomes: ['done'] } };
}

function readName(raw: RawOptions, key: 'toSchema' | 'toDatabase'): string | null {
  const name = readText(raw, key);
  const [flag, isReserved] =
    key === 'toSchema'
      ? (['--to-schema', isReservedSchema] as const)
      : (['--to-database', isReservedDatabase] as const);
  if (name === null) return name;
  const problem = identifierProblem(name);
  if (problem !== null) throw new UsageError(`${flag} ${problem}`);
  if (isReserved(name)) {
    throw new UsageError(`${flag} ${JSON.stringify(name)}: a name that PostgreSQL or tenantctl keeps for itself`, {
      hint: 'take one that does not begin with pg_ or tenantctl_',
    });
  }
  return name;
}

function readRows(raw: RawOptions): RestoreOptions['rows'] {
  const tables = readTexts(raw, 'table');
  const replaces = readSwitch(raw, 'replace');
  const withSequences = readSwitch(raw, 'withSequences');
  if (readSwitch(raw, 'dataOnly')) {
    if (tables.length > 0) return { tables, replaces, withSequences };
    throw new UsageError('--data-only needs the names of tables', { hint: 'like --data-only --table tasks' });
  }
  if (tables.length === 0 && !replaces && !withSequences) return null;
  throw new UsageError('--table, --replace and --with-sequences go with --data-only');
}

type Together = Pick<RestoreOptions, 'swap' | 'disconnect' | 'rows' | 'toSchema' | 'toDatabase'>;

function refuseTogether({ swap, disconnect, rows, toSchema, toDatabase }: Together): void {
  const isElsewhere = toSchema !== null || toDatabase !== null;
  if (swap && isElsewhere) {
    throw new UsageError('--swap goes without --to-schema and --to-database', {
      hint: 'it gives what is restored the name of the living tenant',
    });
  }
  if (disconnect && !swap) throw new UsageError('--disconnect goes with --swap');
  if (rows !== null && (swap || isElsewhere)) {
    throw new UsageError(
      '--data-only writes into the living tenant: it goes without --swap, --to-schema and --to-database',
    );
  }
}
