import { describe, expect, it } from 'vitest';
import { cutWaves, type WaveStep } from '../../src/fleet/cut-waves.ts';
import { parseWave } from '../../src/fleet/inventory/rollout.ts';
import type { Tenant } from '../../src/fleet/tenant.ts';
import { makeRandom, testSeeds } from '../support/random.ts';
import { makeTenants } from './run-harness.ts';

const steps = (...texts: string[]): readonly WaveStep[] => texts.map(parseWave);

/** `canary t0 t1`, a line a wave. */
function shape(tenants: readonly Tenant[], canary: number, waves: readonly WaveStep[]): string[] {
  return cutWaves(tenants, canary, waves).map(({ name, tenants: members }) =>
    [name, ...members.map(({ id }) => id)].join(' ').trim(),
  );
}

describe('cutWaves', () => {
  const ten = makeTenants(10);

  it('leaves a run without canary and waves in one piece, without a name', () => {
    expect(shape(makeTenants(3), 0, [])).toEqual(['t0 t1 t2']);
    expect(shape(makeTenants(3), 0, steps('100%'))).toEqual(['t0 t1 t2']);
    expect(shape([], 0, [])).toEqual([]);
  });

  it('counts the waves before, and the canary, into a share', () => {
    expect(shape(ten, 1, steps('20%', '50%', '100%'))).toEqual([
      'canary t0',
      'wave 1 of 3 (20%) t1',
      'wave 2 of 3 (50%) t2 t3 t4',
      'wave 3 of 3 (100%) t5 t6 t7 t8 t9',
    ]);
  });

  it('adds a last wave for those that no step reaches, and leaves out steps that nobody is left for', () => {
    expect(shape(ten, 3, steps('20%', '5'))).toEqual([
      'canary t0 t1 t2',
      'wave 1 of 2 (5) t3 t4',
      'wave 2 of 2 t5 t6 t7 t8 t9',
    ]);
  });

  it('goes by labels, those of earlier waves left out', () => {
    const tiers = ['free', 'gold', 'free', 'trial', 'gold', 'free'];
    const tenants = makeTenants(6).map((tenant, index) => ({ ...tenant, labels: { tier: tiers[index] ?? '' } }));
    expect(shape(tenants, 1, steps('tier=free', 'tier!=gold'))).toEqual([
      'canary t0',
      'wave 1 of 3 (tier=free) t2 t5',
      'wave 2 of 3 (tier!=gold) t3',
      'wave 3 of 3 t1 t4',
    ]);
  });

  it('has only the canary as a wave that must succeed', () => {
    expect(cutWaves(ten, 2, steps('50%')).map(({ mustSucceed }) => mustSucceed)).toEqual([true, false, false]);
  });

  it.each(testSeeds(20))('puts each tenant into one wave (seed %i)', (seed) => {
    const random = makeRandom(seed);
    const tenants = makeTenants(random.between(0, 40));
    const waves = Array.from({ length: random.between(0, 4) }, () =>
      parseWave(random.pick(['10%', '33.3%', '50%', '100%', '3', '7', 'tier=free', '0%'])),
    );
    const members = cutWaves(tenants, random.between(0, 5), waves).flatMap((wave) => wave.tenants);
    expect(members.toSorted((a, b) => tenants.indexOf(a) - tenants.indexOf(b))).toEqual(tenants);
  });
});
