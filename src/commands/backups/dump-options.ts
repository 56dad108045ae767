import { availableParallelism } from 'node:os';
import { UsageError } from '../../errors.ts';
import { parseShare } from '../../fleet/share.ts';
import type { Flag, RawOptions } from '../command.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { readDuration, readSwitch, readText } from '../read-options.ts';
import { type RepositoryOptions, readRepositoryOptions } from './open-repository.ts';
import { readBytes, readRate } from './read-size.ts';

export interface DumpOptions extends FleetOptions {
  readonly repository: RepositoryOptions;
  readonly dryRun: boolean;
  readonly fromReplica: boolean;
  /** Bytes a second, of the whole fleet; null: as fast as it goes. */
  readonly rate: number | null;
  /** gzip level, 0 to 9; null: pg_dump's own. */
  readonly compression: number | null;
  readonly maxSnapshotMs: number;
  readonly lockWaitMs: number;
  readonly retryForMs: number;
  /** Of the server's lock table; 0 to 1. */
  readonly lockShare: number;
  readonly aloneAboveBytes: number;
}

function flag(group: string, flags: string, description: string): Flag {
  return { flags, description, fromEnvironment: true, group };
}

const kind = 'Kindness:';
const guard = 'When something fails:';

export const dumpFlags: readonly Flag[] = [
  flag(kind, '--rate <bytes>', 'read at most so much from all servers together, like 50MB/s'),
  flag(kind, '--from <primary|replica>', 'which server to read from (default: primary); keys are taken on the primary'),
  flag(kind, '--max-snapshot <duration>', 'hold a snapshot for so long, then take a new one (default: 30min)'),
  flag(kind, '--lock-share <p%>', 'how much of a server’s lock table batches may fill (default: 75%)'),
  flag(kind, '--alone-above <bytes>', 'a larger tenant gets a pg_dump of its own (default: 1GB)'),
  flag(kind, '--compress <level>', 'gzip level, 0 (none) to 9 (default: 6)'),
  flag(guard, '--lock-wait <duration>', 'wait so long for a database, or a table, that is locked (default: 30s)'),
  flag(guard, '--retry-for <duration>', 'wait so long for a server that is away (default: 5min)'),
  flag(guard, '--grace <duration>', 'after a SIGTERM, cancel running statements after this long (default: 20s)'),
];

const defaults = {
  maxSnapshotMs: 30 * 60_000,
  lockWaitMs: 30_000,
  retryForMs: 300_000,
  lockShare: 0.75,
  aloneAboveBytes: 1e9,
} as const;

export function readDumpOptions(raw: RawOptions): DumpOptions {
  const from = readText(raw, 'from') ?? 'primary';
  if (from !== 'primary' && from !== 'replica') {
    throw new UsageError(`--from takes primary or replica, not ${JSON.stringify(from)}`);
  }
  return {
    ...readFleetOptions(raw),
    repository: readRepositoryOptions(raw),
    dryRun: readSwitch(raw, 'dryRun'),
    fromReplica: from === 'replica',
    rate: readRate(raw, 'rate', '--rate'),
    compression: readLevel(raw),
    maxSnapshotMs: readDuration(raw, 'maxSnapshot') ?? defaults.maxSnapshotMs,
    lockWaitMs: readDuration(raw, 'lockWait') ?? defaults.lockWaitMs,
    retryForMs: readDuration(raw, 'retryFor') ?? defaults.retryForMs,
    lockShare: readLockShare(raw),
    aloneAboveBytes: readBytes(raw, 'aloneAbove', '--alone-above') ?? defaults.aloneAboveBytes,
  };
}

/** Batches side by side in one database: one connection of its limit holds the snapshot, and pg_dump is busy itself. */
export function lanesWithin(limit: number): number {
  return Math.max(1, Math.min(limit - 1, Math.max(2, availableParallelism())));
}

function readLevel(raw: RawOptions): number | null {
  const text = readText(raw, 'compress');
  if (text === null) return null;
  if (/^[0-9]$/.test(text)) return Number(text);
  throw new UsageError(`--compress takes a gzip level from 0 to 9, not ${JSON.stringify(text)}`);
}

function readLockShare(raw: RawOptions): number {
  const text = readText(raw, 'lockShare');
  if (text === null) return defaults.lockShare;
  const share = parseShare(text);
  if (share !== null && 'percent' in share && share.percent > 0 && share.percent <= 100) return share.percent / 100;
  throw new UsageError(`--lock-share takes a percentage, not ${JSON.stringify(text)}`, { hint: 'like 50%' });
}
