import { type Failure, TenantError } from '../errors.ts';
import { formatDuration } from './duration.ts';
import type { Batch } from './place.ts';

/** How the server says that it ended a statement because we asked it to. */
const queryCanceled = '57014';
/** A longer timer would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

export interface TimeLimit {
  /** Aborted when the time is up, and by `cancel`. */
  readonly signal: AbortSignal;
  readonly isOver: () => boolean;
  readonly clear: () => void;
}

/** The time that a batch has: `timeoutMs` for each of its tenants; null: no limit of ours. */
export function limitTime(timeoutMs: number | null, batch: Batch, cancel: AbortSignal): TimeLimit {
  if (timeoutMs === null) return { signal: cancel, isOver: () => false, clear: () => {} };
  const controller = new AbortController();
  const delayMs = Math.min(timeoutMs * Math.max(1, batch.tenants.length), longestTimerMs);
  const timer = setTimeout(() => controller.abort(new TenantError(timeoutFailure(timeoutMs, batch))), delayMs);
  return {
    signal: AbortSignal.any([cancel, controller.signal]),
    isOver: () => controller.signal.aborted,
    clear: () => clearTimeout(timer),
  };
}

/** Why it ended is the timeout; where it stood, and what it left behind, only the error knows. */
export function timedOut(timeoutMs: number, batch: Batch, known: Failure, cause: unknown): TenantError {
  const { sqlState, ...rest } = known;
  const state = sqlState === undefined || sqlState === queryCanceled ? {} : { sqlState };
  return new TenantError({ ...rest, ...state, ...timeoutFailure(timeoutMs, batch) }, { cause });
}

function timeoutFailure(timeoutMs: number, batch: Batch): Failure {
  return {
    message: `gave up after ${formatDuration(timeoutMs * batch.tenants.length)}`,
    code: 'timeout',
    hint: 'find out what took so long, or run the same command again with a longer --timeout',
  };
}
