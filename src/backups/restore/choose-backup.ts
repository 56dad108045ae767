import type { Failure } from '../../errors.ts';
import type { Backup } from '../repository/backup.ts';
import type { BackupManifest } from '../repository/manifest.ts';

/** A backup that can be restored. */
export interface ChosenBackup {
  readonly backup: Backup;
  readonly manifest: BackupManifest;
  /** Newer ones that were left out, with the reason; what speaks against this one. */
  readonly remarks: readonly string[];
}

/**
 * The newest complete backup of a tenant that is not newer than `at` and was not found to be damaged. `backups` are its own.
 * `onlyRows`: nobody minds the rights that are in it.
 */
export function chooseBackup(
  backups: readonly Backup[],
  {
    at,
    time,
    onlyRows = false,
  }: { readonly at: Date | null; readonly time?: string | undefined; readonly onlyRows?: boolean },
): ChosenBackup | Failure {
  const newestFirst = backups.toSorted((a, b) => b.takenAt.getTime() - a.takenAt.getTime());
  const old = newestFirst.filter((backup) => {
    return time === undefined ? at === null || backup.takenAt <= at : backup.time === time;
  });
  const remarks: string[] = [];
  for (const backup of old) {
    const { manifest } = backup;
    const bad = backup.verification?.results.filter(({ verdict }) => verdict === 'bad') ?? [];
    const damage = bad.find(({ level }) => level !== 'restore');
    if (backup.state !== 'complete' || manifest === null) remarks.push(`${backup.time} is left out: ${backup.state}`);
    else if (damage !== undefined) {
      remarks.push(`${backup.time} is left out: found bad at level ${damage.level}, ${damage.at}`);
    } else if (manifest.isFenced === true && backup.receipt === null && !onlyRows) {
      remarks.push(`${backup.time} is left out: it was dumped behind a fence, and nothing says who may use it`);
    } else {
      // A scratch database may lack what the living one has; whether it restores here, this restore itself will tell.
      const doubts = bad.map(({ at, problems }) => `verify could not restore it, ${at}: ${problems[0] ?? ''}`);
      return { backup, manifest, remarks: [...remarks, ...doubts] };
    }
  }
  return noBackup(newestFirst, remarks, at);
}

function noBackup(backups: readonly Backup[], remarks: readonly string[], at: Date | null): Failure {
  const complete = backups.filter(({ state }) => state === 'complete');
  const nearest = complete.at(-1);
  const when = at === null ? '' : ` at or before ${at.toISOString()}`;
  return {
    message: `there is no backup of this tenant${when} that can be restored`,
    code: 'no-backup',
    ...(remarks.length === 0 ? {} : { detail: remarks.slice(0, 5).join('; ') }),
    hint:
      nearest === undefined || at === null
        ? 'see what the store has: tenantctl backups list'
        : `the oldest is of ${nearest.takenAt.toISOString()}, the newest of ${complete[0]?.takenAt.toISOString()}`,
  };
}
