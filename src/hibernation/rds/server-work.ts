import { awsCodeOf } from '../../aws/aws-errors.ts';
import type { RdsApi } from '../../aws/rds-api.ts';
import type { RdsState, RdsTarget } from '../../aws/rds-state.ts';
import { TenantError } from '../../errors.ts';
import type { SleepState, SleepWay } from '../../fleet/tenant-state.ts';
import { tookTooLong } from './judge-state.ts';
import type { ServerWatch } from './server-watch.ts';
import { readSleep, sleepTags, writeSleep } from './sleep-tags.ts';

/** One server on its way to sleep, or back. */
export interface ServerWork {
  readonly api: RdsApi;
  readonly watch: ServerWatch;
  readonly target: RdsTarget;
  readonly run: string;
  readonly now: () => Date;
  /** `performance.now()` at which no more is waited. */
  readonly deadline: number;
  /** What happens now, in words. */
  readonly onStep: (step: string) => void;
}

/** AWS's answers to what does not fit the state of a server: look again. */
export function isWrongState(error: unknown): boolean {
  return ['InvalidDBInstanceState', 'InvalidDBClusterState', 'InvalidDBClusterSnapshotState'].includes(
    awsCodeOf(error),
  );
}

/** The next look, unless the time is over. */
export async function lookAgain(work: ServerWork, state: RdsState, wanted: string): Promise<RdsState> {
  if (performance.now() >= work.deadline) throw tookTooLong(state, wanted);
  return work.watch.next(work.target);
}

/** Writes down where it stands, with what else there is to say. */
export async function markSleep(
  { api, run, now }: ServerWork,
  server: RdsState,
  sleep: { readonly state: SleepState; readonly how: SleepWay },
  more: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  await api.tag(server, new Map([...writeSleep({ ...sleep, run, since: now() }), ...more]));
}

/**
 * As `markSleep`, for a server that is not up. False: AWS does not want to tag it in that state, and what was written
 * before stands.
 */
export async function markResting(...args: Parameters<typeof markSleep>): Promise<boolean> {
  try {
    await markSleep(...args);
    return true;
  } catch (error) {
    if (!isWrongState(error)) throw error;
    return false;
  }
}

/**
 * For whoever puts it to sleep, at each look after the first mark: a server that is being woken, or was, is left alone.
 * Nothing but the tags tells that, for AWS shows it as available in both cases.
 */
export function throwIfWoken(state: RdsState): void {
  const sleep = readSleep(state);
  if (sleep !== null && sleep.state !== 'waking') return;
  const by = sleep === null ? 'was woken meanwhile' : `is being woken by run ${sleep.run}`;
  throw new TenantError({
    message: `${state.kind} ${state.id} ${by}: it is left alone`,
    code: 'waking',
    hint: 'look at it: tenantctl tenants list; if it is to sleep all the same, run the same command again',
  });
}

/** For whoever wakes it: another run has begun to put it to sleep since, and that one goes on. */
export function throwIfPutToSleep({ run }: ServerWork, { kind, id, tags }: RdsState): void {
  const by = tags.get(sleepTags.run);
  if (tags.get(sleepTags.state) !== 'hibernating' || by === run) return;
  throw new TenantError({
    message: `${kind} ${id} is being put to sleep by run ${by ?? '-'}`,
    code: 'hibernating',
    hint: 'wait for that run, or stop it; then run the same command again',
  });
}
