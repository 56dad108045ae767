import type { WaveStep } from '../cut-waves.ts';
import { parseLabelSelector } from '../labels.ts';
import { parseShare, type Share } from '../share.ts';

/** How a change goes through the fleet, when the flags say nothing else. */
export interface Rollout {
  readonly canary: Share | null;
  readonly waves: readonly WaveStep[];
  /** Milliseconds between waves. */
  readonly soakMs: number;
  readonly healthSql: string | null;
  readonly healthCommand: string | null;
  readonly maxFailures: Share | null;
}

/** Reads one wave: `10%`, `25`, or a label selector (`tier=free`). Throws a UsageError for a selector that is none. */
export function parseWave(text: string): WaveStep {
  const share = parseShare(text.trim());
  if (share !== null) return { share };
  return { labels: parseLabelSelector(text) };
}
