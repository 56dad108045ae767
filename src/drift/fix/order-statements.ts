import { namesIn } from './mentions.ts';
import { type FixPhase, type FixStatement, phases } from './statement.ts';

/** Among these the names decide as well: a function with a table's row type, a view of a view. */
const making: ReadonlySet<FixPhase> = new Set([
  'types',
  'sequences',
  'routines',
  'tables',
  'columns',
  'alter columns',
  'views',
]);

const rank = new Map(phases.map((phase, index) => [phase, index]));

/** Puts statements in an order in which they can run: by phase, and by who names whom. */
export function orderStatements(statements: readonly FixStatement[]): readonly FixStatement[] {
  const byPhase = statements.toSorted((a, b) => (rank.get(a.phase) ?? 0) - (rank.get(b.phase) ?? 0));
  const makers = indexBy(byPhase, ({ makes }) => makes);
  const namers = indexNamers(byPhase.filter(({ drops }) => drops !== null));
  return sortByNeeds(byPhase, (each) => {
    const { phase, drops } = each;
    if (drops !== null) return (namers.get(drops) ?? []).filter((other) => other.phase === phase);
    if (!making.has(phase)) return [];
    const named = [...namesIn(each.names ?? each.text)].flatMap((name) => makers.get(name) ?? []);
    return named.filter((other) => making.has(other.phase));
  });
}

function indexBy(
  statements: readonly FixStatement[],
  nameOf: (each: FixStatement) => string | null,
): ReadonlyMap<string, readonly FixStatement[]> {
  const index = new Map<string, FixStatement[]>();
  for (const each of statements) {
    const name = nameOf(each);
    if (name !== null) index.set(name, [...(index.get(name) ?? []), each]);
  }
  return index;
}

function indexNamers(drops: readonly FixStatement[]): ReadonlyMap<string, readonly FixStatement[]> {
  const index = new Map<string, FixStatement[]>();
  for (const each of drops) {
    for (const name of namesIn(each.names ?? '')) index.set(name, [...(index.get(name) ?? []), each]);
  }
  return index;
}

/** Each after those that it needs; a circle is left as it stands. */
function sortByNeeds(
  statements: readonly FixStatement[],
  needsOf: (each: FixStatement) => readonly FixStatement[],
): readonly FixStatement[] {
  const sorted: FixStatement[] = [];
  const seen = new Set<FixStatement>();
  const visit = (each: FixStatement) => {
    if (seen.has(each)) return;
    seen.add(each);
    for (const needed of needsOf(each)) visit(needed);
    sorted.push(each);
  };
  for (const each of statements) visit(each);
  return sorted;
}
