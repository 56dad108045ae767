import type { Condition } from '../../backups/retention/condition.ts';
import type { Metric } from '../../output/metrics.ts';
import type { Result } from '../../output/result.ts';

const levels = ['manifest', 'content', 'restore'] as const;
const kinds = ['missing', 'damaged', 'rpo', 'rto'] as const;

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Times are told as times and not as ages: what is watched must grow old when the report is no longer written. */
export function backupMetrics({ outcomes }: Result<Condition>, at: Date): readonly Metric[] {
  const metric = (
    name: string,
    help: string,
    samplesOf: (condition: Condition) => readonly (readonly [value: number | null, more?: Record<string, string>])[],
  ): Metric => {
    const samples = outcomes.flatMap((outcome): readonly Sample[] => {
      if (outcome.status !== 'done') return [];
      const { id, server, database } = outcome.tenant;
      return samplesOf(outcome.value).flatMap(([value, more]) =>
        value === null ? [] : [{ labels: { tenant: id, server, database, ...more }, value }],
      );
    });
    return { name: `tenantctl_${name}`, help, samples };
  };
  return [
    metric('backup_last_success_timestamp_seconds', 'When the newest good backup was taken.', ({ backup }) => [
      [seconds(backup?.takenAt)],
    ]),
    metric('backup_size_bytes', 'Size of the newest good backup as it is stored.', ({ backup }) => [
      [backup?.sizeBytes ?? null],
    ]),
    metric(
      'backup_verified_timestamp_seconds',
      'When a backup of the tenant last passed verification of that level.',
      (condition) => levels.map((level) => [seconds(condition.levels[level]), { level }]),
    ),
    metric('backup_expected_restore_seconds', 'How long a restore of the newest good backup takes.', (condition) => [
      [condition.expectedRestore && condition.expectedRestore.durationMs / 1000],
    ]),
    metric(
      'backup_breach',
      '1 where the newest backup is missing, damaged, older than rpo, or slower than rto.',
      (condition) => kinds.map((kind) => [condition.breaches.includes(kind) ? 1 : 0, { kind }]),
    ),
    {
      name: 'tenantctl_report_timestamp_seconds',
      help: 'When this report was made.',
      samples: [{ labels: {}, value: at.getTime() / 1000 }],
    },
  ];
}

function seconds(time: string | null | undefined): number | null {
  return time == null ? null : Date.parse(time) / 1000;
}
