import type { Labels } from '../../fleet/tenant.ts';
import type { ArchivedTable } from '../archive/types.ts';

/** What a backup is of. */
export type BackupSubject =
  | { readonly kind: 'tenant'; readonly tenant: string }
  /** What the tenants of a database share: extensions, shared schemas with their rows. */
  | { readonly kind: 'shared'; readonly server: string; readonly database: string }
  /** Large objects cannot be told apart by tenant: all of a database. */
  | { readonly kind: 'large-objects'; readonly server: string; readonly database: string }
  /** Roles and memberships of a server, without passwords. */
  | { readonly kind: 'roles'; readonly server: string };

export interface ExtensionNeed {
  readonly name: string;
  readonly version: string;
  readonly schema: string;
}

/**
 * Stands beside an archive as `<time>.json` and is written last: an archive without one is no backup. Times are RFC
 * 3339 in UTC, sizes bytes.
 */
export interface BackupManifest {
  readonly schema: 'tenantctl-backup/1';
  readonly subject: BackupSubject;
  /** `2026-11-22T101500.123Z`: the instant of its snapshot, and the name of its files. */
  readonly time: string;
  /** Of tenantctl, of the server, and of the pg_dump that wrote it. */
  readonly versions: { readonly tenantctl: string; readonly server: string; readonly dump: string };
  readonly run: string;
  /** Of the inventory that it was dumped by. */
  readonly environment: string;
  /** Where it was when it was dumped. */
  readonly place: { readonly server: string; readonly database: string; readonly schema: string | null };
  readonly labels: Labels;
  /** It was being put to sleep: the rights in its archive are those behind the fence. Its receipt has the others. */
  readonly isFenced?: boolean;
  readonly snapshot: {
    readonly takenAt: string;
    /** Of the write-ahead log when the snapshot was taken: `0/1A2B3C8`. */
    readonly lsn: string;
    /** False: its database's other tenants of this run show another instant; `reason` says why. */
    readonly isCommon: boolean;
    readonly reason?: string;
    readonly fromReplica: boolean;
  };
  /** The archive as pg_restore takes it (for roles: the SQL text). */
  readonly archive: { readonly sizeBytes: number; readonly sha256: string };
  /** The file as it is kept: the archive itself, or what age made of it. */
  readonly file: { readonly name: string; readonly sizeBytes: number; readonly sha256: string };
  readonly encryption: null | { readonly method: 'age'; readonly recipients: readonly string[] };
  /** Empty for roles. */
  readonly tables: readonly ArchivedTable[];
  /** Where the tenant's migrations stood; null: no history table. */
  readonly migration: null | { readonly version: string; readonly applied: number };
  /** What the archive does not hold and a restore needs. */
  readonly needs: {
    readonly extensions: readonly ExtensionNeed[];
    /** Owners and grantees that its SQL names. */
    readonly roles: readonly string[];
    /** Keys of the archives that were taken with it: of shared objects, of roles, of large objects. */
    readonly shared: string | null;
    readonly rolesFile: string | null;
    readonly largeObjects: string | null;
  };
  /** How many tenants one pg_dump wrote together, and why alone if it was. */
  readonly made: {
    readonly batch: number;
    readonly alone?: string;
    readonly durationMs: number;
    /** By the server's clock, as `takenAt`. */
    readonly endedAt: string;
  };
  /** What is true of it and no mistake: sequences may be ahead of the snapshot, columns of type oid. */
  readonly remarks: readonly string[];
}
