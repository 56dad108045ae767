import type { BackupManifest, BackupSubject } from './manifest.ts';

/** What `verify` found, the last time it looked at each level. Stands beside the archive as `<time>.verified.json`. */
export interface VerificationRecord {
  readonly schema: 'tenantctl-verification/1';
  /** The newest result of each level that was tried. */
  readonly results: readonly VerificationResult[];
}

export type VerificationLevel = 'manifest' | 'content' | 'restore';

export interface VerificationResult {
  readonly level: VerificationLevel;
  /** `could-not-run` is neither: a scratch server was missing, a key was lacking. */
  readonly verdict: 'passed' | 'bad' | 'could-not-run';
  readonly at: string;
  readonly durationMs: number;
  readonly run: string;
  readonly tenantctl: string;
  /** Of the server that it was restored into. */
  readonly server: string | null;
  /** What was wrong, or why it could not run; a line each. */
  readonly problems: readonly string[];
  /** What is worth knowing and no fault: what was lacking in the scratch database. */
  readonly remarks: readonly string[];
}

/** Keeps a backup from expiring. Stands beside the archive as `<time>.pin.json`. */
export interface Pin {
  readonly schema: 'tenantctl-pin/1';
  readonly at: string;
  readonly by: string;
  readonly reason: string;
  /** Null: until it is taken away. */
  readonly until: string | null;
}

/**
 * A tenant was put to sleep on the strength of this backup. Stands beside the archive as `<time>.receipt.json`; nothing but
 * this backup brings the tenant back until it is woken.
 */
export interface ReceiptRecord {
  readonly schema: 'tenantctl-receipt-file/1';
  /** When the tenant was woken; null: it still sleeps. */
  readonly wokenAt: string | null;
  /** What it takes to wake it, as it stands in its database too. */
  readonly receipt: object;
}

/** One backup as a listing of the store shows it. */
export interface Backup {
  readonly subject: BackupSubject;
  /** Name of its files without endings. */
  readonly time: string;
  readonly takenAt: Date;
  /** Keys in the store. `file` is null when the archive is missing, `manifest` when there is none. */
  readonly keys: {
    readonly file: string | null;
    readonly manifest: string | null;
    readonly verified: string | null;
    readonly pin: string | null;
    readonly receipt: string | null;
  };
  /** Of the file that is there. */
  readonly sizeBytes: number;
  /**
   * `complete`: archive and manifest are there, the size fits. Else why it is no backup: `no-manifest` (a dump that did not come to its end, or one
   * that is being written), `no-archive`, `bad-manifest` (damaged: its own checksum does not fit).
   */
  readonly state: 'complete' | 'no-manifest' | 'no-archive' | 'bad-manifest' | 'wrong-size';
  /** What is wrong, for people; null when it is complete. */
  readonly problem: string | null;
  readonly manifest: BackupManifest | null;
  readonly verification: VerificationRecord | null;
  readonly pin: Pin | null;
  /** `living`: the tenant sleeps, and will be woken from this. Null: nobody was put to sleep on it. */
  readonly receipt: { readonly living: boolean } | null;
}
