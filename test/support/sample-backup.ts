import type { Backup } from '../../src/backups/repository/backup.ts';
import type { BackupManifest, BackupSubject } from '../../src/backups/repository/manifest.ts';
import { fileTime } from '../../src/backups/repository/names.ts';
import type { PutArchive, Repository } from '../../src/backups/repository/repository.ts';
import type { Content } from '../../src/backups/repository/store.ts';

export function tenant(id: string): BackupSubject {
  return { kind: 'tenant', tenant: id };
}

/** The manifest of a backup that nobody took. */
export function sampleManifest(
  subject: BackupSubject,
  time: string,
  put: PutArchive,
  changes: Partial<BackupManifest> = {},
): BackupManifest {
  return {
    schema: 'tenantctl-backup/1',
    subject,
    time,
    versions: { tenantctl: '0.0.0-test', server: '18.1', dump: '18.1' },
    run: '2026-11-22T101500Z-k3f9',
    environment: 'test',
    place: { server: 'main', database: 'saas', schema: 'tenant_x' },
    labels: { tier: 'gold' },
    snapshot: { takenAt: '2026-11-22T10:15:00.123Z', lsn: '0/1A2B3C8', isCommon: true, fromReplica: false },
    ...put,
    tables: [{ schema: 'tenant_x', name: 'users', rows: 3, sizeBytes: 1200 }],
    migration: { version: '0002_users', applied: 2 },
    needs: { extensions: [], roles: ['app'], shared: null, rolesFile: null, largeObjects: null },
    made: { batch: 3, durationMs: 12.5, endedAt: '2026-11-22T10:15:01.000Z' },
    remarks: [],
    ...changes,
  };
}

export function bytesOf(text: string | Uint8Array): Content {
  const bytes = Buffer.from(text);
  const half = bytes.length >> 1;
  return { kind: 'bytes', sizeBytes: bytes.length, chunks: [bytes.subarray(0, half), bytes.subarray(half)] };
}

/** Stores an archive and its manifest, and finds it again. */
export async function putBackup(
  repository: Repository,
  subject: BackupSubject,
  takenAt: string | Date,
  content: Content = bytesOf('an archive'),
  changes: Partial<BackupManifest> = {},
): Promise<Backup> {
  const time = fileTime(new Date(takenAt));
  const put = await repository.putArchive(subject, time, content);
  await repository.putManifest(sampleManifest(subject, time, put, changes));
  const backup = await repository.findBackup(repository.keyOf(subject, time));
  if (backup === null) throw new Error(`the backup of ${time} is not there`);
  return backup;
}

/** All of a stream. */
export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
