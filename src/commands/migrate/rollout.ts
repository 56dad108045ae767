import { setTimeout as pause } from 'node:timers/promises';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { cutWaves, type WavePlan } from '../../fleet/cut-waves.ts';
import { formatDuration } from '../../fleet/duration.ts';
import { parseWave, type Rollout } from '../../fleet/inventory/rollout.ts';
import type { AfterWave, EndedWave } from '../../fleet/run.ts';
import { resolveShare } from '../../fleet/share.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { RawOptions } from '../command.ts';
import type { Fleet } from '../open-fleet.ts';
import { readDuration, readShare, readText } from '../read-options.ts';
import { checkHealth } from './health.ts';

/** What the flags say of a rollout; what they leave out, the inventory says. */
export function readRolloutFlags(raw: RawOptions): Partial<Rollout> {
  const waves = readText(raw, 'waves');
  const flags = {
    canary: readShare(raw, 'canary'),
    waves: waves === null ? null : waves.split(',').map(readWave),
    soakMs: readDuration(raw, 'soak'),
    healthSql: readText(raw, 'healthSql'),
    healthCommand: readText(raw, 'healthCommand'),
    maxFailures: readShare(raw, 'maxFailures'),
  };
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== null));
}

/** Labels may hold the comma that parts the waves, so a flag takes shares only. */
function readWave(text: string) {
  try {
    const wave = parseWave(text);
    if ('share' in wave) return wave;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
  throw new UsageError(`--waves takes shares, not ${JSON.stringify(text)}`, {
    hint: 'like 10%,50%,100%; waves by labels stand in the inventory: rollout: { waves: [tier=free, 100%] }',
  });
}

export function cutRollout(tenants: readonly Tenant[], { canary, waves }: Rollout): readonly WavePlan[] {
  return cutWaves(tenants, canary === null ? 0 : resolveShare(canary, tenants.length), waves);
}

/** Between two waves: the soak, then the health checks on all that were migrated so far. */
export function afterWave(context: Context, fleet: Fleet, rollout: Rollout): AfterWave {
  return async (wave) => {
    await soak(context, wave, rollout.soakMs);
    return context.interrupts.stop.aborted ? null : askHealth(context, fleet, rollout, wave);
  };
}

/** Why the run must not go on, or null; nothing is asked when no check is set up, or nobody was migrated. */
export async function askHealth(
  context: Context,
  fleet: Fleet,
  { healthSql, healthCommand }: Rollout,
  { done, number, count }: EndedWave,
): Promise<string | null> {
  if ((healthSql === null && healthCommand === null) || done.length === 0) return null;
  const facts = { run: fleet.run, wave: number, waves: count };
  return checkHealth(context, fleet, done, { sql: healthSql, command: healthCommand }, facts);
}

/** Ctrl-C ends it. */
async function soak(context: Context, wave: EndedWave, soakMs: number): Promise<void> {
  if (soakMs === 0) return;
  const until = new Date(context.now().getTime() + soakMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const message = `${wave.name} is done: waiting ${formatDuration(soakMs)}, until ${until}`;
  context.emit({ type: 'notice', level: 'info', message });
  await pause(soakMs, undefined, { signal: context.interrupts.stop }).catch(() => {});
}
