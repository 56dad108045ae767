import { matchGlob } from './glob.ts';
import { type LabelRequirement, meetsRequirement } from './labels.ts';
import type { Tenant } from './tenant.ts';

/** Drift that somebody has looked at and lets pass for a while. */
export interface AcceptedEntry {
  /** Ids or globs; empty: by labels alone. */
  readonly tenants: readonly string[];
  /** All to be met. */
  readonly labels: readonly LabelRequirement[];
  /** Globs. */
  readonly kind: string;
  readonly name: string;
  /** A glob: only what differs in these attributes of the object. Null: whatever differs. */
  readonly attribute: string | null;
  readonly reason: string;
  /** `2027-03-31`: the last day on which it counts, in UTC. */
  readonly until: string;
  /** `drift-accepted.yaml:3:5`, for messages. */
  readonly at: string;
}

const dayMs = 86_400_000;

/** Is the entry about this tenant; where it names tenants and labels, both must fit. */
export function coversTenant(entry: AcceptedEntry, tenant: Pick<Tenant, 'id' | 'labels'>): boolean {
  const isNamed = entry.tenants.length === 0 || entry.tenants.some((pattern) => matchGlob(pattern, tenant.id) !== null);
  return isNamed && entry.labels.every((requirement) => meetsRequirement(tenant.labels, requirement));
}

/** Its last day is over: it counts no more. */
export function isOver(entry: AcceptedEntry, now: Date): boolean {
  return now.getTime() >= Date.parse(entry.until) + dayMs;
}
