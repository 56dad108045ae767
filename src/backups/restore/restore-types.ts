import type { ClientTools } from '../../postgres/local/client-tools.ts';
import type { Queries } from '../../postgres/session.ts';
import type { BackupManifest } from '../repository/manifest.ts';

/** Where a tenant is, was or comes to. `schema` null: a database of its own. */
export interface TenantPlace {
  readonly server: string;
  readonly database: string;
  readonly schema: string | null;
}

/** How one tenant is restored, decided before anything is touched. */
export interface RestoreWay {
  /** Where the rows go. */
  readonly to: TenantPlace;
  /**
   * Takes the living one's name once it is complete, in the same transaction or, for a database, right after: then this
   * is the name that the living one gets. Null: it stays beside.
   */
  readonly oldName: string | null;
  /**
   * A schema that has the archive's own name is called so for the time of one transaction. A database that is to get the
   * tenant's own name is called so until it is complete.
   */
  readonly parkedName: string;
  /** Functions that name the old schema are no reason to refuse: it gets that name in the end, or somebody said so. */
  readonly allowsOldNames: boolean;
}

/** What the caller does to what was restored, before anybody gets at it. What is thrown undoes the restore. Each resolves to remarks. */
export interface RestoreHooks {
  /** In a transaction inside it, when all of it is there; a schema still has the name that its archive has. */
  readonly inside?: (session: Queries, schema: string | null) => Promise<readonly string[]>;
  /**
   * In the transaction that gives it its name, afterwards. For a database: only where no living one lends it its
   * properties, on a session of another one.
   */
  readonly named?: (session: Queries) => Promise<readonly string[]>;
}

export interface RestoreJob extends RestoreHooks {
  readonly tenant: string;
  readonly run: string;
  readonly manifest: BackupManifest;
  readonly way: RestoreWay;
  readonly tools: ClientTools;
  readonly serverMajor: number;
  readonly lockTimeoutMs: number;
  readonly signal: AbortSignal;
  readonly onStep: (step: string) => void;
}

/** What came of it, beside what was planned. */
export interface Restored {
  /** Name of the one that lived there before; null: nothing did, or it still does. */
  readonly old: string | null;
  /** What is true and no failure, a line each. */
  readonly remarks: readonly string[];
}

/** The comment on what stands beside: whoever finds it must know what it is. */
export function restoredComment(tenant: string, manifest: BackupManifest, run: string): string {
  return `tenantctl: tenant ${tenant} as of ${manifest.snapshot.takenAt}, run ${run}`;
}

/** The comment on what a restore has put aside, when it has none of its own. */
export function oldComment(tenant: string, run: string): string {
  return `tenantctl: tenant ${tenant} before run ${run}`;
}
