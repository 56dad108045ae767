import type { RdsState, Tags } from '../../aws/rds-state.ts';
import type { SleepState, SleepWay, TenantSleep } from '../../fleet/tenant-state.ts';
import type { SleepingServer } from './server-states.ts';

/** Tags on an instance or a cluster: they can be read while it is stopped, by any machine. */
export const sleepTags = {
  state: 'tenantctl:state',
  how: 'tenantctl:how',
  since: 'tenantctl:since',
  run: 'tenantctl:run',
  /** Taken before it was stopped. */
  snapshot: 'tenantctl:snapshot',
  /** How often AWS started it and it was stopped again. */
  restarts: 'tenantctl:restarts',
  /** What a paused cluster had before: `2 8 300`, the last one `-` when it never paused. */
  scaling: 'tenantctl:scaling',
} as const;

const states: readonly SleepState[] = ['hibernating', 'hibernated', 'waking'];
const ways: readonly SleepWay[] = ['stop', 'pause'];

/** What the tags of a server say; null: it was never put to sleep, or is awake again. */
export function readSleep({ tags, status }: Pick<RdsState, 'tags' | 'status'>): TenantSleep | null {
  const state = states.find((word) => word === tags.get(sleepTags.state));
  const how = ways.find((word) => word === tags.get(sleepTags.how));
  if (state === undefined || how === undefined) return null;
  const since = new Date(tags.get(sleepTags.since) ?? '');
  return {
    // Who wrote it may not have lived to see it stopped.
    state: state === 'hibernating' && how === 'stop' && status === 'stopped' ? 'hibernated' : state,
    how,
    run: tags.get(sleepTags.run) ?? '-',
    since: Number.isNaN(since.getTime()) ? new Date(0) : since,
    applied: null,
  };
}

/** The tags that say so. */
export function writeSleep({ state, how, run, since }: Omit<TenantSleep, 'applied'>): Tags {
  return new Map([
    [sleepTags.state, state],
    [sleepTags.how, how],
    [sleepTags.run, run],
    [sleepTags.since, since.toISOString()],
  ]);
}

/** The server of an inventory as AWS and its tags tell of it. */
export function sleepingServer(server: string, state: RdsState): SleepingServer {
  const { kind, id, status, automaticRestartAt, tags } = state;
  const restarts = Number(tags.get(sleepTags.restarts) ?? 0);
  const sleep = readSleep(state);
  return {
    server,
    kind,
    id,
    status,
    automaticRestartAt,
    restarts: Number.isSafeInteger(restarts) ? restarts : 0,
    sleep,
  };
}
