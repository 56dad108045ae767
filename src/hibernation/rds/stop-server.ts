import { awsCodeOf } from '../../aws/aws-errors.ts';
import type { RdsState } from '../../aws/rds-state.ts';
import { TenantError } from '../../errors.ts';
import { stateKind, throwIfHopeless, tookTooLong } from './judge-state.ts';
import { isWrongState, lookAgain, markResting, markSleep, type ServerWork, throwIfWoken } from './server-work.ts';
import { readSleep, sleepTags } from './sleep-tags.ts';

export interface StopOptions {
  /** Take one before; its name says when. */
  readonly snapshot: boolean;
}

export interface Stopped {
  /** As AWS has it now. */
  readonly state: RdsState;
  /** The name of the one that was taken before. */
  readonly snapshot: string | null;
  /** It was stopped when we came. */
  readonly already: boolean;
}

/**
 * Stops a server and waits until it is. May be called again at any time, by any machine: it looks first, and what an
 * earlier attempt has done is not done again. Rejects with a TenantError when AWS says no or the time is over.
 */
export async function stopServer(work: ServerWork, options: StopOptions): Promise<Stopped> {
  let state = await work.watch.now(work.target);
  const earlier = readSleep(state);
  if (earlier?.state === 'waking') throwIfWoken(state);
  const already = stateKind(state.status) === 'stopped' && earlier?.state !== 'hibernating';
  if (already && earlier?.state === 'hibernated') {
    await confirmSleep(work, state);
    return { state, snapshot: state.tags.get(sleepTags.snapshot) ?? null, already };
  }
  const snapshot = snapshotName(work, state, options);
  const more = new Map(snapshot === null ? [] : [[sleepTags.snapshot, snapshot]]);
  const mark = stateKind(state.status) === 'stopped' ? markResting : markSleep;
  await mark(work, state, { state: 'hibernating', how: 'stop' }, more);
  state = await untilStopped(work, state, snapshot);
  await markResting(work, state, { state: 'hibernated', how: 'stop' }, more);
  return { state, snapshot, already };
}

/** Says that it is stopped, where whoever stopped it did not come to say so. */
export async function confirmSleep(work: ServerWork, state: RdsState): Promise<void> {
  const sleep = readSleep(state);
  if (sleep?.state !== 'hibernated' || state.tags.get(sleepTags.state) === 'hibernated') return;
  await markResting({ ...work, run: sleep.run, now: () => sleep.since }, state, {
    state: 'hibernated',
    how: sleep.how,
  });
}

/** Stops it again, after AWS started it: what its tags say of it stays. */
export function stopAgain(work: ServerWork, state: RdsState): Promise<RdsState> {
  throwIfWoken(state);
  return untilStopped(work, state, null);
}

async function untilStopped(work: ServerWork, first: RdsState, snapshot: string | null): Promise<RdsState> {
  let state = first;
  let wasStopping = false;
  for (;;) {
    throwIfHopeless(state);
    const kind = stateKind(state.status);
    if (kind === 'stopped') return state;
    wasStopping ||= kind === 'stopping';
    if (kind !== 'available') {
      work.onStep(kind === 'stopping' ? 'stopping' : `waiting while it is ${state.status}`);
    } else {
      if (wasStopping) throw startedMeanwhile(state);
      if (performance.now() >= work.deadline) throw tookTooLong(state, 'stopped');
      await askToStop(work, snapshot);
    }
    state = await lookAgain(work, state, 'stopped');
    throwIfWoken(state);
  }
}

/** It was on its way down, so somebody else wants it up: in the RDS console, perhaps. */
function startedMeanwhile({ kind, id }: RdsState): TenantError {
  return new TenantError({
    message: `${kind} ${id} was stopping and is available again: somebody has started it meanwhile`,
    code: 'started',
    hint: 'find out who needs it; if nobody does, run the same command again',
  });
}

async function askToStop(work: ServerWork, snapshot: string | null): Promise<void> {
  const { api, target } = work;
  const isCluster = target.kind === 'cluster';
  if (isCluster && snapshot !== null) await takeSnapshot(work, snapshot);
  work.onStep('stopping');
  try {
    await api.stop(target, isCluster ? null : await unlessTaken(work, snapshot));
  } catch (error) {
    // Somebody was quicker, or a backup began: the next look tells. With the name of a snapshot that is there, AWS
    // stopped nothing, and the next attempt goes without.
    if (!isWrongState(error) && awsCodeOf(error) !== 'DBSnapshotAlreadyExists') throw error;
  }
}

/** The name to ask for; null when there is none to be taken, or an earlier attempt came that far. */
async function unlessTaken({ api, target }: ServerWork, snapshot: string | null): Promise<string | null> {
  if (snapshot === null) return null;
  const found = await api.describeSnapshot(target, snapshot);
  if (found !== null) throwIfBad(found.status, snapshot);
  return found === null ? snapshot : null;
}

/** A cluster's is taken apart, and must be whole before the cluster is stopped. */
async function takeSnapshot(work: ServerWork, snapshot: string): Promise<void> {
  const { api, target, watch } = work;
  work.onStep('taking a snapshot');
  for (;;) {
    const found = await api.describeSnapshot(target, snapshot);
    if (found?.status === 'available') return;
    if (found !== null) throwIfBad(found.status, snapshot);
    else await askForSnapshot(work, snapshot);
    if (performance.now() >= work.deadline) throw tookTooLong(await watch.now(target), 'stopped');
    throwIfWoken(await watch.next(target));
  }
}

async function askForSnapshot({ api, target, run }: ServerWork, snapshot: string): Promise<void> {
  try {
    await api.snapshotCluster(target, snapshot, new Map([[sleepTags.run, run]]));
  } catch (error) {
    // Sent again because an answer was lost, or the cluster has other things to do: the next look tells.
    if (!isWrongState(error) && awsCodeOf(error) !== 'DBClusterSnapshotAlreadyExists') throw error;
  }
}

function throwIfBad(status: string, snapshot: string): void {
  if (!['failed', 'deleting', 'deleted'].includes(status)) return;
  throw new TenantError({
    message: `snapshot ${snapshot} is ${status}: the server was not stopped`,
    code: 'snapshot-failed',
    hint: 'look at its events in the RDS console, remove it, and run the same command again',
  });
}

/** That of an earlier attempt which did not come to its end, or a new name with the time in it. */
function snapshotName({ target, now }: ServerWork, state: RdsState, { snapshot }: StopOptions): string | null {
  if (!snapshot || stateKind(state.status) === 'stopped') return null;
  const begun = readSleep(state)?.state === 'hibernating' ? state.tags.get(sleepTags.snapshot) : undefined;
  const at = now()
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '')
    .replace('T', '-');
  return begun ?? `tenantctl-${target.id.toLowerCase().slice(0, 220)}-${at}`;
}
