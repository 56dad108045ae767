import type { Share } from '../fleet/share.ts';
import type { RawOptions } from './command.ts';
import { readCount, readDuration, readShare } from './read-options.ts';
import type { RetryLimits } from './retries.ts';

/** What the flags of every command that changes tenants say about failures, locks and retries. */
export interface ChangeSettings extends RetryLimits {
  /** These first; all must succeed. */
  readonly canary: Share | null;
  readonly maxFailures: Share | null;
  /** Null: never stop for that reason. */
  readonly maxSameCause: number | null;
  /** Null: the inventory's. */
  readonly lockTimeoutMs: number | null;
}

const defaultSameCause = 3;
const defaultLockWaitMs = 30_000;
const defaultTries = 20;
const defaultRetryForMs = 300_000;

export function readChangeSettings(raw: RawOptions): ChangeSettings {
  const sameCause = readCount(raw, 'maxSameCause', 0) ?? defaultSameCause;
  return {
    canary: readShare(raw, 'canary'),
    maxFailures: readShare(raw, 'maxFailures'),
    maxSameCause: sameCause === 0 ? null : sameCause,
    lockWaitMs: readDuration(raw, 'lockWait') ?? defaultLockWaitMs,
    lockTimeoutMs: readDuration(raw, 'lockTimeout'),
    timeoutMs: readDuration(raw, 'timeout'),
    tries: readCount(raw, 'tries') ?? defaultTries,
    retryForMs: readDuration(raw, 'retryFor') ?? defaultRetryForMs,
  };
}
