import type { TenantPlace } from '../../backups/restore/restore-types.ts';

/** `value` of a done outcome of `restore`. */
export interface RestoreValue {
  readonly backup: { readonly time: string; readonly takenAt: string; readonly verified: string | null };
  /** Where it was when it was dumped, and where it is restored. */
  readonly from: TenantPlace;
  readonly to: TenantPlace;
  readonly tables: number;
  readonly rows: number;
  /** Of the archive. */
  readonly sizeBytes: number;
  /** Of the work itself, without the wait for locks; null: nothing was restored (a plan, a swap alone). */
  readonly durationMs: number | null;
  readonly bytesPerSecond: number | null;
  /** It has the living one's name. */
  readonly swapped: boolean;
  /** Name of the schema, or database, that had it before. */
  readonly old: string | null;
  /** Of a swap: what stands outside of the living schema and refers to it, and then to the old one. It goes when that goes. */
  readonly outside: readonly string[];
  /** In a plan: from the last time that `verify` restored it; null: it never has. */
  readonly expectedMs?: number | null;
  readonly remarks: readonly string[];
}
