import { randomInt } from 'node:crypto';

/** Random choices that come again for the same seed. */
export interface Random {
  readonly seed: number;
  /** A whole number from `min` to `max`, both included. */
  readonly between: (min: number, max: number) => number;
  /** True in so many cases of one. */
  readonly chance: (probability: number) => boolean;
  readonly pick: <T>(choices: readonly T[]) => T;
  readonly shuffle: <T>(items: readonly T[]) => T[];
  /** Goes on later: a turn of the event loop, a microtask, or several turns. Never a time. */
  readonly pause: (signal?: AbortSignal) => Promise<void>;
}

/**
 * Seeds for tests that are run on random cases; put them into the tests' names, so that a failure says which one.
 * `TENANTCTL_TEST_SEED=<seed>` runs that one case again.
 */
export function testSeeds(count: number): readonly number[] {
  const wanted = process.env.TENANTCTL_TEST_SEED;
  if (wanted !== undefined && wanted !== '') return [Number(wanted)];
  return Array.from({ length: count }, () => randomInt(2 ** 31));
}

/** mulberry32: small, and good enough to make schedules differ. */
export function makeRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  return {
    seed,
    between,
    chance: (probability) => next() < probability,
    pick: (choices) => {
      if (choices.length === 0) throw new Error('nothing to pick from');
      return choices[between(0, choices.length - 1)] as never;
    },
    shuffle: (items) => {
      const shuffled = [...items];
      for (let last = shuffled.length - 1; last > 0; last -= 1) {
        const other = between(0, last);
        [shuffled[last], shuffled[other]] = [shuffled[other] as never, shuffled[last] as never];
      }
      return shuffled;
    },
    pause: async (signal) => {
      const turns = between(-1, 4);
      if (turns < 0) await Promise.resolve();
      for (let turn = 0; turn < turns; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        signal?.throwIfAborted();
      }
    },
  };
}
