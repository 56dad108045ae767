import type { Difference } from './compare.ts';

type Placed = Pick<Difference, 'kind' | 'name' | 'table' | 'change'>;

/** A difference, and what of others is said with it: a table that is missing takes its columns and indexes along. */
export interface FoldedDifference<D extends Placed = Difference> {
  readonly difference: D;
  readonly within: readonly D[];
}

/** Kinds of things that others belong to. */
const relations: ReadonlySet<string> = new Set([
  'table',
  'view',
  'materialized view',
  'foreign table',
  'sequence',
  'composite type',
]);

/** What is kept apart from the object that it is about, and named for it: `table users`. */
export const aspects: ReadonlySet<string> = new Set(['privileges', 'comment', 'security label']);

/** Types of every kind have their privileges as such. */
const types: ReadonlySet<string> = new Set(['enum', 'domain', 'range type', 'composite type']);

/** Puts what belongs to an object that is missing (or extra) as a whole to that object; the order stays. */
export function foldDifferences<D extends Placed>(differences: readonly D[]): readonly FoldedDifference<D>[] {
  const owners = new Map(
    differences.filter(isOwner).flatMap((each) => keysOf(each).map((key) => [key, each] as const)),
  );
  const ownerOf = (difference: D) => {
    if (difference.change === 'changed') return undefined;
    const { change, kind, name, table } = difference;
    const about = aspects.has(kind) ? owners.get(`${change} ${name}`) : undefined;
    const owner = owners.get(`${change} relation ${table ?? ''}`) ?? about;
    return owner === difference ? undefined : owner;
  };
  const within = Map.groupBy(differences, ownerOf);
  return (within.get(undefined) ?? []).map((difference) => ({ difference, within: within.get(difference) ?? [] }));
}

function isOwner({ kind, change }: Placed): boolean {
  return change !== 'changed' && !aspects.has(kind);
}

function keysOf({ kind, name, change }: Placed): readonly string[] {
  return [
    `${change} ${types.has(kind) ? 'type' : kind} ${name}`,
    ...(relations.has(kind) ? [`${change} relation ${name}`] : []),
  ];
}
