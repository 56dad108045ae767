import type { Backup } from '../repository/backup.ts';

/** From the first to the last archive that the last run made of the tenants of one database. */
export interface BackupWindow {
  readonly server: string;
  readonly database: string;
  readonly run: string;
  /** RFC 3339, UTC. */
  readonly startedAt: string;
  readonly endedAt: string;
  readonly durationMs: number;
  readonly tenants: number;
}

/** The window that the last run used, a database each, in the order of their names. */
export function backupWindows(backups: readonly Backup[]): readonly BackupWindow[] {
  const manifests = backups.flatMap(({ subject, state, manifest }) =>
    subject.kind === 'tenant' && state === 'complete' && manifest !== null ? [manifest] : [],
  );
  const places = Map.groupBy(manifests, ({ place }) => JSON.stringify([place.server, place.database]));
  return [...places.values()]
    .flatMap((ofPlace) => {
      const newest = ofPlace.reduce((a, b) => (startOf(b) > startOf(a) ? b : a));
      const ofRun = ofPlace.filter(({ run }) => run === newest.run);
      const startedAt = Math.min(...ofRun.map(startOf));
      const endedAt = Math.max(...ofRun.map((manifest) => Date.parse(manifest.made.endedAt)));
      return {
        server: newest.place.server,
        database: newest.place.database,
        run: newest.run,
        startedAt: new Date(startedAt).toISOString(),
        endedAt: new Date(endedAt).toISOString(),
        durationMs: endedAt - startedAt,
        tenants: new Set(ofRun.map(({ subject }) => JSON.stringify(subject))).size,
      };
    })
    .toSorted((a, b) => compare(a.server, b.server) || compare(a.database, b.database));
}

function startOf({ snapshot }: { readonly snapshot: { readonly takenAt: string } }): number {
  return Date.parse(snapshot.takenAt);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
