import type { SleepWay } from '../../fleet/tenant-state.ts';

/** `value` of a done outcome of `wake`. Durations milliseconds. */
export interface WakeValue {
  /** Null: it was awake already. */
  readonly how: SleepWay | null;
  /** When it was put to sleep; null: it was awake already. */
  readonly asleepSince: string | null;
  /** From the beginning of the run until it was whole again; null: nothing was done. */
  readonly durationMs: number | null;
  /** `backups.rto` of the inventory; null: nothing was promised. */
  readonly rtoMs: number | null;
  readonly withinRto: boolean | null;
  /** Migrations that it had missed and that were run. */
  readonly migrations: readonly string[];
  /** What was found to be as it was: `structure and rows`, `rows`; null: nothing left its place. */
  readonly compared: string | null;
  readonly remarks: readonly string[];
}

export const awakeAlready: WakeValue = {
  ...{ how: null, asleepSince: null, durationMs: null, rtoMs: null, withinRto: null, migrations: [], compared: null },
  remarks: ['it is awake'],
};
