import type {
  Backup,
  Pin,
  VerificationLevel,
  VerificationRecord,
  VerificationResult,
} from '../../../src/backups/repository/backup.ts';
import type { BackupManifest, BackupSubject } from '../../../src/backups/repository/manifest.ts';
import { fileTime } from '../../../src/backups/repository/names.ts';
import type { KeepRules } from '../../../src/fleet/inventory/backups.ts';

export const noRules: KeepRules = { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, withinMs: 0 };
export const now = new Date('2026-11-22T10:15:00.000Z');
export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

export function ago(ms: number): Date {
  return new Date(now.getTime() - ms);
}

export interface BackupSpec {
  readonly subject?: BackupSubject;
  readonly tenant?: string;
  readonly takenAt: Date;
  readonly state?: Backup['state'];
  readonly verified?: readonly VerificationResult[];
  readonly pin?: Partial<Pin> | null;
  readonly receipt?: Backup['receipt'];
  readonly needs?: Partial<BackupManifest['needs']>;
  readonly sizeBytes?: number;
  readonly run?: string;
  readonly place?: Partial<BackupManifest['place']>;
  readonly durationMs?: number;
}

/** A backup as the store lists it. */
export function backup(spec: BackupSpec): Backup {
  const subject = spec.subject ?? { kind: 'tenant', tenant: spec.tenant ?? 'acme' };
  const { takenAt, state = 'complete', sizeBytes = 1000 } = spec;
  const time = fileTime(takenAt);
  const base = `${subject.kind === 'tenant' ? subject.tenant : subject.kind}/${time}`;
  const verification: VerificationRecord | null = spec.verified
    ? { schema: 'tenantctl-verification/1', results: spec.verified }
    : null;
  const pin: Pin | null = spec.pin
    ? { schema: 'tenantctl-pin/1', at: takenAt.toISOString(), by: 'anna', reason: 'audit', until: null, ...spec.pin }
    : null;
  const hasManifest = state !== 'no-manifest' && state !== 'bad-manifest';
  return {
    subject,
    time,
    takenAt,
    keys: {
      file: state === 'no-archive' ? null : `${base}.dump`,
      manifest: state === 'no-manifest' ? null : `${base}.json`,
      verified: verification && `${base}.verified.json`,
      pin: pin && `${base}.pin.json`,
      receipt: spec.receipt ? `${base}.receipt.json` : null,
    },
    sizeBytes,
    state,
    problem: state === 'complete' ? null : 'it is damaged',
    manifest: hasManifest ? manifest(subject, time, spec) : null,
    verification,
    pin,
    receipt: spec.receipt ?? null,
  };
}

function manifest(subject: BackupSubject, time: string, spec: BackupSpec): BackupManifest {
  const { sizeBytes = 1000, takenAt } = spec;
  return {
    schema: 'tenantctl-backup/1',
    subject,
    time,
    versions: { tenantctl: '0.0.0', server: '17.6', dump: '17.6' },
    run: spec.run ?? 'r1',
    environment: 'test',
    place: { server: 'main', database: 'saas', schema: 'tenant_acme', ...spec.place },
    labels: {},
    snapshot: { takenAt: takenAt.toISOString(), lsn: '0/0', isCommon: true, fromReplica: false },
    archive: { sizeBytes, sha256: '' },
    file: { name: `${time}.dump`, sizeBytes, sha256: '' },
    encryption: null,
    tables: [],
    migration: null,
    needs: { extensions: [], roles: [], shared: null, rolesFile: null, largeObjects: null, ...spec.needs },
    made: {
      batch: 1,
      durationMs: spec.durationMs ?? 10,
      endedAt: new Date(takenAt.getTime() + (spec.durationMs ?? 10)).toISOString(),
    },
    remarks: [],
  };
}

export function result(
  level: VerificationLevel,
  verdict: VerificationResult['verdict'],
  at: Date,
  durationMs = 100,
): VerificationResult {
  return {
    level,
    verdict,
    at: at.toISOString(),
    durationMs,
    run: 'v1',
    tenantctl: '0.0.0',
    server: null,
    problems: [],
    remarks: [],
  };
}
