import { awsCodeOf } from '../../aws/aws-errors.ts';
import type { RdsState } from '../../aws/rds-state.ts';
import { formatDuration } from '../../fleet/duration.ts';
import { stateKind, throwIfHopeless, tookTooLong } from './judge-state.ts';
import { isWrongState, lookAgain, markResting, type ServerWork, throwIfPutToSleep } from './server-work.ts';
import { readSleep, sleepTags } from './sleep-tags.ts';

/** AWS has no room for its class now: asked again after so long, then twice that, up to ten minutes. */
const firstCapacityPauseMs = 60_000;
const longestCapacityPauseMs = 600_000;

export interface StartOptions {
  /** For tests. */
  readonly capacityPauseMs?: number;
}

/**
 * Starts a server and waits until it is available. It looks first, and may be called again at any time. Rejects with a
 * TenantError when AWS says no or the time is over.
 */
export async function startServer(work: ServerWork, options: StartOptions = {}): Promise<RdsState> {
  let pauseMs = options.capacityPauseMs ?? firstCapacityPauseMs;
  let state = await work.watch.now(work.target);
  const how = readSleep(state)?.how ?? 'stop';
  let isMarked = await markResting(work, state, { state: 'waking', how });
  for (;;) {
    throwIfHopeless(state);
    const kind = stateKind(state.status);
    if (kind === 'available') return state;
    if (kind !== 'stopped') {
      work.onStep(kind === 'starting' ? 'starting' : `waiting while it is ${state.status}`);
    } else if ((await askToStart(work, state)) === 'no-capacity') {
      await pauseForCapacity(work, pauseMs);
      pauseMs = Math.min(pauseMs * 2, longestCapacityPauseMs);
    }
    state = await lookAgain(work, state, 'available');
    if (isMarked) throwIfPutToSleep(work, state);
    // A run that had stopped it may say so late; until the tags say that it wakes, `--keep` would stop it again.
    if (!isMarked || readSleep(state)?.state === 'hibernated') {
      isMarked = await markResting(work, state, { state: 'waking', how });
    }
  }
}

/** InsufficientDBInstanceCapacity may pass by itself; all other answers are not for waiting. */
async function askToStart(work: ServerWork, state: RdsState): Promise<'asked' | 'no-capacity'> {
  if (performance.now() >= work.deadline) throw tookTooLong(state, 'available');
  work.onStep('starting');
  try {
    await work.api.start(work.target);
  } catch (error) {
    if (awsCodeOf(error) === 'InsufficientDBInstanceCapacity') {
      if (performance.now() >= work.deadline) throw error;
      return 'no-capacity';
    }
    if (!isWrongState(error)) throw error;
  }
  return 'asked';
}

async function pauseForCapacity({ watch, deadline, onStep }: ServerWork, pauseMs: number): Promise<void> {
  onStep(`waiting ${formatDuration(pauseMs)}: AWS has no capacity for its instance class in its zone`);
  await watch.pause(Math.max(0, Math.min(pauseMs, deadline - performance.now())));
}

/** It is awake, and used again: nothing of its sleep stays on it. */
export async function forgetSleep(work: ServerWork, state: RdsState): Promise<void> {
  throwIfPutToSleep(work, state);
  const known = Object.values(sleepTags).filter((key) => state.tags.has(key));
  // Those written while it woke are not in a state that was read before.
  await work.api.untag(state, [...new Set([...known, sleepTags.state, sleepTags.how, sleepTags.since, sleepTags.run])]);
}
