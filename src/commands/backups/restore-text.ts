import type { TenantPlace } from '../../backups/restore/restore-types.ts';
import { formatDuration } from '../../fleet/duration.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { CommandView } from '../../output/result.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import { formatBytes, listNames, plural, shellQuote } from '../../words.ts';
import type { RestoreOptions } from './restore-options.ts';
import type { PlannedRestore } from './restore-plan.ts';
import type { RestoreValue } from './restore-value.ts';

export const restoreView: CommandView<RestoreValue> = {
  columns: ['tenant', 'backup', 'to', 'rows', 'ms'],
  row: (outcome, { verbose }) => {
    if (outcome.status !== 'done' || !verbose) return null;
    const { backup, to, rows, durationMs } = outcome.value;
    return [outcome.tenant.id, backup.time, nameOf(to), String(rows), durationMs === null ? '-' : String(durationMs)];
  },
};

/** Of so many tenants the report says each by itself. */
const shownTenants = 3;

/** What would be done, for a dry run and before consent. */
export function describePlanned(
  planned: readonly PlannedRestore[],
  values: readonly RestoreValue[],
  rows: RestoreOptions['rows'],
): string[] {
  const lines = planned.map((plan, index) => {
    const value = values[index]!;
    return `${plan.tenant.id}: ${rows === null ? describeWay(plan, value) : describeRows(rows, value)}`;
  });
  const remarks = planned.flatMap(({ tenant, remarks }) => remarks.map((remark) => `  ${tenant.id}: ${remark}`));
  return [...shorten(lines, 20), ...shorten(remarks, 20)];
}

function describeWay({ way, earlier, livingExists }: PlannedRestore, value: RestoreValue): string {
  const { backup, from, to, expectedMs } = value;
  const what = `as of ${backup.takenAt} (${formatBytes(value.sizeBytes)}, ${plural(value.tables, 'table')}, ${verified(value)})`;
  const time = expectedMs == null ? '' : `, about ${formatDuration(expectedMs)}`;
  const old = way.oldName === null ? '' : `; the living one is kept as ${way.oldName}`;
  if (earlier !== null) return `${nameOf(earlier.to)}, ${what}, becomes ${nameOf(to)}${old}`;
  const isNew = livingExists || nameOf(from) === nameOf(to) ? '' : ', where nothing is now';
  return `${what} from ${nameOf(from)} to ${nameOf(to)}${isNew}${old}${time}`;
}

function describeRows({ tables, replaces }: NonNullable<RestoreOptions['rows']>, value: RestoreValue): string {
  const what = `${plural(value.rows, 'row')} of ${listNames(tables, 5)} as of ${value.backup.takenAt}`;
  return `${what} into ${nameOf(value.to)}${replaces ? ', in place of what is there' : ''}`;
}

function verified({ backup }: RestoreValue): string {
  return backup.verified === null ? 'never verified' : `verified: ${backup.verified}`;
}

/** What was done, and what to type next. */
export function describeRestored(outcomes: readonly Outcome<RestoreValue>[], run: string | null): string[] {
  const done = outcomes.flatMap((outcome) => (outcome.status === 'done' ? [outcome] : []));
  const lines = done.slice(0, shownTenants).flatMap(({ tenant, value }) => describeOne(tenant, value, run));
  const rest = done.length - shownTenants;
  const sum = (pick: (value: RestoreValue) => number) => done.reduce((total, { value }) => total + pick(value), 0);
  return rest <= 0
    ? lines
    : [
        ...lines,
        `and ${rest} more: ${plural(
          sum(({ rows }) => rows),
          'row',
        )}, ${formatBytes(sum(({ sizeBytes }) => sizeBytes))} of archives in all`,
      ];
}

function describeOne({ id, ...tenant }: Tenant, value: RestoreValue, run: string | null): string[] {
  const { backup, to, tables, rows, durationMs, bytesPerSecond, remarks } = value;
  const speed =
    durationMs === null || bytesPerSecond === null
      ? ''
      : ` in ${formatDuration(durationMs)} (${formatBytes(bytesPerSecond)}/s)`;
  const what = `${plural(rows, 'row')} of ${plural(tables, 'table')}`;
  return [
    `${id}: as of ${backup.takenAt} in ${nameOf(to)}, ${what}${speed}`,
    ...remarks.map((remark) => `  note: ${remark}`),
    ...nextSteps({ id, ...tenant }, value, run),
  ];
}

function nextSteps(tenant: Tenant, value: RestoreValue, run: string | null): string[] {
  const { old, to, swapped, outside } = value;
  if (old !== null) {
    return [`  kept: ${old}; ${beforeDrop(outside)}: ${dropSql(to, old)}`, `  back again: ${swapBackSql(to, old)}`];
  }
  const name = to.schema ?? to.database;
  if (swapped || run === null || !name.startsWith('tenantctl_')) return [];
  return [
    `  look at it, then put it in place: tenantctl restore -t ${shellQuote(tenant.id)} --swap --from-run ${run}`,
    `  or away with it: ${dropSql(to, name)}`,
  ];
}

/** CASCADE takes with it what refers to the old one from outside. */
function beforeDrop(outside: readonly string[]): string {
  return outside.length === 0
    ? 'drop it when nobody misses it'
    : `these refer to it and would be dropped with it: ${listNames(outside, 10)}; make them anew, then drop it`;
}

/** The statement that removes a schema or database which a restore has left. */
function dropSql({ schema }: TenantPlace, name: string): string {
  return schema === null ? `DROP DATABASE ${quoteIdentifier(name)}` : `DROP SCHEMA ${quoteIdentifier(name)} CASCADE`;
}

/** The statements that undo a swap. What came after it stays under the name that the restored one gets. */
function swapBackSql({ schema, database }: TenantPlace, old: string): string {
  const kind = schema === null ? 'DATABASE' : 'SCHEMA';
  const living = schema ?? database;
  const aside = old.replace('tenantctl_old_', 'tenantctl_undone_');
  const rename = (from: string, to: string) =>
    `ALTER ${kind} ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)};`;
  return `BEGIN; ${rename(living, aside)} ${rename(old, living)} COMMIT;`;
}

/** `saas, schema tenant_acme`; `database acme`. */
function nameOf({ database, schema }: TenantPlace): string {
  return schema === null ? `database ${database}` : `${database}, schema ${schema}`;
}

function shorten(lines: readonly string[], atMost: number): readonly string[] {
  return lines.length <= atMost ? lines : [...lines.slice(0, atMost), `… and ${lines.length - atMost} more`];
}
