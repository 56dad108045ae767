import { UsageError } from '../../errors.ts';
import type { SleepWay } from '../../fleet/tenant-state.ts';
import { type RepositoryOptions, readRepositoryOptions } from '../backups/open-repository.ts';
import { type ChangeSettings, readChangeSettings } from '../change-settings.ts';
import type { Flag, RawOptions } from '../command.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { readDuration, readSwitch, readText } from '../read-options.ts';
import { readServerOptions, type ServerOptions } from './server-options.ts';

export interface HibernateOptions extends FleetOptions, ChangeSettings, ServerOptions {
  /** Null: as the inventory says, else by archive. */
  readonly how: SleepWay | null;
  /** Only those that `tenantctl idle` calls idle. */
  readonly idle: boolean;
  /** Milliseconds in which the transactions that were open when the fence was closed must have ended. */
  readonly drainMs: number;
  /** Stop servers again that AWS has started by itself; nobody else is put to sleep. */
  readonly keep: boolean;
  readonly repository: RepositoryOptions;
  /** A server of the inventory; null: a cluster of our own. */
  readonly scratch: string | null;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

function flag(flags: string, description: string, fromEnvironment = true): Flag {
  return { flags, description, fromEnvironment, group: 'How they sleep:' };
}

export const hibernateFlags: readonly Flag[] = [
  flag('--how <way>', 'archive, lock, stop or pause (default: hibernate.how of the inventory, else archive)', false),
  flag('--keep', 'stop servers again that AWS has started by itself, and that nobody uses; for cron', false),
  flag('--idle', 'of the selected tenants only those that `tenantctl idle` calls idle', false),
  flag('--drain <duration>', 'wait so long for transactions that were open when the fence was closed (default: 30s)'),
  flag('--scratch <server>', 'try the archives out in databases made on this server of the inventory'),
];

const ways: readonly SleepWay[] = ['archive', 'lock', 'stop', 'pause'];
export const defaultDrainMs = 30_000;

export function readHibernateOptions(raw: RawOptions): HibernateOptions {
  const how = readWay(readText(raw, 'how'));
  if (readSwitch(raw, 'keep') && how !== null) {
    throw new UsageError('--keep goes without --how', { hint: 'it is for servers that were stopped' });
  }
  return {
    ...readFleetOptions(raw),
    ...readChangeSettings(raw),
    how,
    idle: readSwitch(raw, 'idle'),
    ...readServerOptions(raw),
    keep: readSwitch(raw, 'keep'),
    drainMs: readDuration(raw, 'drain') ?? defaultDrainMs,
    repository: readRepositoryOptions(raw),
    scratch: readText(raw, 'scratch'),
    dryRun: readSwitch(raw, 'dryRun'),
    yes: readSwitch(raw, 'yes'),
  };
}

function readWay(text: string | null): SleepWay | null {
  if (text === null) return null;
  const way = ways.find((known) => known === text);
  if (way !== undefined) return way;
  throw new UsageError(`--how does not know ${JSON.stringify(text)}`, { hint: ways.join(', ') });
}
