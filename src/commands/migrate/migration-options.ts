import { UsageError } from '../../errors.ts';
import { type ChangeSettings, readChangeSettings } from '../change-settings.ts';
import type { Flag, RawOptions } from '../command.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { readCount, readSwitch, readText } from '../read-options.ts';

/** What `migrate up` and `migrate down` have in common. */
export interface MigrationOptions extends FleetOptions, ChangeSettings {
  readonly to: string | null;
  readonly count: number | null;
  readonly fake: boolean;
  readonly dryRun: boolean;
  readonly checkOrder: boolean;
  /** Of a run that is resumed: names of the files that it knew, and no other one is run; null: all that are there. */
  readonly files: readonly string[] | null;
  /** The same of the folders of shared schemas. */
  readonly sharedFiles: readonly string[] | null;
}

function flag(flags: string, description: string, fromEnvironment = true): Flag {
  return { flags, description, fromEnvironment, group: 'Which migrations:' };
}

export const orderFlag = flag('--no-check-order', 'also run migrations older than one that was applied', false);

export const upTargetFlags: readonly Flag[] = [
  flag('--to <migration>', 'up to this one and no further: its name, or a beginning that only it has (0142)', false),
  flag('--count <n>', 'the next n of each tenant', false),
  flag('--fake', 'write the history only, run nothing', false),
  orderFlag,
];

export const downTargetFlags: readonly Flag[] = [
  flag('--to <migration>', 'take back all that ran after this one, which stays', false),
  flag('--count <n>', 'take back the last n of each tenant (default: 1)', false),
  flag('--fake', 'write the history only, run nothing', false),
];

export function readMigrationOptions(raw: RawOptions): MigrationOptions {
  const [to, count] = [readText(raw, 'to'), readCount(raw, 'count')];
  if (to !== null && count !== null) throw new UsageError('--to and --count exclude each other');
  return {
    ...readFleetOptions(raw),
    ...readChangeSettings(raw),
    to,
    count,
    fake: readSwitch(raw, 'fake'),
    dryRun: readSwitch(raw, 'dryRun'),
    checkOrder: raw.checkOrder !== false,
    files: null,
    sharedFiles: null,
  };
}

/** What of the options of a change matters to a retry. */
interface Retried extends Pick<MigrationOptions, 'to' | 'count' | 'fake' | 'checkOrder' | 'skipUnreachable'> {
  readonly preflightSql?: readonly string[];
  readonly plan?: string | null;
}

/**
 * The flags that a retry of some tenants repeats; null: none would say the same again. A count would begin anew from
 * where a tenant stands, and a plan takes no tenants beside its own.
 */
export function retryFlags(options: Retried): readonly string[] | null {
  if (options.count !== null || (options.plan ?? null) !== null) return null;
  return [...targetFlags(options), ...(options.preflightSql ?? []).flatMap((sql) => ['--preflight-sql', sql])];
}

/** The same for a command that leaves nothing behind, so that a count means the same again. */
export function rehearsedFlags(options: Retried): readonly string[] {
  return [...targetFlags(options), ...(options.count === null ? [] : ['--count', String(options.count)])];
}

/** What both have, and a command whose target is no count. */
export function targetFlags(options: Retried): readonly string[] {
  return [
    ...(options.to === null ? [] : ['--to', options.to]),
    ...(options.fake ? ['--fake'] : []),
    ...(options.checkOrder ? [] : ['--no-check-order']),
    ...(options.skipUnreachable ? ['--skip-unreachable'] : []),
  ];
}
