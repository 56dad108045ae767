import { formatDuration } from '../../fleet/duration.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { CommandView } from '../../output/result.ts';
import { formatBytes, listNames, plural, shellQuote } from '../../words.ts';
import { alignRows } from '../align-rows.ts';
import type { PlannedSleep } from './hibernate-plan.ts';
import type { HibernateValue } from './hibernate-value.ts';

/** Of so many tenants a plan says each by itself. */
const shownTenants = 20;

export const hibernateView: CommandView<HibernateValue> = {
  columns: ['tenant', 'how', 'before', 'after', 'archive', 'backup', 'out of use', 'note'],
  row: (outcome, { verbose }) => {
    if (outcome.status !== 'done' || !verbose) return null;
    const { how, already, backup, sizeBeforeBytes, sizeAfterBytes, phases, remarks } = outcome.value;
    const size = (bytes: number | null) => (bytes === null ? '-' : formatBytes(bytes));
    return [
      ...[outcome.tenant.id, how, size(sizeBeforeBytes), size(sizeAfterBytes)],
      ...[
        size(backup?.sizeBytes ?? null),
        backup?.time ?? '-',
        phases === null ? '-' : formatDuration(phases.outOfUseMs),
      ],
      already ? (remarks[0] ?? '') : remarks.join('; '),
    ];
  },
};

/** What would be done: for a dry run, and before a person is asked. */
export function describeSleepPlan(
  planned: readonly PlannedSleep[],
  settled: readonly Outcome<HibernateValue>[],
): readonly string[] {
  const known = planned.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
  const ways = Map.groupBy(planned, ({ how }) => how);
  const said = [...ways].map(([how, some]) => `${plural(some.length, 'tenant')} by ${how}`);
  const head = planned.length === 0 ? 'nobody is put to sleep' : `${listNames(said)}, ${formatBytes(known)} on disk`;
  const lines = alignRows(
    planned
      .slice(0, shownTenants)
      .map(({ tenant, how, sizeBytes, isCarriedOn, remarks }) => [
        `  ${tenant.id}`,
        whereOf(tenant),
        how,
        sizeBytes === null ? '' : formatBytes(sizeBytes),
        [isCarriedOn ? 'goes on' : '', ...remarks].filter((word) => word !== '').join('; '),
      ]),
  );
  const rest = planned.length - shownTenants;
  const refused = settled.flatMap((outcome) =>
    outcome.status === 'failed' ? [`  ${outcome.tenant.id}: not put to sleep: ${outcome.error.message}`] : [],
  );
  return [head, ...lines, ...(rest > 0 ? [`  and ${rest} more`] : []), ...shorten(refused)];
}

function shorten(lines: readonly string[]): readonly string[] {
  const rest = lines.length - shownTenants;
  return rest > 0 ? [...lines.slice(0, shownTenants), `  and ${rest} more`] : lines;
}

function whereOf({ server, database, schema }: Tenant): string {
  return schema === null ? `${server}/${database}` : `${server}/${database}.${schema}`;
}

/** What was done, what it has saved, and how somebody is woken. */
export function describeSlept(outcomes: readonly Outcome<HibernateValue>[]): readonly string[] {
  const slept = outcomes.flatMap((outcome) =>
    outcome.status === 'done' && !outcome.value.already ? [{ ...outcome.value, tenant: outcome.tenant }] : [],
  );
  const [first] = slept;
  if (first === undefined) return [];
  const sum = (pick: (value: HibernateValue) => number | null) => {
    return slept.reduce((total, value) => total + (pick(value) ?? 0), 0);
  };
  const before = sum(({ sizeBeforeBytes }) => sizeBeforeBytes);
  const after = sum(({ sizeAfterBytes }) => sizeAfterBytes);
  const archived = slept.filter(({ backup }) => backup !== null);
  const archives = sum(({ backup }) => backup?.sizeBytes ?? null);
  const longest = Math.max(...slept.map(({ phases }) => (phases === null ? 0 : phases.outOfUseMs)));
  const said = new Map<string, number>();
  for (const remark of slept.flatMap(({ remarks }) => remarks)) said.set(remark, (said.get(remark) ?? 0) + 1);
  return [
    `${plural(slept.length, 'tenant sleeps', 'tenants sleep')}: ${formatBytes(before)} on disk before, ${formatBytes(after)} now`,
    ...(archived.length === 0
      ? []
      : [
          `${plural(archived.length, 'archive')}, ${formatBytes(archives)}, in ${archived[0]?.backup?.store ?? ''}; longest out of use before it slept: ${formatDuration(longest)}`,
        ]),
    ...[...said].map(([remark, count]) => `  note: ${remark}${count === 1 ? '' : ` (${plural(count, 'tenant')})`}`),
    `to wake one: tenantctl wake -t ${shellQuote(first.tenant.id)}`,
  ];
}
