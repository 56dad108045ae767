import type { Counted } from './counters.sql.ts';

/** What was counted of a tenant on its server and on a standby of it: reads there are use like any other. */
export function withReplica(primary: Counted, standby: Counted): Counted {
  const scans = [primary.lastScan, standby.lastScan].filter((at) => at !== null);
  return {
    ...primary,
    counts: primary.counts.map((count, index) => count + (standby.counts[index] ?? 0)),
    mark: `${primary.mark} and ${standby.mark}`,
    // Another sum: one of the two was started anew, or another standby answers.
    started: primary.started + standby.started,
    lastScan: scans.length === 0 ? null : Math.max(...scans),
    isPresent: primary.isPresent || standby.isPresent,
  };
}
