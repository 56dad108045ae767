import type { MigrationFolder } from './folder.ts';
import type { Standing } from './plan.ts';

/** How many tenants stand where: `812 at 0142, 3 at 0139, 1 ahead, 2 without history`. */
export interface Histogram {
  /** Newest version first. */
  readonly versions: readonly { readonly version: string; readonly tenants: number; readonly pending: number }[];
  /** With migrations pending, wherever they stand. */
  readonly behind: number;
  readonly ahead: number;
  readonly withoutHistory: number;
  readonly edited: number;
  readonly outOfOrder: number;
}

export function countStandings(standings: readonly Standing[], folder: MigrationFolder): Histogram {
  const versions = new Map<string, { version: string; tenants: number; pending: number }>();
  let ahead = 0;
  let withoutHistory = 0;
  for (const standing of standings) {
    if (standing.ahead.length > 0) ahead += 1;
    else if (standing.version === null) withoutHistory += 1;
    else {
      const key = `${standing.version} ${standing.pending.length}`;
      const entry = versions.get(key) ?? { version: standing.version, tenants: 0, pending: standing.pending.length };
      entry.tenants += 1;
      versions.set(key, entry);
    }
  }
  const position = (version: string) => folder.migrations.findIndex(({ name }) => name === version);
  return {
    versions: [...versions.values()].sort((a, b) => position(b.version) - position(a.version) || a.pending - b.pending),
    behind: standings.filter(({ pending }) => pending.length > 0).length,
    ahead,
    withoutHistory,
    edited: standings.filter(({ edited }) => edited.length > 0).length,
    outOfOrder: standings.filter(({ outOfOrder }) => outOfOrder.length > 0).length,
  };
}

/** The histogram in one line. */
export function describeHistogram(histogram: Histogram): string {
  // Those that lack an older one stand at the same version; that some do is a line of its own.
  const counts = new Map<string, number>();
  for (const { version, tenants } of histogram.versions) counts.set(version, (counts.get(version) ?? 0) + tenants);
  const parts = [...counts].map(([version, tenants]) => `${tenants} at ${version}`);
  if (histogram.ahead > 0) parts.push(`${histogram.ahead} ahead`);
  if (histogram.withoutHistory > 0) parts.push(`${histogram.withoutHistory} without history`);
  return parts.length === 0 ? 'no tenants' : parts.join(', ');
}
