import { InternalError } from '../../errors.ts';
import { parseDuration } from '../duration.ts';
import type { SleepWay } from '../tenant-state.ts';
import type { RawInventory } from './file-schema.ts';

/** Which tenants may be put to sleep, when they count as idle, and how they sleep. */
export interface HibernatePolicy {
  /** Whether the file has the key at all; without it the defaults below are for looking only. */
  readonly isSet: boolean;
  /** Milliseconds without any use. */
  readonly afterMs: number;
  /** At least so many samples in that time. */
  readonly samples: number;
  /** The label that `tiers` are values of. */
  readonly tierLabel: string;
  /** Empty: all. */
  readonly tiers: readonly string[];
  /** Ids and globs of tenants that never sleep. */
  readonly never: readonly string[];
  /** Null: whatever fits the place where a tenant lives. */
  readonly how: SleepWay | null;
  /** A query in the tenant that gives the time of its last login; null: there is none. */
  readonly lastLogin: string | null;
}

export function buildHibernate(raw: RawInventory['hibernate']): HibernatePolicy {
  const after = raw?.after ?? '30d';
  const afterMs = parseDuration(after);
  if (afterMs === null) throw new InternalError(`a duration came through the checks: ${after}`);
  return {
    isSet: raw !== undefined,
    afterMs,
    samples: raw?.samples ?? 20,
    tierLabel: raw?.tierLabel ?? 'tier',
    tiers: raw?.tiers ?? [],
    never: raw?.never ?? [],
    how: raw?.how ?? null,
    lastLogin: raw?.lastLogin ?? null,
  };
}
