import type { RdsScaling, RdsState } from '../../aws/rds-state.ts';
import { TenantError } from '../../errors.ts';
import { stateKind, throwIfHopeless } from './judge-state.ts';
import { isWrongState, lookAgain, markSleep, type ServerWork, throwIfPutToSleep, throwIfWoken } from './server-work.ts';
import { readSleep, sleepTags } from './sleep-tags.ts';

/** The least and the most that AWS takes, in seconds. */
const pauseAfterS = { least: 300, most: 86_400 } as const;

export interface Paused {
  readonly state: RdsState;
  /** It could pause when we came. */
  readonly already: boolean;
}

/** Seconds that AWS takes for so many milliseconds. */
export function pauseSeconds(ms: number | null): number {
  return Math.min(pauseAfterS.most, Math.max(pauseAfterS.least, Math.round((ms ?? 0) / 1000)));
}

/**
 * Lets a Serverless v2 cluster go down to nothing when nobody is connected. What it had before is kept in a tag, for
 * `resumeServer`. AWS may refuse capacity 0 to an old engine version: then nothing is changed.
 */
export async function pauseServer(
  work: ServerWork,
  options: { readonly pauseAfterMs: number | null },
): Promise<Paused> {
  const state = await work.watch.now(work.target);
  const { scaling } = state;
  if (scaling === null) throw noServerless(state);
  const sleep = readSleep(state);
  const wanted = { min: 0, max: scaling.max, pauseAfterS: pauseSeconds(options.pauseAfterMs) };
  if (sleep?.state === 'hibernated' && isScaled(state, wanted)) return { state, already: true };
  // A second attempt must not take the zero of the first for what was there before.
  const before = state.tags.get(sleepTags.scaling) ?? formatScaling(scaling);
  const more = new Map([[sleepTags.scaling, before]]);
  await markSleep(work, state, { state: 'hibernating', how: 'pause' }, more);
  work.onStep('setting its capacity');
  const changed = await untilScaled(work, state, wanted, throwIfWoken);
  await markSleep(work, changed, { state: 'hibernated', how: 'pause' }, more);
  return { state: changed, already: false };
}

/** Gives a cluster the capacity back that it had before. The next connection wakes it. */
export async function resumeServer(work: ServerWork): Promise<RdsState> {
  const state = await work.watch.now(work.target);
  const before = parseScaling(state.tags.get(sleepTags.scaling) ?? '');
  await markSleep(work, state, { state: 'waking', how: 'pause' });
  if (before === null) return state;
  work.onStep('setting its capacity');
  return untilScaled(work, state, before, (now) => throwIfPutToSleep(work, now));
}

async function untilScaled(
  work: ServerWork,
  first: RdsState,
  wanted: RdsScaling,
  throwIfTaken: (state: RdsState) => void,
): Promise<RdsState> {
  let state = first;
  for (;;) {
    throwIfHopeless(state);
    if (stateKind(state.status) === 'available') {
      if (isScaled(state, wanted)) return state;
      try {
        await work.api.scale(work.target, wanted);
      } catch (error) {
        if (!isWrongState(error)) throw error;
      }
    } else work.onStep(`waiting while it is ${state.status}`);
    state = await lookAgain(work, state, 'available with its new capacity');
    throwIfTaken(state);
  }
}

function isScaled({ scaling }: RdsState, wanted: RdsScaling): boolean {
  if (scaling?.min !== wanted.min || scaling.max !== wanted.max) return false;
  return wanted.pauseAfterS === null || scaling.pauseAfterS === wanted.pauseAfterS;
}

/** Tags take letters, digits, spaces and few signs. */
function formatScaling({ min, max, pauseAfterS: seconds }: RdsScaling): string {
  return `${min} ${max} ${seconds ?? '-'}`;
}

function parseScaling(text: string): RdsScaling | null {
  const match = /^(\d+(?:\.\d+)?) (\d+(?:\.\d+)?) (\d+|-)$/.exec(text);
  if (match === null) return null;
  const [, min, max, seconds] = match;
  return { min: Number(min), max: Number(max), pauseAfterS: seconds === '-' ? null : Number(seconds) };
}

function noServerless({ id }: RdsState): TenantError {
  return new TenantError({
    message: `cluster ${id} has no Serverless v2 capacity that could go down to 0`,
    code: 'refused',
    hint: 'use --how stop',
  });
}
