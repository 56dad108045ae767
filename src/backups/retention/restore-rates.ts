import type { Backup } from '../repository/backup.ts';
import { passedResult } from './verdict.ts';

interface Measured {
  readonly at: number;
  readonly durationMs: number;
  /** Of the archive that was restored. */
  readonly sizeBytes: number;
}

/** What verification measured when it restored. */
export interface RestoreRates {
  /** The last restore of each tenant. */
  readonly ofTenant: ReadonlyMap<string, Measured>;
  /** Those of all tenants together; null: nothing was ever restored. */
  readonly all: { readonly durationMs: number; readonly sizeBytes: number; readonly shortestMs: number } | null;
}

export function restoreRates(backups: readonly Backup[]): RestoreRates {
  const ofTenant = new Map<string, Measured>();
  for (const { subject, manifest, verification } of backups) {
    const result = passedResult(verification, 'restore');
    if (subject.kind !== 'tenant' || manifest === null || result === null) continue;
    const at = Date.parse(result.at);
    if (at < (ofTenant.get(subject.tenant)?.at ?? Number.NEGATIVE_INFINITY)) continue;
    ofTenant.set(subject.tenant, { at, durationMs: result.durationMs, sizeBytes: manifest.archive.sizeBytes });
  }
  const measured = [...ofTenant.values()];
  if (measured.length === 0) return { ofTenant, all: null };
  return {
    ofTenant,
    all: {
      durationMs: measured.reduce((sum, { durationMs }) => sum + durationMs, 0),
      sizeBytes: measured.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      shortestMs: measured.reduce((least, { durationMs }) => Math.min(least, durationMs), Number.POSITIVE_INFINITY),
    },
  };
}
