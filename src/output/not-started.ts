import type { Outcome } from '../fleet/outcome.ts';

/** Tenants that were never started, by what kept them from it (empty: not said). Hibernated ones are none of them. */
export function groupNotStarted(outcomes: readonly Outcome[]): ReadonlyMap<string, readonly Outcome[]> {
  const byReason = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    if (outcome.status !== 'skipped' || outcome.reason !== 'not-started') continue;
    const reason = outcome.because ?? '';
    const group = byReason.get(reason);
    if (group === undefined) byReason.set(reason, [outcome]);
    else group.push(outcome);
  }
  return byReason;
}
