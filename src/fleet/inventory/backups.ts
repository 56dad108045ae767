import { resolve } from 'node:path';
import { InternalError } from '../../errors.ts';
import { parseDuration } from '../duration.ts';
import type { RawInventory } from './file-schema.ts';

/** Where backups, or a copy of them, are kept. */
export type BackupPlace =
  | {
      readonly kind: 'folder';
      /** Absolute. */
      readonly path: string;
    }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      /** Without a slash at either end; empty: the whole bucket is for backups. */
      readonly prefix: string;
      /** Null: as the AWS SDK finds it (AWS_REGION, profile). */
      readonly region: string | null;
      /** Null: Amazon's own. */
      readonly endpoint: string | null;
      /** `endpoint/bucket/key` in place of `bucket.endpoint/key`. */
      readonly pathStyle: boolean;
      readonly encryption: 'AES256' | 'aws:kms' | null;
      readonly kmsKey: string | null;
    };

/** Which backups of a tenant are kept, in restic's meaning: a backup that one rule keeps is kept. 0: the rule keeps none. */
export interface KeepRules {
  readonly last: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
  /** All that are at most so many milliseconds older than the newest. */
  readonly withinMs: number;
}

export interface BackupSettings {
  readonly to: BackupPlace | null;
  readonly copyTo: BackupPlace | null;
  /** age recipients (`age1…`): public keys, whose owners alone can open what is written. Empty: not encrypted. */
  readonly encryptTo: readonly string[];
  /** Null: nothing expires. */
  readonly keep: KeepRules | null;
  /** Milliseconds: how old the newest backup may be, and how long a restore may take. */
  readonly rpoMs: number | null;
  readonly rtoMs: number | null;
  /** SQL that `verify` runs in each restored tenant; a row that comes back makes the backup a bad one. */
  readonly checks: readonly string[];
}

type RawBackups = NonNullable<RawInventory['backups']>;

export function buildBackups(raw: RawBackups | undefined, folder: string): BackupSettings {
  return {
    to: buildPlace(raw?.to, folder),
    copyTo: buildPlace(raw?.copyTo, folder),
    encryptTo: raw?.encryptTo ?? [],
    keep: buildKeep(raw?.keep),
    rpoMs: durationMs(raw?.rpo),
    rtoMs: durationMs(raw?.rto),
    checks: raw?.checks ?? [],
  };
}

/** What `to` says; for flags that name a place of backups too. `folder`: what relative paths start from. */
export function buildPlace(raw: RawBackups['to'], folder: string): BackupPlace | null {
  if (raw === undefined) return null;
  const place = typeof raw === 'string' ? { url: raw } : raw;
  const s3 = /^s3:\/\/([^/]+)\/?(.*)$/s.exec(place.url);
  if (s3 === null) return { kind: 'folder', path: resolve(folder, place.url) };
  return {
    kind: 's3',
    bucket: s3[1] ?? '',
    prefix: (s3[2] ?? '').replace(/^\/+|\/+$/g, ''),
    region: place.region ?? null,
    endpoint: place.endpoint ?? null,
    pathStyle: place.pathStyle ?? false,
    encryption: place.encryption ?? null,
    kmsKey: place.kmsKey ?? null,
  };
}

function buildKeep(raw: RawBackups['keep']): KeepRules | null {
  if (raw === undefined) return null;
  const { last = 0, hourly = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0, within } = raw;
  return { last, hourly, daily, weekly, monthly, yearly, withinMs: durationMs(within) ?? 0 };
}

function durationMs(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = parseDuration(text);
  if (ms === null) throw new InternalError(`a duration came through the checks: ${text}`);
  return ms;
}
