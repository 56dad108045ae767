import type { AcceptedEntry } from '../fleet/accepted-drift.ts';
import { matchGlob } from '../fleet/glob.ts';
import { type Difference, withAttributes } from './compare.ts';
import { foldDifferences } from './fold-differences.ts';

/** A difference, or the part of one, that an entry of the file lets pass. */
export interface AcceptedDifference {
  readonly difference: Difference;
  readonly entry: AcceptedEntry;
}

export interface JudgedDifferences {
  /** What nobody accepted. */
  readonly open: readonly Difference[];
  readonly accepted: readonly AcceptedDifference[];
}

/** Takes out of one tenant's differences what these entries accept; give only entries that are about it and count. */
export function acceptDifferences(
  differences: readonly Difference[],
  entries: readonly AcceptedEntry[],
): JudgedDifferences {
  const open: Difference[] = [];
  const accepted: AcceptedDifference[] = [];
  for (const { difference, within } of foldDifferences(differences)) {
    const rest = takeAccepted(difference, entries, accepted);
    if (rest !== null) open.push(rest);
    const entry = accepted.at(-1)?.entry;
    for (const each of within) {
      // Whoever accepts a table that is extra accepts its columns.
      if (rest === null && entry !== undefined) accepted.push({ difference: each, entry });
      else open.push(...[takeAccepted(each, entries, accepted)].filter((part) => part !== null));
    }
  }
  return { open, accepted };
}

/** Whether the entry would let pass at least a part of one of the differences. */
export function acceptsAny(entry: AcceptedEntry, differences: readonly Difference[]): boolean {
  return differences.some((difference) => takeAccepted(difference, [entry], []) !== difference);
}

/** What is left of the difference; what is taken goes to `accepted`. Null: nothing is left. */
function takeAccepted(
  difference: Difference,
  entries: readonly AcceptedEntry[],
  accepted: AcceptedDifference[],
): Difference | null {
  let rest: Difference | null = difference;
  for (const entry of entries) {
    if (rest === null) break;
    if (!matches(entry.kind, rest.kind) || !matches(entry.name, rest.name)) continue;
    const { attribute } = entry;
    if (attribute === null) {
      accepted.push({ difference: rest, entry });
      return null;
    }
    const taken = withAttributes(
      rest,
      rest.attributes.filter(({ name }) => matches(attribute, name)),
    );
    if (taken === null) continue;
    accepted.push({ difference: taken, entry });
    rest = withAttributes(
      rest,
      rest.attributes.filter(({ name }) => !matches(attribute, name)),
    );
  }
  return rest;
}

function matches(pattern: string, text: string): boolean {
  return matchGlob(pattern, text) !== null;
}
