import { formatRequirement, type LabelRequirement, meetsRequirement } from './labels.ts';
import { formatShare, resolveShare, type Share } from './share.ts';
import type { Tenant } from './tenant.ts';

/** Who belongs to a wave: so many of all from the first on, those of the waves before included, or those with labels. */
export type WaveStep = { readonly share: Share } | { readonly labels: readonly LabelRequirement[] };

/** Tenants that are worked on together, before those of the next wave are begun. */
export interface WavePlan {
  /** For people: `canary`, `wave 2 of 3 (50%)`; empty when there is only one. */
  readonly name: string;
  readonly tenants: readonly Tenant[];
  /** One that fails stops the run, whatever the budget for failures is. */
  readonly mustSucceed: boolean;
}

/**
 * Parts the tenants, in their order, into a canary and waves. Each tenant is in one; who is in none of the steps comes
 * in a last wave of its own. Steps that nobody is left for fall away.
 */
export function cutWaves(tenants: readonly Tenant[], canary: number, steps: readonly WaveStep[]): readonly WavePlan[] {
  const left = new Set(tenants);
  const take = (some: Iterable<Tenant>) => {
    const taken = [...some];
    for (const tenant of taken) left.delete(tenant);
    return taken;
  };
  const first = take(tenants.slice(0, canary));
  const cut = [...steps.map((step) => ({ step, tenants: take(chosen(step, tenants, left)) }))];
  const rest = [...left];
  const waves = [...cut, ...(rest.length > 0 ? [{ step: null, tenants: rest }] : [])].filter(
    (wave) => wave.tenants.length > 0,
  );
  const isWhole = first.length === 0 && waves.length <= 1;
  return [
    ...(first.length > 0 ? [{ name: 'canary', tenants: first, mustSucceed: true }] : []),
    ...waves.map(({ step, tenants: members }, index) => ({
      name: isWhole ? '' : `wave ${index + 1} of ${waves.length}${step === null ? '' : ` (${formatStep(step)})`}`,
      tenants: members,
      mustSucceed: false,
    })),
  ];
}

function chosen(step: WaveStep, all: readonly Tenant[], left: ReadonlySet<Tenant>): readonly Tenant[] {
  if ('labels' in step) {
    return [...left].filter(({ labels }) => step.labels.every((wanted) => meetsRequirement(labels, wanted)));
  }
  const begun = all.length - left.size;
  return [...left].slice(0, Math.max(0, resolveShare(step.share, all.length) - begun));
}

function formatStep(step: WaveStep): string {
  return 'share' in step ? formatShare(step.share) : step.labels.map(formatRequirement).join(',');
}
