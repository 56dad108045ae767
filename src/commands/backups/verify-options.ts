import type { VerificationLevel } from '../../backups/repository/backup.ts';
import { UsageError } from '../../errors.ts';
import type { Flag, RawOptions } from '../command.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { readDuration, readSwitch, readText, readTexts } from '../read-options.ts';
import { type RepositoryOptions, readRepositoryOptions } from './open-repository.ts';
import { readBackupTime } from './read-time.ts';

export interface VerifyOptions extends FleetOptions {
  readonly repository: RepositoryOptions;
  readonly level: VerificationLevel;
  /** The newest backup at or before it; null: the newest. */
  readonly at: Date | null;
  readonly allBackups: boolean;
  /** Milliseconds in which each tenant has its turn. */
  readonly withinMs: number | null;
  /** Milliseconds after which no further tenant is begun. */
  readonly budgetMs: number | null;
  /** A server of the inventory. */
  readonly scratch: string | null;
  readonly checks: readonly string[];
}

function flag(group: string, flags: string, description: string, fromEnvironment = true): Flag {
  return { flags, description, fromEnvironment, group };
}

const what = 'What is verified:';
const turns = 'In turns:';

export const verifyFlags: readonly Flag[] = [
  flag(what, '--level <level>', 'manifest, content or restore (default: content)'),
  flag(what, '--at <time>', 'the newest backup at or before it (default: the newest)', false),
  flag(what, '--all-backups', 'every backup of the tenants', false),
  flag(what, '--scratch <server>', 'restore into databases made on this server of the inventory'),
  flag(
    what,
    '--check <sql...>',
    'run on each restored tenant, beside backups.checks; a row that comes back is bad',
    false,
  ),
  flag(turns, '--within <duration>', 'only those whose turn it is, so that each has one in so much time, like 30d'),
  flag(turns, '--budget <duration>', 'begin no further tenant after this long, like 20min'),
  flag(
    'When something fails:',
    '--grace <duration>',
    'after a SIGTERM, cancel what runs after this long (default: 20s)',
  ),
];

const levels: readonly VerificationLevel[] = ['manifest', 'content', 'restore'];

export function readVerifyOptions(raw: RawOptions): VerifyOptions {
  const at = readText(raw, 'at');
  const options: VerifyOptions = {
    ...readFleetOptions(raw),
    repository: readRepositoryOptions(raw),
    level: readLevel(readText(raw, 'level') ?? 'content'),
    at: at === null ? null : (readBackupTime(at).span?.to ?? null),
    allBackups: readSwitch(raw, 'allBackups'),
    withinMs: readDuration(raw, 'within'),
    budgetMs: readDuration(raw, 'budget'),
    scratch: readText(raw, 'scratch'),
    checks: readTexts(raw, 'check'),
  };
  const refuse = (one: string, other: string) => {
    throw new UsageError(`${one} does not go with ${other}`, { hint: 'leave one of them out' });
  };
  if (options.at !== null && options.allBackups) refuse('--at', '--all-backups');
  if (options.withinMs !== null && options.allBackups) refuse('--within', '--all-backups');
  if (options.withinMs !== null && options.at !== null) refuse('--within', '--at');
  if (options.withinMs === 0) throw new UsageError('--within takes a duration longer than 0', { hint: 'like 30d' });
  if (options.level !== 'restore') {
    const hint = 'add --level restore';
    if (options.scratch !== null) throw new UsageError(`--scratch does not go with --level ${options.level}`, { hint });
    if (options.checks.length > 0) throw new UsageError(`--check does not go with --level ${options.level}`, { hint });
  }
  return options;
}

function readLevel(text: string): VerificationLevel {
  const level = levels.find((known) => known === text);
  if (level !== undefined) return level;
  throw new UsageError(`--level does not know ${JSON.stringify(text)}`, { hint: levels.join(', ') });
}
