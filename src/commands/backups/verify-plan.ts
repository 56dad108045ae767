import type { Backup } from '../../backups/repository/backup.ts';
import { wasComplete } from '../../backups/repository/backup-files.ts';
import { baseKey } from '../../backups/repository/names.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import { chooseDue, readTurn, type Turn } from '../../backups/verify/turns.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { VerifyOptions } from './verify-options.ts';

/** A tenant and which of its backups are looked at. */
export interface PlannedTenant {
  readonly tenant: Tenant;
  /** The newest first; none: it has no backup. What the listing of the store says of them. */
  readonly backups: readonly Backup[];
  /** Young archives without a manifest, which are not looked at: newer than those that are; with `--all-backups`, all. */
  readonly unfinished: number;
}

export interface VerifyPlan {
  /** In the order in which they are looked at. */
  readonly planned: readonly PlannedTenant[];
  /** Of all selected tenants with a backup; for `--within`. */
  readonly turns: readonly Turn<Tenant>[];
}

/** No dump runs for so long: an archive without a manifest that is older will not get one any more. */
const longestDumpMs = 24 * 3_600_000;

/** Whose backups are looked at, and in which order: as selected, or the longest unverified first. */
export async function planVerification(
  repository: Repository,
  tenants: readonly Tenant[],
  options: VerifyOptions,
  now: Date,
): Promise<VerifyPlan> {
  const takesTurns = options.withinMs !== null || options.budgetMs !== null;
  // What was verified when stands in records of their own; names alone are much quicker to read.
  const listed = await repository.listBackups({ tenants: tenants.map(({ id }) => id), withManifests: takesTurns });
  const byTenant = Map.groupBy(listed, ({ subject }) => (subject.kind === 'tenant' ? subject.tenant : ''));
  const backupsOf = ({ id }: Tenant) => byTenant.get(id) ?? [];
  const plan = (tenant: Tenant) => choose(tenant, backupsOf(tenant), options, now);
  if (!takesTurns) return { planned: tenants.map(plan), turns: [] };
  const withBackup = tenants.filter((tenant) => plan(tenant).backups.length > 0);
  const turns = withBackup.map((tenant) => readTurn(tenant, backupsOf(tenant).filter(isBackup(now)), options.level));
  // A cycle that is over already: all of them, the longest unverified first.
  const due = chooseDue(turns, options.withinMs ?? 0, now.getTime()).map(({ subject }) => subject);
  const without = tenants.filter((tenant) => !withBackup.includes(tenant));
  return { planned: [...without, ...due].map(plan), turns };
}

function choose(tenant: Tenant, backups: readonly Backup[], options: VerifyOptions, now: Date): PlannedTenant {
  const { at, allBackups } = options;
  const inTime = backups.filter(({ takenAt }) => at === null || takenAt <= at);
  const real = inTime.filter(isBackup(now));
  const chosen = allBackups ? real : real.slice(0, 1);
  const [newest] = chosen;
  const isTold = ({ takenAt }: Backup) => allBackups || newest === undefined || takenAt > newest.takenAt;
  const unfinished = inTime.filter((backup) => !isBackup(now)(backup) && isTold(backup)).length;
  return { tenant, backups: chosen, unfinished };
}

/** What has no manifest is being written; or it has lost it, or after a day never got one: then it counts, as a bad one. */
function isBackup(now: Date): (backup: Backup) => boolean {
  return (backup) => wasComplete(backup) || now.getTime() - backup.takenAt.getTime() > longestDumpMs;
}

/** With its manifest and its records, as they are now; null: it is gone. */
export function readBackup(repository: Repository, { subject, time }: Backup): Promise<Backup | null> {
  return repository.findBackup(baseKey(subject, time));
}
