import { formatDuration } from '../../fleet/duration.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { CommandView } from '../../output/result.ts';
import { listNames, plural } from '../../words.ts';
import type { WakeValue } from './wake-value.ts';

export const wakeView: CommandView<WakeValue> = {
  columns: ['tenant', 'how', 'took', 'compared', 'migrations', 'note'],
  row: (outcome, { verbose }) => {
    if (outcome.status !== 'done' || (!verbose && outcome.finding !== true)) return null;
    const { how, durationMs, compared, migrations, remarks } = outcome.value;
    const took = durationMs === null ? '-' : formatDuration(durationMs);
    return [outcome.tenant.id, how ?? '-', took, compared ?? '-', listNames(migrations, 2), remarks.join('; ')];
  },
};

/** Of so many tenants the report says each by itself. */
const shownTenants = 3;

/** Who is awake, what was compared, whether it was in time. */
export function describeWoken(outcomes: readonly Outcome<WakeValue>[], isDry: boolean): readonly string[] {
  const woken = outcomes.flatMap((outcome) =>
    outcome.status === 'done' && outcome.value.how !== null ? [{ ...outcome.value, tenant: outcome.tenant }] : [],
  );
  if (woken.length === 0) return [];
  const lines = woken
    .slice(0, shownTenants)
    .flatMap((value) => [
      `${value.tenant.id}: ${isDry ? 'would be woken' : describeOne(value)}`,
      ...value.remarks.map((remark) => `  note: ${remark}`),
    ]);
  const rest = woken.length - shownTenants;
  const late = woken.filter(({ withinRto }) => withinRto === false);
  return [
    ...lines,
    ...(rest > 0 ? [`and ${rest} more, see them with -v`] : []),
    ...(late.length === 0
      ? []
      : [
          `${plural(late.length, 'tenant')} took longer than backups.rto promises (${formatDuration(late[0]?.rtoMs ?? 0)}): ${listNames(late.map(({ tenant }) => tenant.id))}`,
        ]),
  ];
}

function describeOne({ how, durationMs, compared, migrations, asleepSince }: WakeValue): string {
  const since = asleepSince === null ? '' : `, asleep since ${asleepSince.slice(0, 10)} (${how})`;
  const took = durationMs === null ? '' : ` after ${formatDuration(durationMs)}`;
  const same = compared === null ? '' : `; ${compared} as before`;
  const missed =
    migrations.length === 0 ? '' : `; ${plural(migrations.length, 'migration')} run: ${listNames(migrations)}`;
  return `awake${took}${since}${same}${missed}`;
}
