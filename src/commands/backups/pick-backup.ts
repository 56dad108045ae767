import type { Backup } from '../../backups/repository/backup.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import { UsageError } from '../../errors.ts';
import { listNames, plural } from '../../words.ts';
import type { BackupTime } from './read-time.ts';

/** Backups of one tenant, the newest first; a usage error when there is none. */
export async function backupsOf(repository: Repository, tenant: string): Promise<readonly Backup[]> {
  const backups = await repository.listBackups({ tenants: [tenant] });
  if (backups.length > 0) return backups;
  throw new UsageError(`there is no backup of ${JSON.stringify(tenant)} in ${repository.name}`, {
    hint: 'see `tenantctl backups list --all`',
  });
}

/** The newest complete one that is not newer than the time; null: there is none. */
export function newestAt(backups: readonly Backup[], { span }: BackupTime): Backup | null {
  return backups.find(({ state, takenAt }) => state === 'complete' && (span === null || takenAt <= span.to)) ?? null;
}

/** The one of exactly that time (of a day: the newest of it), in whatever state; a usage error when there is none. */
export function backupAt(backups: readonly Backup[], time: BackupTime): Backup {
  const { text, span } = time;
  const found =
    span === null
      ? (newestAt(backups, time) ?? backups[0])
      : backups.find(({ takenAt }) => takenAt >= span.from && takenAt <= span.to);
  if (found !== undefined) return found;
  throw new UsageError(`there is no backup of ${text}`, {
    hint: `there ${backups.length === 1 ? 'is' : 'are'} ${plural(backups.length, 'other')}: ${listNames(
      backups.map((backup) => backup.time),
      5,
    )}`,
  });
}
