import type { Batch } from '../../fleet/place.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Session } from '../../postgres/session.ts';
import type { BackupSubject } from '../repository/manifest.ts';
import type { CompanionBook } from './companion-book.ts';
import type { DumpTries } from './dump-tries.ts';
import type { ManifestFacts } from './manifests.ts';
import type { Outage } from './outage.ts';
import type { DumpTools } from './run-dump.ts';
import type { SnapshotHolder } from './snapshot-holder.ts';

/** `value` of a done outcome. */
export interface Dumped {
  readonly time: string;
  /** Key of the archive in the store. */
  readonly archive: string;
  readonly sizeBytes: number;
  readonly tables: number;
  readonly rows: number;
  readonly takenAt: string;
  readonly isCommon: boolean;
  readonly version: string | null;
  /** Tenants that one pg_dump wrote together. */
  readonly batch: number;
  readonly remarks: readonly string[];
}

/** How dumps go, in the whole run. */
export interface DumpSettings {
  /** Batches that may run side by side in one database. */
  readonly lanes: number;
  /** Share of the server's lock table that they may fill together. */
  readonly lockShare: number;
  readonly aloneAboveBytes: number;
  readonly batchBytes: number;
  /** Milliseconds after which a server that is away is not waited for any longer. */
  readonly retryForMs: number;
  readonly historyTable: string;
}

/** One database of a run and the means to dump it. */
export interface DumpedPlace {
  readonly server: string;
  readonly database: string;
  readonly tenants: readonly Tenant[];
  readonly facts: ManifestFacts;
  readonly settings: DumpSettings;
  readonly holder: SnapshotHolder;
  /** Connections that the holder takes of the server's limit. */
  readonly heldConnections: number;
  /** What its tenants' search paths name beside their own schema; not all need be there. */
  readonly sharedSchemas: readonly string[];
  readonly toolsFor: (session: Session) => Promise<DumpTools>;
  /** A session beside the snapshot, for a moment; rejects with the error of a server that takes no connection now. */
  readonly ask: <T>(question: (session: Session) => Promise<T>) => Promise<T>;
  /** Key of the roles' file, made once a server; null when it could not be made. */
  readonly rolesFile: (dump: DumpTools, session: Session) => Promise<string | null>;
  readonly stop: AbortSignal;
  readonly say: (text: string) => void;
  /** Told of what could not be dumped beside the tenants, and is lacking when they are restored. */
  readonly onLacking: (message: string) => void;
}

/** What is known of a database once its first snapshot was taken. */
export interface DumpScope {
  readonly dump: DumpTools;
  readonly companions: CompanionBook;
  readonly tries: DumpTries;
  readonly outage: Outage;
  readonly batches: readonly Batch[];
}

/** What the archive of a tenant is a backup of. */
export function subjectOf(tenant: Tenant): BackupSubject {
  return { kind: 'tenant', tenant: tenant.id };
}
