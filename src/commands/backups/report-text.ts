import type { BackupWindow } from '../../backups/retention/backup-windows.ts';
import type { Condition, ReportLimits } from '../../backups/retention/condition.ts';
import { formatDuration } from '../../fleet/duration.ts';
import { printable } from '../../fleet/inventory/names.ts';
import { formatBytes, listNames, plural } from '../../words.ts';

/** What is still kept of a tenant that left. */
export interface DepartedBackups {
  readonly tenant: string;
  readonly firstSeenAt: string;
  readonly backups: number;
  readonly sizeBytes: number;
}

/** The fleet in a few numbers. */
export interface FleetTotals {
  readonly tenants: number;
  readonly inOrder: number;
  readonly missing: number;
  /** The newest is damaged, or was found bad by verify; an older one counts. */
  readonly damaged: number;
  readonly rpo: number;
  readonly rto: number;
  /** Of the newest backups together. */
  readonly sizeBytes: number;
  readonly oldestMs: number | null;
  /** By the deepest level that any backup of the tenant passed. */
  readonly verified: Readonly<Record<'restore' | 'content' | 'manifest' | 'never', number>>;
  readonly longestRestoreMs: number | null;
  /** Tenants of whose restore nothing is known, and those where it is an estimate. */
  readonly restoreUnknown: number;
  readonly restoreEstimated: number;
}

export function sumUp(conditions: readonly Condition[]): FleetTotals {
  const count = (isCounted: (condition: Condition) => boolean) => conditions.filter(isCounted).length;
  const deepest = (level: string | null) => count(({ verified }) => (verified?.level ?? null) === level);
  const restores = conditions.flatMap(({ expectedRestore }) => expectedRestore ?? []);
  const stored = conditions.flatMap(({ backup }) => backup ?? []);
  return {
    tenants: conditions.length,
    inOrder: count(({ breaches }) => breaches.length === 0),
    missing: count(({ breaches }) => breaches.includes('missing')),
    damaged: count(({ breaches }) => breaches.includes('damaged')),
    rpo: count(({ breaches }) => breaches.includes('rpo')),
    rto: count(({ breaches }) => breaches.includes('rto')),
    sizeBytes: stored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    oldestMs: maximum(stored.map(({ ageMs }) => ageMs)),
    verified: {
      restore: deepest('restore'),
      content: deepest('content'),
      manifest: deepest('manifest'),
      never: deepest(null),
    },
    longestRestoreMs: maximum(restores.map(({ durationMs }) => durationMs)),
    restoreUnknown: conditions.length - restores.length,
    restoreEstimated: restores.filter(({ basis }) => basis === 'others').length,
  };
}

export interface ReportFacts {
  readonly environment: string;
  readonly limits: ReportLimits;
  readonly conditions: ReadonlyMap<string, Condition>;
  readonly fleet: FleetTotals;
  readonly windows: readonly BackupWindow[];
  readonly departed: readonly DepartedBackups[];
}

const shownWindows = 10;
const shownDamaged = 10;

export function describeReport({
  environment,
  limits,
  conditions,
  fleet,
  windows,
  departed,
}: ReportFacts): readonly string[] {
  const limit = (ms: number | null) => (ms === null ? 'not set' : formatDuration(ms));
  return [
    `environment ${environment}, rpo ${limit(limits.rpoMs)}, rto ${limit(limits.rtoMs)}`,
    countLine(fleet),
    ...(fleet.tenants === 0 ? [] : [verifiedLine(fleet), restoreLine(fleet)]),
    ...damagedLines(conditions),
    ...windows.slice(0, shownWindows).map(windowLine),
    ...(windows.length > shownWindows ? [`… and ${windows.length - shownWindows} more databases, listed in json`] : []),
    ...departedLine(departed),
  ].map(printable);
}

function countLine(fleet: FleetTotals): string {
  const parts = [
    `${fleet.inOrder} in order`,
    ...(fleet.missing > 0 ? [`${fleet.missing} without a backup`] : []),
    ...(fleet.damaged > 0 ? [`${fleet.damaged} whose newest is damaged`] : []),
    ...(fleet.rpo > 0 ? [`${fleet.rpo} too old`] : []),
    ...(fleet.rto > 0 ? [`${fleet.rto} too slow to restore`] : []),
  ];
  const oldest = fleet.oldestMs === null ? '' : `, the oldest of the newest is ${formatDuration(fleet.oldestMs)} old`;
  return `${plural(fleet.tenants, 'tenant')}: ${parts.join(', ')}; ${formatBytes(fleet.sizeBytes)}${oldest}`;
}

function damagedLines(conditions: ReportFacts['conditions']): readonly string[] {
  const lines = [...conditions].flatMap(([tenant, { newerBad }]) => {
    return newerBad === null ? [] : [`${tenant}: the backup of ${newerBad.time}: ${newerBad.problem}`];
  });
  const rest = lines.length - shownDamaged;
  return [...lines.slice(0, shownDamaged), ...(rest > 0 ? [`… and ${rest} more, listed in json`] : [])];
}

function verifiedLine({ verified }: FleetTotals): string {
  const parts = Object.entries(verified).flatMap(([level, count]) => {
    if (count === 0) return [];
    return [level === 'never' ? `${count} never` : `${count} by ${level}`];
  });
  return `verified: ${parts.join(', ')}`;
}

function restoreLine({ longestRestoreMs, restoreEstimated, restoreUnknown }: FleetTotals): string {
  if (longestRestoreMs === null) return 'restore time: not known, no backup was ever verified by a restore';
  const parts = [
    ...(restoreEstimated > 0 ? [`${restoreEstimated} estimated by the restores of others`] : []),
    ...(restoreUnknown > 0 ? [`${restoreUnknown} not known`] : []),
  ];
  return [`restore time: at most ${formatDuration(longestRestoreMs)} a tenant`, ...parts].join(', ');
}

function windowLine({ server, database, startedAt, durationMs, tenants, run }: BackupWindow): string {
  const at = startedAt.slice(0, 16).replace('T', ' ');
  return `last dump of ${server}/${database}: ${at} UTC, ${formatDuration(durationMs)} for ${plural(tenants, 'tenant')} (run ${run})`;
}

function departedLine(departed: readonly DepartedBackups[]): readonly string[] {
  if (departed.length === 0) return [];
  const names = departed.map(({ tenant, firstSeenAt }) => `${tenant} since ${firstSeenAt.slice(0, 10)}`);
  const size = departed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return [`left the fleet, backups kept: ${listNames(names)} (${formatBytes(size)})`];
}

function maximum(numbers: readonly number[]): number | null {
  return numbers.length === 0 ? null : numbers.reduce((a, b) => Math.max(a, b));
}
