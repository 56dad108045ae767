import type { Backup, VerificationLevel } from '../repository/backup.ts';
import { wasComplete } from '../repository/backup-files.ts';
import { type RestoreRates, restoreRates } from './restore-rates.ts';
import { isFoundBad, passedResult } from './verdict.ts';

export type Breach = 'missing' | 'damaged' | 'rpo' | 'rto';

/** How the backups of one tenant stand. Times are RFC 3339 in UTC. */
export interface Condition {
  /** Entries of the store that are complete. */
  readonly backups: number;
  /** The newest one that is complete and was not found bad; null: there is none. */
  readonly backup: null | {
    readonly time: string;
    readonly takenAt: string;
    readonly ageMs: number;
    /** As it is kept. */
    readonly sizeBytes: number;
  };
  /** The newest one, where it was complete once and is so no more, or was found bad: `backup` is an older one, or null. */
  readonly newerBad: { readonly time: string; readonly problem: string } | null;
  /** The deepest level that any backup of this tenant passed: when that was, and which backup. */
  readonly verified: { readonly level: VerificationLevel; readonly at: string; readonly backup: string } | null;
  /** When a backup last passed each level. */
  readonly levels: Readonly<Record<VerificationLevel, string | null>>;
  readonly expectedRestore: ExpectedRestore | null;
  /** The tenant sleeps: its backup is held against that day. RFC 3339; null: it does not sleep. */
  readonly asleepSince: string | null;
  readonly breaches: readonly Breach[];
}

/** A tenant that is not active. */
export interface Asleep {
  readonly since: Date;
  /** Its data are in an archive alone. */
  readonly isArchived: boolean;
}

export interface ExpectedRestore {
  readonly durationMs: number;
  /** `own`: measured when a backup of this tenant was last restored; `others`: an estimate by what was restored of others. */
  readonly basis: 'own' | 'others';
}

export interface ReportLimits {
  /** Milliseconds; null: no limit is set. */
  readonly rpoMs: number | null;
  readonly rtoMs: number | null;
}

const levels = ['restore', 'content', 'manifest'] as const;

/** How each tenant stands, by its id: those without any backup too. Other tenants in the store lend their measurements. */
export function assessBackups(
  tenants: readonly string[],
  backups: readonly Backup[],
  limits: ReportLimits,
  now: Date,
  sleeping: ReadonlyMap<string, Asleep> = new Map(),
): ReadonlyMap<string, Condition> {
  const rates = restoreRates(backups.filter(isComplete));
  const series = Map.groupBy(backups, ({ subject }) => (subject.kind === 'tenant' ? subject.tenant : ''));
  return new Map(
    tenants.map((id) => [
      id,
      assess(id, series.get(id) ?? [], rates, { limits, now, asleep: sleeping.get(id) ?? null }),
    ]),
  );
}

interface AssessOptions {
  readonly limits: ReportLimits;
  readonly now: Date;
  readonly asleep: Asleep | null;
}

function assess(
  tenant: string,
  series: readonly Backup[],
  rates: RestoreRates,
  { limits, now, asleep }: AssessOptions,
): Condition {
  // What a tenant that was dropped is woken from is all that counts for it, however new another backup is.
  const counting = asleep?.isArchived === true ? series.filter(({ receipt }) => receipt?.living === true) : series;
  const entries = counting.toSorted((a, b) => b.takenAt.getTime() - a.takenAt.getTime());
  const newestFirst = entries.filter(isComplete);
  // What never had a manifest is being written, or came to nothing: its age is for rpo.
  const newest = entries.find(wasComplete);
  const good = newestFirst.find(({ verification }) => !isFoundBad(verification)) ?? null;
  const ageMs = good === null ? 0 : Math.max(0, now.getTime() - good.takenAt.getTime());
  // Data that nobody can write to grow no older.
  const lagMs = asleep === null || good === null ? ageMs : asleep.since.getTime() - good.takenAt.getTime();
  const expectedRestore = good === null ? null : expectRestore(tenant, good, rates);
  return {
    backups: newestFirst.length,
    backup: good && {
      time: good.time,
      takenAt: good.takenAt.toISOString(),
      ageMs,
      sizeBytes: good.sizeBytes,
    },
    newerBad: newest === undefined || newest === good ? null : { time: newest.time, problem: problemOf(newest) },
    verified: levels.flatMap((level) => lastPassed(newestFirst, level) ?? [])[0] ?? null,
    levels: {
      manifest: lastPassed(newestFirst, 'manifest')?.at ?? null,
      content: lastPassed(newestFirst, 'content')?.at ?? null,
      restore: lastPassed(newestFirst, 'restore')?.at ?? null,
    },
    expectedRestore,
    asleepSince: asleep?.since.toISOString() ?? null,
    breaches: [
      ...(good === null ? (['missing'] as const) : newest === good ? [] : (['damaged'] as const)),
      ...(good !== null && limits.rpoMs !== null && lagMs > limits.rpoMs ? (['rpo'] as const) : []),
      ...(limits.rtoMs !== null && (expectedRestore?.durationMs ?? 0) > limits.rtoMs ? (['rto'] as const) : []),
    ],
  };
}

function isComplete({ state }: Backup): boolean {
  return state === 'complete';
}

function problemOf({ problem, verification }: Backup): string {
  const bad = verification?.results.find(({ verdict }) => verdict === 'bad');
  return problem ?? `verify --level ${bad?.level} found it bad`;
}

function lastPassed(series: readonly Backup[], level: VerificationLevel): Condition['verified'] {
  const passed = series.flatMap(({ verification, time }) => {
    const result = passedResult(verification, level);
    return result === null ? [] : [{ level, at: result.at, backup: time }];
  });
  return passed.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at))[0] ?? null;
}

/** A restore takes as long as the last one, by what the archive has grown; else as long as those of others. */
function expectRestore(tenant: string, { manifest }: Backup, rates: RestoreRates): ExpectedRestore | null {
  const sizeBytes = manifest?.archive.sizeBytes ?? 0;
  const own = rates.ofTenant.get(tenant);
  if (own !== undefined) {
    const growth = own.sizeBytes > 0 && sizeBytes > 0 ? sizeBytes / own.sizeBytes : 1;
    return { durationMs: Math.round(own.durationMs * growth), basis: 'own' };
  }
  const { all } = rates;
  if (all === null) return null;
  // A restore has a part that is the same for the smallest one.
  const scaled = all.sizeBytes > 0 ? (all.durationMs * sizeBytes) / all.sizeBytes : 0;
  return { durationMs: Math.round(Math.max(all.shortestMs, scaled)), basis: 'others' };
}
