import type { RdsState } from '../../aws/rds-state.ts';
import { TenantError } from '../../errors.ts';
import type { TenantSleep } from '../../fleet/tenant-state.ts';
import { hopeless, stateKind } from './judge-state.ts';
import { markResting, type ServerWork } from './server-work.ts';
import { readSleep, sleepingServer, sleepTags } from './sleep-tags.ts';
import { confirmSleep, stopAgain, stopServer } from './stop-server.ts';

/**
 * What became of a server that is to be asleep. `asleep`: it is. `stopped-again`: AWS had started it. `later`: AWS
 * works on it; the next round stops it. `in-use`: somebody is connected, so it was left alone. `awake`: it is being
 * woken, or was.
 */
export type KeptAs = 'asleep' | 'stopped-again' | 'later' | 'in-use' | 'awake';

export interface Kept {
  readonly as: KeptAs;
  readonly state: RdsState;
  /** How often AWS started it and it was stopped again, this time included. */
  readonly restarts: number;
  /** Sessions of others. */
  readonly connected: number;
}

/** After so long, whoever began to stop it is not there any more. */
const abandonedMs = 3_600_000;

/**
 * One round of watching over a stopped server: AWS starts each after seven days. `countConnected` asks the server who
 * is connected, and is only called when it is up. `looksOnly`: a dry run, which stops nothing.
 */
export async function keepStopped(
  work: ServerWork,
  countConnected: () => Promise<number>,
  options: { readonly looksOnly?: boolean } = {},
): Promise<Kept> {
  let state = await work.watch.now(work.target);
  const sleep = readSleep(state);
  const { restarts } = sleepingServer('', state);
  const kept = (as: KeptAs, connected = 0): Kept => ({ as, state, restarts, connected });
  if (!isToSleep(sleep)) return kept('awake');
  const broken = hopeless(state);
  if (broken !== null) throw new TenantError(broken);
  const kind = stateKind(state.status);
  if (kind === 'stopped' && options.looksOnly !== true) await confirmSleep(work, state);
  if (kind === 'stopped' || kind === 'stopping') return kept('asleep');
  // Maintenance, for which AWS may have started it, and backups come to their end first.
  if (kind !== 'available') return kept('later');
  // One that is being put to sleep belongs to the run that does it, as long as that may be alive.
  const isBegun = sleep.state === 'hibernating';
  if (isBegun && work.now().getTime() - sleep.since.getTime() < abandonedMs) return kept('later');
  work.onStep('looking who is connected');
  const connected = await countConnected();
  if (connected > 0) return kept('in-use', connected);
  if (options.looksOnly) return kept('stopped-again');
  if (isBegun) {
    const { state: done } = await stopServer(work, { snapshot: state.tags.has(sleepTags.snapshot) });
    return { as: 'stopped-again', state: done, restarts, connected: 0 };
  }
  // Asking who is connected takes a while, in which somebody may have woken it.
  state = await work.watch.now(work.target);
  if (!isToSleep(readSleep(state))) return kept('awake');
  const stopped = await stopAgain(work, state);
  const count = new Map([[sleepTags.restarts, String(restarts + 1)]]);
  await markResting({ ...work, now: () => sleep.since }, stopped, { state: 'hibernated', how: 'stop' }, count);
  return { as: 'stopped-again', state: stopped, restarts: restarts + 1, connected: 0 };
}

function isToSleep(sleep: TenantSleep | null): sleep is TenantSleep {
  return sleep?.how === 'stop' && sleep.state !== 'waking';
}
