import { setTimeout as sleep } from 'node:timers/promises';
import type { RdsApi } from '../../aws/rds-api.ts';
import { type RdsState, type RdsTarget, targetKey } from '../../aws/rds-state.ts';
import { TenantError } from '../../errors.ts';

export interface WatchOptions {
  /** Between two looks; a quarter more or less, so that many runs do not ask at the same instant. */
  readonly pollMs: number;
  /** Aborted: nobody waits any more. */
  readonly signal: AbortSignal;
}

/** Looks at servers of one region for all that wait for them: one batched request a time, whoever asks. */
export class ServerWatch {
  readonly #api: RdsApi;
  readonly #options: WatchOptions;
  #coming: {
    readonly targets: Map<string, RdsTarget>;
    readonly states: Promise<ReadonlyMap<string, RdsState>>;
  } | null = null;

  constructor(api: RdsApi, options: WatchOptions) {
    this.#api = api;
    this.#options = options;
  }

  /** Where it stands at this moment. */
  async now(target: RdsTarget): Promise<RdsState> {
    this.#options.signal.throwIfAborted();
    return this.#pick(target, await this.#api.describe([target]));
  }

  /** Where it stands at the next look. */
  async next(target: RdsTarget): Promise<RdsState> {
    if (this.#coming === null) {
      const targets = new Map<string, RdsTarget>();
      this.#coming = { targets, states: this.#look(targets) };
    }
    const { targets, states } = this.#coming;
    targets.set(targetKey(target), target);
    return this.#pick(target, await states);
  }

  /** A pause of about so long, which the end of all waiting cuts short. */
  async pause(ms: number): Promise<void> {
    await sleep(ms * (0.75 + Math.random() / 2), undefined, { signal: this.#options.signal });
  }

  async #look(targets: ReadonlyMap<string, RdsTarget>): Promise<ReadonlyMap<string, RdsState>> {
    try {
      await this.pause(this.#options.pollMs);
    } finally {
      // Whoever asks from here on is of the next look.
      this.#coming = null;
    }
    return this.#api.describe([...targets.values()]);
  }

  #pick(target: RdsTarget, states: ReadonlyMap<string, RdsState>): RdsState {
    const state = states.get(targetKey(target));
    if (state !== undefined) return state;
    throw noSuchServer(target, this.#api.region);
  }
}

/** AWS does not know it: never a success, whatever was asked of it. */
export function noSuchServer({ kind, id }: RdsTarget, region: string): TenantError {
  return new TenantError({
    message: `${kind} ${id} (${region}): there is no such ${kind} in this region`,
    code: 'aws',
    hint: 'look at `rds` of the server in the inventory: identifier, instance or cluster, region',
  });
}
