import type { Fact, FactSet, FactValue, TenantShape } from '../../src/drift/fact.ts';
import { factKey } from '../../src/drift/fact.ts';
import type { ScannedTenant } from '../../src/drift/group.ts';
import type { Labels } from '../../src/fleet/tenant.ts';

/** `fact('column', 'users.email', { type: 'text' }, 'users')`. */
export function fact(
  kind: string,
  name: string,
  attributes: Readonly<Record<string, FactValue>> = {},
  table: string | null = null,
): Fact {
  return { kind, name, table, attributes };
}

export function factSet(facts: readonly Fact[], more: Partial<FactSet> = {}): FactSet {
  const byKey = new Map(facts.map((each) => [factKey(each.kind, each.name), each]));
  return { major: 15, facts: byKey, unmodelled: [], templated: [], ...more };
}

/** A tenant as a scan found it. */
export function scanned(id: string, shape: Partial<TenantShape> = {}, labels: Labels = {}): ScannedTenant {
  const tenant = { id, server: 'main', database: 'saas', schema: id, labels, searchPath: [id], role: null };
  const usual = { major: 15, shape: 'usual', structure: 'usual', facts: 1, unmodelled: [], version: '0001_users' };
  return { tenant, shape: { ...usual, ...shape } };
}
