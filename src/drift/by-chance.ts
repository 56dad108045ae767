import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import type { FactSet } from './fact.ts';

/**
 * Facts of one of several tenants that look alike: where they have different names and each has its own there, no word
 * was taken for a name by chance.
 */
export function withEvidence(facts: FactSet, alike: readonly Tenant[]): FactSet {
  const schemas = new Set(alike.map(tenantSchema));
  const isProved = alike.length > 1 && (schemas.size > 1 || schemas.has('public'));
  return isProved ? { ...facts, byChance: [] } : facts;
}
