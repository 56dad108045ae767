import type { RdsState } from '../../aws/rds-state.ts';
import { sleepingServer } from '../../hibernation/rds/sleep-tags.ts';

/** What json says of the server of a tenant that sleeps with it. */
export interface ServerReport {
  readonly kind: 'instance' | 'cluster';
  readonly id: string;
  /** AWS's own word. */
  readonly status: string;
  /** Of the snapshot that was taken before it was stopped. */
  readonly snapshot: string | null;
  /** When AWS will start it by itself. */
  readonly automaticRestartAt: string | null;
  /** How often it did, and was stopped again. */
  readonly restarts: number;
}

export function reportServer(state: RdsState, snapshot: string | null): ServerReport {
  const { kind, id, status, automaticRestartAt, restarts } = sleepingServer('', state);
  return { kind, id, status, snapshot, automaticRestartAt: automaticRestartAt?.toISOString() ?? null, restarts };
}

/** That AWS starts it again, for people; none where AWS does not say. */
export function restartRemarks({ automaticRestartAt }: ServerReport): readonly string[] {
  if (automaticRestartAt === null) return [];
  return [
    `AWS starts it again at ${automaticRestartAt}: run \`tenantctl hibernate --keep\` from cron to stop it again`,
  ];
}
