import { join } from 'node:path';
import type { VerificationResult } from '../../../src/backups/repository/backup.ts';
import { textContent } from '../../../src/backups/repository/content.ts';
import { FolderStore } from '../../../src/backups/repository/folder-store.ts';
import type { BackupManifest, BackupSubject } from '../../../src/backups/repository/manifest.ts';
import { fileTime } from '../../../src/backups/repository/names.ts';
import { Repository } from '../../../src/backups/repository/repository.ts';

export interface StoredSpec {
  /** A tenant's id, or something else. */
  readonly of: string | BackupSubject;
  readonly takenAt: Date;
  readonly text?: string;
  readonly needs?: Partial<BackupManifest['needs']>;
  readonly verified?: readonly VerificationResult[];
  readonly pinned?: string;
  readonly withManifest?: boolean;
  readonly durationMs?: number;
  readonly database?: string;
}

/** Backups in a folder as `dump` leaves them, for tests that do not care what is in them. */
export interface StoredBackups {
  readonly repository: Repository;
  readonly store: FolderStore;
  /** Returns the key of its archive. */
  readonly put: (spec: StoredSpec) => Promise<string>;
  /** Keys of all files that begin so. */
  readonly keys: (prefix?: string) => Promise<readonly string[]>;
}

export function storedBackups(folder: string, copy: string | null = null): StoredBackups {
  const store = new FolderStore(join(folder, 'backups'));
  const copyStore = copy === null ? null : new FolderStore(join(folder, copy));
  const repository = new Repository({
    store,
    copy: copyStore,
    recipients: [],
    identities: null,
    now: () => new Date(),
  });
  return {
    repository,
    store,
    put: (spec) => put(repository, spec),
    keys: (prefix = '') => keysOf(store, prefix),
  };
}

export async function keysOf(store: FolderStore, prefix = ''): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

async function put(repository: Repository, spec: StoredSpec): Promise<string> {
  const subject: BackupSubject = typeof spec.of === 'string' ? { kind: 'tenant', tenant: spec.of } : spec.of;
  const time = fileTime(spec.takenAt);
  const stored = await repository.putArchive(subject, time, textContent(spec.text ?? 'x'.repeat(1000)));
  const key = repository.keyOf(subject, time);
  if (spec.withManifest === false) return key;
  await repository.putManifest({
    schema: 'tenantctl-backup/1',
    subject,
    time,
    versions: { tenantctl: '0.0.0', server: '17.6', dump: '17.6' },
    run: '2026-11-22T101500Z-k3f9',
    environment: 'test',
    place: { server: 'main', database: spec.database ?? 'saas', schema: 'tenant_x' },
    labels: {},
    snapshot: { takenAt: spec.takenAt.toISOString(), lsn: '0/1A2B3C8', isCommon: true, fromReplica: false },
    ...stored,
    tables: [],
    migration: null,
    needs: { extensions: [], roles: [], shared: null, rolesFile: null, largeObjects: null, ...spec.needs },
    made: {
      batch: 1,
      durationMs: spec.durationMs ?? 10,
      endedAt: new Date(spec.takenAt.getTime() + (spec.durationMs ?? 10)).toISOString(),
    },
    remarks: [],
  });
  const backup = await repository.findBackup(key);
  if (backup === null || backup.state !== 'complete') throw new Error(`${key}: ${backup?.problem}`);
  for (const result of spec.verified ?? []) await repository.putVerification(backup, result);
  if (spec.pinned !== undefined) {
    const at = spec.takenAt.toISOString();
    await repository.putPin(backup, { schema: 'tenantctl-pin/1', at, by: 'anna', reason: spec.pinned, until: null });
  }
  return key;
}
