import type { Context } from '../../context.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import type { Migration } from '../../migrations/folder.ts';
import { Inspector } from '../../migrations/inspection.ts';
import type { Lane } from '../../migrations/lanes.ts';
import type { RelationName } from '../../migrations/parse-tree.ts';
import { type Hazard, judgePlan, relationsToLookUp } from '../../migrations/plan-hazards.ts';
import type { TenantContext } from '../../migrations/schema-context.ts';
import { loadParser } from '../../migrations/statements.ts';
import type { TableEstimates } from '../../migrations/table-estimates.ts';
import { nothingAllowed } from '../migrate/hazard-policy.ts';
import { formatRows } from '../migrate/plan-text.ts';
import { readTableSizes } from '../migrate/table-sizes.ts';
import type { Fleet } from '../open-fleet.ts';

/** What can hurt in the SQL of one group, as `migrate plan` would say it of a file with this text. */
export interface FixHazard extends Pick<Hazard, 'hazard' | 'subject' | 'message' | 'hint' | 'line'> {
  /** Where its table has the most rows; null: no table, or no tenant whose rows are known. */
  readonly worst: { readonly tenant: Tenant; readonly rows: number } | null;
}

/** One text for the tenants of a group. */
export interface Reviewable {
  readonly text: string;
  readonly tenants: readonly Tenant[];
}

/** What a text does to the fleet. */
export interface FixReview {
  readonly hazards: readonly FixHazard[];
  /** What must not run beside it in its database. */
  readonly lanes: ReadonlySet<Lane>;
}

/** A review of each text, in the order in which they are given. */
export async function reviewFixes(
  context: Context,
  fleet: Fleet,
  fixes: readonly Reviewable[],
): Promise<readonly FixReview[]> {
  if (fixes.length === 0) return [];
  const inspector = new Inspector(await loadParser());
  const files = fixes.map(({ text }) => asMigration(text));
  const relations = files.map((file) => relationsToLookUp([file], 'up', inspector));
  const wanted = new Map(
    fixes.flatMap(({ tenants }, index) =>
      tenants.map((tenant): [Tenant, readonly RelationName[]] => [tenant, relations[index] ?? []]),
    ),
  );
  const busy = new Map([...wanted].filter(([, names]) => names.length > 0));
  const sizes = await readTableSizes(context, fleet, busy);
  return fixes.map(({ tenants }, index) => {
    const [judged] = judgePlan(files.slice(index, index + 1), 'up', inspector, contextOf(tenants));
    const hazards = (judged?.hazards ?? []).flatMap((hazard) => measure(hazard, tenants, sizes) ?? []);
    return { hazards, lanes: judged?.lanes ?? new Set() };
  });
}

/** The text as the file of a migration that runs in the tenant's transaction. */
function asMigration(text: string): Migration {
  const sql = { up: { text, offset: 0 }, down: null, usesTransaction: true, runsDownOnUp: false };
  const name = 'drift fix';
  return { kind: 'sql', name, path: name, displayPath: name, checksum: '', text, sql };
}

/** Names of a fix are the tenant's own: where it names a schema, it means that one. */
function contextOf(tenants: readonly Tenant[]): TenantContext {
  return {
    schemas: new Set(tenants.map(tenantSchema)),
    alsoOnPath: new Set(tenants.flatMap(({ searchPath }) => searchPath)),
  };
}

/** Null: its table is too small for it to be one. */
function measure(
  { hazard, subject, message, hint, line, relation }: Hazard,
  tenants: readonly Tenant[],
  sizes: ReadonlyMap<Tenant, TableEstimates>,
): FixHazard | null {
  let worst: FixHazard['worst'] = null;
  for (const tenant of relation === null ? [] : tenants) {
    const rows = relation === null ? undefined : sizes.get(tenant)?.find(tenant, relation)?.rows;
    if (rows != null && (worst === null || rows > worst.rows)) worst = { tenant, rows };
  }
  if (hazard === 'access-exclusive' && (worst?.rows ?? 0) <= nothingAllowed.largeTableRows) return null;
  return { hazard, subject, message, hint, line, worst };
}

/** `! drop-column users.tmp: its data are gone; worst tenant acme, 340 rows`. */
export function describeFixHazard({ hazard, subject, message, worst }: FixHazard): string {
  const size = worst === null ? '' : `; worst tenant ${worst.tenant.id}, ${formatRows(worst.rows)}`;
  return `! ${hazard}${subject === '' ? '' : ` ${subject}`}: ${message}${size}`;
}
