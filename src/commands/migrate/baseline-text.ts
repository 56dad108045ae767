import type { Tenant } from '../../fleet/tenant.ts';
import type { BaselineResult, Comparison } from '../../migrations/baseline.ts';
import type { Migration } from '../../migrations/folder.ts';
import { describeDifferences } from '../../migrations/structure-differences.ts';
import { plural } from '../../words.ts';
import { countTenants } from './migration-view.ts';

/** What was found before anything is done, in groups of tenants that are alike. */
export interface BaselineFindings {
  readonly environment: string;
  readonly migrations: readonly Migration[];
  readonly comparisons: ReadonlyMap<Tenant, Comparison>;
  /** With exactly this history. */
  readonly already: number;
  /** With another one. */
  readonly withHistory: number;
  readonly acceptDifferences: boolean;
}

/** More groups than this are nobody's to read: a report in json has them all. */
const maxGroups = 10;

/** For the question before anything is written: all groups, also those that will fail. */
export function describeBaseline(findings: BaselineFindings): string[] {
  const { acceptDifferences, comparisons } = findings;
  const different = countBy([...comparisons.values()], ({ differences }) => {
    if (differences === undefined) return null;
    return `${acceptDifferences ? 'accepted' : 'not recorded'}: ${describeDifferences(differences)}`;
  });
  return [...describeReported({ ...findings, acceptDifferences: false }), ...different];
}

/** For the report, where those that differ are among the failures if nobody has accepted them. */
export function describeReported(findings: BaselineFindings): string[] {
  const { environment, migrations, comparisons, already, withHistory, acceptDifferences } = findings;
  if (acceptDifferences) return describeBaseline(findings);
  const all = [...comparisons.values()];
  return [
    `environment ${environment}: baseline at ${migrations.at(-1)?.name}, ${plural(migrations.length, 'migration')}`,
    ...countBy(all, ({ comparison }) => (comparison === 'equal' ? 'as the migrations build it' : null)),
    ...countBy(all, ({ because }) => (because === undefined ? null : `not compared: ${because}`)),
    ...(already === 0 ? [] : [`${countTenants(already)} with exactly this history already`]),
    ...(withHistory === 0 ? [] : [`${countTenants(withHistory)} with another history, left alone`]),
    ...describeTools(all),
  ];
}

/** `992 tenants as the migrations build it`, largest group first. */
function countBy(comparisons: readonly Comparison[], wordsFor: (comparison: Comparison) => string | null): string[] {
  const counts = new Map<string, number>();
  for (const comparison of comparisons) {
    const words = wordsFor(comparison);
    if (words !== null) counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  const lines = [...counts].sort(([, a], [, b]) => b - a).map(([words, count]) => `${countTenants(count)} ${words}`);
  const more = lines.length - maxGroups;
  return more > 0 ? [...lines.slice(0, maxGroups), `and ${plural(more, 'other kind')} of it`] : lines;
}

function describeTools(comparisons: readonly Comparison[]): string[] {
  const counts = new Map<string, Map<string, number>>();
  for (const { tool, lastVersion } of comparisons.flatMap(({ tools }) => tools)) {
    const versions = counts.get(tool) ?? new Map<string, number>();
    const version = lastVersion === null ? 'no version known' : `at ${lastVersion}`;
    counts.set(tool, versions.set(version, (versions.get(version) ?? 0) + 1));
  }
  return [...counts].map(([tool, versions]) => {
    const parts = [...versions]
      .sort(([, a], [, b]) => b - a)
      .map(([version, count]) => `${countTenants(count)} ${version}`);
    const shown = parts.slice(0, 5);
    const rest = parts.length > shown.length ? ` and ${parts.length - shown.length} more versions` : '';
    return `${tool} was here before: ${shown.join(', ')}${rest}`;
  });
}

/** The word for a tenant's line in a table. */
export function describeComparison({ comparison, differences, because }: BaselineResult): string {
  if (comparison === undefined) return 'recorded already';
  if (comparison === 'equal') return 'equal';
  return differences === undefined ? `not compared: ${because}` : describeDifferences(differences);
}
