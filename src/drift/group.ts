import type { Tenant } from '../fleet/tenant.ts';
import type { TenantShape } from './fact.ts';

/** A tenant and what the scan said of it. */
export interface ScannedTenant {
  readonly tenant: Tenant;
  readonly shape: TenantShape;
}

/** Tenants of one PostgreSQL major and one migration version whose facts are all equal: what holds for one, holds for all. */
export interface ShapeGroup {
  readonly major: number;
  readonly version: string | null;
  readonly shape: string;
  /** In the order of selection; at least one. */
  readonly members: readonly ScannedTenant[];
}

/**
 * Tenants by shape, the largest group first; in the order of selection where two are of one size. Majors print what they
 * store in different words, and another version is another schema by design: neither is ever put into one group.
 */
export function groupByShape(scanned: readonly ScannedTenant[]): readonly ShapeGroup[] {
  const groups = new Map<string, ShapeGroup & { readonly members: ScannedTenant[] }>();
  for (const each of scanned) {
    const { major, version, shape } = each.shape;
    const key = JSON.stringify([major, version, shape]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { major, version, shape, members: [each] });
    else group.members.push(each);
  }
  return [...groups.values()].toSorted((a, b) => b.members.length - a.members.length);
}
