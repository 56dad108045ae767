import type { SleepWay } from '../../fleet/tenant-state.ts';

/** `value` of a done outcome of `hibernate`. Sizes bytes, durations milliseconds. */
export interface HibernateValue {
  readonly how: SleepWay;
  /** It slept already: nothing was done. */
  readonly already: boolean;
  /** What it is woken from; null for a way that keeps it where it is. */
  readonly backup: null | {
    readonly store: string;
    readonly time: string;
    /** Of the archive; null: an earlier run made it, and it is not in this store. */
    readonly sizeBytes: number | null;
  };
  /** On disk; null: not known, for it slept already. */
  readonly sizeBeforeBytes: number | null;
  readonly sizeAfterBytes: number | null;
  /** Null: nothing was done, or not in these phases. `outOfUseMs`: from its fence until it slept. */
  readonly phases: null | {
    readonly fencedMs: number;
    readonly dumpedMs: number;
    readonly verifiedMs: number;
    readonly droppedMs: number;
    readonly outOfUseMs: number;
  };
  readonly remarks: readonly string[];
}

export function asleepAlready(how: SleepWay, remark: string): HibernateValue {
  const nothing = { backup: null, sizeBeforeBytes: null, sizeAfterBytes: null, phases: null };
  return { how, already: true, ...nothing, remarks: [remark] };
}
