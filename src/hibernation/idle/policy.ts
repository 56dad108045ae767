import { matchGlob } from '../../fleet/glob.ts';
import type { HibernatePolicy } from '../../fleet/inventory/hibernate.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { SleepWay } from '../../fleet/tenant-state.ts';

/** Why the policy lets a tenant never sleep, or null when it may. */
export function exemption(tenant: Tenant, policy: HibernatePolicy): string | null {
  const pattern = policy.never.find((each) => matchGlob(each, tenant.id) !== null);
  if (pattern !== undefined) return pattern === tenant.id ? 'hibernate.never' : `hibernate.never has ${pattern}`;
  if (policy.tiers.length === 0) return null;
  const tier = tierOf(tenant, policy);
  if (tier === null) return `no label ${policy.tierLabel}`;
  return policy.tiers.includes(tier) ? null : `${policy.tierLabel} ${tier}`;
}

export function tierOf(tenant: Tenant, policy: HibernatePolicy): string | null {
  return Object.hasOwn(tenant.labels, policy.tierLabel) ? (tenant.labels[policy.tierLabel] ?? null) : null;
}

/** How a tenant would sleep: as the policy says where that can be, else by archive. */
export function sleepWay(tenant: Tenant, policy: HibernatePolicy, isWholeServer: boolean): SleepWay {
  const how = policy.how ?? (isWholeServer ? 'stop' : 'archive');
  if (how === 'lock') return tenant.schema === null ? 'lock' : 'archive';
  return how === 'archive' || isWholeServer ? how : 'archive';
}
