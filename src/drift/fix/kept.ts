import type { Difference } from '../compare.ts';
import { type Fact, type FactValue, factKey } from '../fact.ts';
import { foldDifferences } from '../fold-differences.ts';
import { bareName } from './fact-values.ts';
import type { Unsupported } from './fix-scope.ts';
import { namesIn } from './mentions.ts';
import { routineName } from './routines.ts';

export const keyOf = ({ kind, name }: Pick<Difference, 'kind' | 'name'>): string => factKey(kind, name);

/** What stays as it is because something else does: of an extra table that stays, its columns. */
export function findKept(differences: readonly Difference[], refused: ReadonlySet<string>): readonly Difference[] {
  return foldDifferences(differences).flatMap(({ difference, within }) => {
    // The sequence of an identity goes by its column.
    const ofIdentity = ({ kind, name }: Difference) =>
      kind !== difference.kind && name === `sequence ${difference.name}`;
    if (refused.has(keyOf(difference))) return [difference, ...within, ...differences.filter(ofIdentity)];
    return within.filter((each) => refused.has(keyOf(each)));
  });
}

const routines: ReadonlySet<string> = new Set(['function', 'procedure', 'aggregate']);
const types: ReadonlySet<string> = new Set(['enum', 'domain', 'composite type', 'range type']);
const relations: ReadonlySet<string> = new Set(['table', 'view', 'materialized view', 'sequence']);

/** Extra objects that cannot go, for something that stays names them; too many rather than too few. */
export function refuseUsed(
  differences: readonly Difference[],
  users: readonly { readonly fact: Fact; readonly needsDrop: boolean }[],
): readonly Unsupported[] {
  const named = users.map((user) => ({ ...user, names: namesIn(textsOf(user.fact).join(' ')) }));
  return differences.flatMap((difference): readonly Unsupported[] => {
    const { kind, name, change } = difference;
    if (change !== 'extra' || !(routines.has(kind) || types.has(kind) || relations.has(kind))) return [];
    const own = bareName(routines.has(kind) ? routineName(name) : name);
    const [user] = named.filter(({ names, fact }) => names.has(own) && fact.table !== name && fact.name !== name);
    if (user === undefined) return [];
    const why = `${user.fact.kind} ${user.fact.name}, which stays, may use it`;
    return [{ difference, why, needsDrop: user.needsDrop }];
  });
}

/** What of a fact can name other objects; the name of some is what they are made of. */
function textsOf({ kind, name, attributes }: Fact): readonly string[] {
  if (kind === 'comment' || kind === 'privileges' || kind === 'column order') return [];
  return [kind === 'column' ? '' : name, ...Object.values(attributes).flatMap(listTexts)];
}

function listTexts(value: FactValue): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value : [];
}
