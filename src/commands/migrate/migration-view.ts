import type { Outcome } from '../../fleet/outcome.ts';
import type { ChangeResult } from '../../migrations/change-tenant.ts';
import type { CommandView } from '../../output/result.ts';
import { plural } from '../../words.ts';

/** How tenants look in a table with --verbose; without it they are counted in groups and not listed. */
export const changeView: CommandView<ChangeResult> = {
  columns: ['tenant', 'from', 'to', 'migrations', 'ms'],
  row: (outcome, { verbose }) => {
    if (outcome.status !== 'done' || !verbose) return null;
    const { from, to, applied, reverted, pending } = outcome.value;
    const names = applied ?? reverted ?? pending ?? [];
    return [outcome.tenant.id, from ?? '-', to ?? '-', String(names.length), String(outcome.durationMs)];
  },
};

/** The lines of a run's report: where, who moved from where to where, what happened to the shared schemas. */
export function describeChange(
  environment: string,
  isMoved: (outcome: Outcome<ChangeResult>) => boolean,
  outcomes: readonly Outcome<ChangeResult>[],
  sharedOutcomes: readonly Outcome<ChangeResult>[] = [],
): string[] {
  const done = outcomes.filter(({ status }) => status === 'done');
  const moved = done.filter(isMoved);
  const still = done.length - moved.length;
  const lines = [
    ...sharedOutcomes.map(describeShared),
    ...describeMoves(moved),
    ...(still === 0 ? [] : [`${countTenants(still)} with nothing to do`]),
  ];
  return lines.map((line, index) => (index === 0 ? `environment ${environment}: ${line}` : line));
}

function describeMoves(done: readonly Outcome<ChangeResult>[]): string[] {
  const moves = new Map<string, number>();
  for (const outcome of done) {
    if (outcome.status !== 'done') continue;
    const { from, to } = outcome.value;
    const move =
      from === to ? `already at ${to ?? 'no history'}` : `from ${from ?? 'no history'} to ${to ?? 'no history'}`;
    moves.set(move, (moves.get(move) ?? 0) + 1);
  }
  return [...moves].sort(([, a], [, b]) => b - a).map(([move, count]) => `${countTenants(count)} ${move}`);
}

/** How a shared schema fared, in one line. */
export function describeShared({ tenant, ...outcome }: Outcome<ChangeResult>): string {
  const place = `shared schema ${tenant.schema} in ${tenant.server}/${tenant.database}`;
  if (outcome.status === 'done') {
    const count = outcome.value.applied?.length ?? 0;
    return `${place}: ${count === 0 ? 'nothing to do' : `migrated to ${outcome.value.to}`}`;
  }
  const error = 'error' in outcome ? outcome.error : undefined;
  return `${place}: ${outcome.status}${error === undefined ? '' : `: ${error.message}`}`;
}

export function countTenants(count: number): string {
  return plural(count, 'tenant');
}
