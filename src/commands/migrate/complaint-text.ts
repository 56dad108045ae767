import type { Failure } from '../../errors.ts';
import { causeKey, neutralText } from '../../fleet/cause.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { listNames, plural } from '../../words.ts';
import type { TenantComplaint } from './check-fleet.ts';

export interface ComplaintWords {
  /** Tenants that are named; the others are counted. */
  readonly atMost: number;
  /** After `2 of 50 tenants`, with a blank before it. */
  readonly verb?: string;
}

/**
 * The complaints of one check in a few lines: `2 of 50 tenants: acme (email=a@b.c, count=2), globex (…)`, and a line for
 * each reason why it could not be made. `checked`: on how many tenants it was to be made.
 */
export function describeComplaints(
  complaints: readonly TenantComplaint[],
  checked: number,
  { atMost, verb = '' }: ComplaintWords,
): readonly string[] {
  const told = complaints.flatMap((complaint) => ('rows' in complaint ? [describeRows(complaint)] : []));
  const unmade = new Map<string, { readonly tenant: Tenant; readonly failure: Failure }[]>();
  for (const complaint of complaints) {
    if ('rows' in complaint) continue;
    const cause = causeKey(complaint.failure, complaint.tenant);
    unmade.set(cause, [...(unmade.get(cause) ?? []), complaint]);
  }
  return [
    ...(told.length === 0 ? [] : [`${share(told.length, checked)}${verb}: ${listNames(told, atMost)}`]),
    ...[...unmade.values()].map((group) => {
      const ids = group.map(({ tenant }) => tenant.id);
      return `could not be made on ${share(ids.length, checked)}: ${describeCause(group)}: ${listNames(ids, atMost)}`;
    }),
  ];
}

function share(count: number, total: number): string {
  return `${count} of ${plural(total, 'tenant')}`;
}

function describeRows({ tenant, rows, hasMore }: Extract<TenantComplaint, { rows: unknown }>): string {
  const shown = [...rows, ...(hasMore ? ['…'] : [])].join('; ');
  return shown === '' ? tenant.id : `${tenant.id} (${shown})`;
}

function describeCause(group: readonly { readonly tenant: Tenant; readonly failure: Failure }[]): string {
  const [first] = group;
  if (first === undefined) return '';
  const { message, sqlState } = first.failure;
  const text = group.length === 1 ? message : neutralText(message, first.tenant);
  return sqlState === undefined ? text : `${sqlState} ${text}`;
}
