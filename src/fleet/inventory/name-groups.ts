import { hasWildcard, matchGlob } from '../glob.ts';
import { identifierProblem } from './names.ts';

/** Names that one pattern finds. */
export interface NameGroup {
  /** `tenant_*`. */
  readonly pattern: string;
  readonly names: readonly string[];
}

export interface GroupedNames {
  /** Largest first. */
  readonly groups: readonly NameGroup[];
  /** Names that look like no other. */
  readonly rest: readonly string[];
}

/** Fewer names that begin alike are a coincidence, unless the beginning itself says what they are. */
const leastNames = 3;
/** A longer beginning is taken when this share of the names has it: `app_tenant_*` and not `app_*` for one `app_config`. */
const narrowingShare = 0.8;

const tenantWord = /(?:^|[_.-])(?:tenant|customer|client|account|company|organi[sz]ation|org|workspace)s?[_.-]*$/i;

/** Finds the patterns that a person would write for these names: beginnings that end at `_`, `-`, `.` or before a digit. */
export function groupNames(names: readonly string[]): GroupedNames {
  const groups = [...byPrefix(names, 0)]
    .map(([prefix, members]) => narrow(prefix, members))
    .filter(isWorthPattern)
    .map(({ prefix, members }) => ({ pattern: `${prefix}*`, names: members }))
    // A pattern that finds others too would make tenants of them.
    .filter(({ pattern, names: members }) => namesMatching(pattern, names).length === members.length)
    .sort((a, b) => b.names.length - a.names.length);
  const grouped = new Set(groups.flatMap((group) => group.names));
  return { groups, rest: names.filter((name) => !grouped.has(name)) };
}

export function namesMatching(pattern: string, names: readonly string[]): readonly string[] {
  return names.filter((name) => matchGlob(pattern, name) !== null);
}

interface Prefixed {
  readonly prefix: string;
  readonly members: readonly string[];
}

function narrow(prefix: string, members: readonly string[]): Prefixed {
  if (tenantWord.test(prefix)) return { prefix, members };
  const next = [...byPrefix(members, prefix.length)].find(
    ([, longer]) => longer.length >= leastNames && longer.length >= members.length * narrowingShare,
  );
  return next === undefined ? { prefix, members } : narrow(...next);
}

function isWorthPattern({ prefix, members }: Prefixed): boolean {
  if (hasWildcard(prefix) || identifierProblem(prefix) !== null) return false;
  return members.length >= leastNames || tenantWord.test(prefix);
}

/** Names by their beginning up to the first boundary after `from`; a name with no text behind one is left out. */
function byPrefix(names: readonly string[], from: number): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const name of names) {
    const end = boundaryAfter(name, from);
    if (end === null) continue;
    const members = found.get(name.slice(0, end));
    if (members === undefined) found.set(name.slice(0, end), [name]);
    else members.push(name);
  }
  return found;
}

function boundaryAfter(name: string, from: number): number | null {
  const boundary = /[_.-]+|(?<=\p{L})(?=\p{N})/gu;
  for (const match of name.matchAll(boundary)) {
    const end = match.index + match[0].length;
    if (end > from && end < name.length) return end;
  }
  return null;
}
