import type { Tenant } from '../../fleet/tenant.ts';
import type { BackupManifest, ExtensionNeed } from '../repository/manifest.ts';
import type { StoredArchive } from './archive-writer.ts';
import type { Standing } from './snapshot.sql.ts';
import type { Snapshot } from './snapshot-holder.ts';

/** What all manifests of a run say. */
export interface ManifestFacts {
  readonly run: string;
  readonly environment: string;
  readonly tenantctl: string;
  readonly fromReplica: boolean;
}

/** Archives that were taken beside those of the tenants; null: there was nothing to keep there. */
export interface Companions {
  readonly shared: string | null;
  readonly rolesFile: string | null;
  readonly largeObjects: string | null;
}

export interface ArchiveFacts {
  readonly place: BackupManifest['place'];
  readonly made: Omit<BackupManifest['made'], 'endedAt'>;
  readonly extensions: readonly ExtensionNeed[];
  readonly companions: Companions;
  readonly tenant?: Tenant;
  readonly standing?: Standing | null;
  readonly isFenced?: boolean;
  readonly remarks?: readonly string[];
}

/** An archive that is in the store becomes a backup by this. */
export function makeManifest(
  facts: ManifestFacts,
  snapshot: Snapshot,
  stored: StoredArchive,
  archive: ArchiveFacts,
): BackupManifest {
  const { subject, time, put, tables, header } = stored;
  const { companions } = archive;
  return {
    schema: 'tenantctl-backup/1',
    subject,
    time,
    versions: {
      tenantctl: facts.tenantctl,
      server: header.serverVersion ?? 'unknown',
      dump: header.dumpVersion ?? 'unknown',
    },
    run: facts.run,
    environment: facts.environment,
    place: archive.place,
    labels: archive.tenant?.labels ?? {},
    ...(archive.isFenced === true ? { isFenced: true } : {}),
    snapshot: {
      takenAt: snapshot.takenAt.toISOString(),
      lsn: snapshot.lsn,
      isCommon: snapshot.number === 1,
      ...(snapshot.reason === null ? {} : { reason: snapshot.reason }),
      fromReplica: facts.fromReplica,
    },
    archive: put.archive,
    file: put.file,
    encryption: put.encryption,
    tables,
    migration: archive.standing ?? null,
    needs: { extensions: archive.extensions, roles: stored.roles, ...companions },
    made: { ...archive.made, endedAt: serverTime(snapshot) },
    remarks: [...(stored.hasSequences ? [sequencesRemark] : []), ...(archive.remarks ?? [])],
  };
}

/** Now, by the clock that the snapshot's instant is told by. */
function serverTime({ takenAt, takenHereAt }: Snapshot): string {
  return new Date(takenAt.getTime() + performance.now() - takenHereAt).toISOString();
}

const sequencesRemark = 'sequences are not part of a snapshot: their values were read at or after its instant';
