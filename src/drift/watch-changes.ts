import { createHash } from 'node:crypto';
import { classesOf, type Difference, driftClasses } from './compare.ts';
import { describeDifference, describeWithin } from './describe-difference.ts';
import { type FoldedDifference, foldDifferences } from './fold-differences.ts';
import type { KnownDifference } from './watch-state.ts';

/** What became of one tenant's drift since it was last looked at. */
export interface DriftChanges {
  readonly fresh: readonly KnownDifference[];
  readonly ended: readonly KnownDifference[];
  /** All that there is now, with the time at which each was first seen. */
  readonly standing: readonly KnownDifference[];
}

/** Compares a tenant's differences with those that were known of it. */
export function findChanges(
  known: readonly KnownDifference[],
  differences: readonly Difference[],
  now: Date,
): DriftChanges {
  const before = new Map(known.map((each) => [each.key, each]));
  const standing = foldDifferences(differences).map((folded) => {
    const found = describe(folded, now);
    return before.get(found.key) ?? found;
  });
  const keys = new Set(standing.map(({ key }) => key));
  return {
    fresh: standing.filter(({ key }) => !before.has(key)),
    ended: known.filter(({ key }) => !keys.has(key)),
    standing,
  };
}

function describe(folded: FoldedDifference, now: Date): KnownDifference {
  const { difference, within } = folded;
  const all = [difference, ...within];
  const key = createHash('sha256')
    .update(JSON.stringify(all.map(contentOf)))
    .digest('hex')
    .slice(0, 24);
  const { kind, name } = difference;
  return {
    key,
    classes: driftClasses.filter((each) => all.some((one) => classesOf(one).has(each))),
    kind,
    name,
    text: [describeDifference(difference), describeWithin(folded)].filter((part) => part !== '').join(' '),
    since: now.toISOString(),
  };
}

/** The definitions belong to it: a function that drifts further is told again. */
function contentOf({ kind, name, change, attributes, actual, reference }: Difference): unknown {
  const content = change === 'changed' ? attributes.map((each) => [each.name, each.actual]) : (actual ?? reference);
  return [kind, name, change, content];
}
