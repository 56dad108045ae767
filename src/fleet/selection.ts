import { createHash } from 'node:crypto';
import { UsageError } from '../errors.ts';
import { closest } from './did-you-mean.ts';
import { hasWildcard, matchGlob } from './glob.ts';
import { printable, quoted } from './inventory/names.ts';
import type { DiscoverEntry, Inventory } from './inventory/types.ts';
import { formatRequirement, type LabelRequirement, meetsRequirement } from './labels.ts';
import type { Tenant } from './tenant.ts';

/** The i-th (from 1) of n parts. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** What the selection flags say. Each that is given narrows the answer. */
export interface Selection {
  readonly all: boolean;
  /** `--tenant`: ids or globs, `-` already replaced by what was read. */
  readonly tenants: readonly string[];
  /** `--label`, all of them to be met. */
  readonly labels: readonly LabelRequirement[];
  readonly servers: readonly string[];
  readonly databases: readonly string[];
  readonly except: readonly string[];
  readonly shard: Shard | null;
  /** Ids of an earlier run; null without `--from-run`. */
  readonly fromRun: readonly string[] | null;
  readonly allowEmpty: boolean;
}

/** No flag at all: a start for what the flags add. */
export const noSelection: Selection = {
  all: false,
  tenants: [],
  labels: [],
  servers: [],
  databases: [],
  except: [],
  shard: null,
  fromRun: null,
  allowEmpty: false,
};

/** `--all`, with nothing beside it that takes somebody away. */
export function isEveryone({ all, tenants, labels, servers, databases, except, shard, fromRun }: Selection): boolean {
  const narrowing = [tenants, labels, servers, databases, except];
  return all && narrowing.every((flags) => flags.length === 0) && shard === null && fromRun === null;
}

export interface Selected<T extends Tenant = Tenant> {
  /** In the order they were given. */
  readonly tenants: readonly T[];
  readonly warnings: readonly string[];
}

/** More suggestions than this help nobody, and each costs a look at the whole fleet. */
const maxSuggestions = 10;

/**
 * The tenants that the flags name. No flag never means all: that, a name that matches nobody, and an empty answer are
 * UsageErrors unless `allowEmpty`. `--shard` and `--except` only take away, so alone they select nothing.
 */
export function selectTenants<T extends Tenant>(tenants: readonly T[], selection: Selection): Selected<T> {
  if (!selection.allowEmpty) checkNamesMatch(tenants, selection);
  if (!namesAnything(selection)) return { tenants: [], warnings: [] };
  const isNamed = matcherOf(selection.tenants);
  const isExcepted = matcherOf(selection.except);
  const fromRun = selection.fromRun === null ? null : new Set(selection.fromRun);
  const selected = tenants.filter(
    (tenant) =>
      (selection.tenants.length === 0 || isNamed(tenant.id)) &&
      (fromRun === null || fromRun.has(tenant.id)) &&
      livesWithin(tenant, selection) &&
      selection.labels.every((requirement) => meetsRequirement(tenant.labels, requirement)) &&
      (selection.shard === null || isInShard(tenant.id, selection.shard)) &&
      !isExcepted(tenant.id),
  );
  if (selected.length === 0 && !selection.allowEmpty) {
    throw new UsageError('the selection matches no tenant', {
      hint: 'see who is there with: tenantctl tenants list --all (or allow an empty selection with --allow-empty)',
    });
  }
  return { tenants: selected, warnings: [...exceptWarnings(tenants, selection), ...goneWarnings(tenants, selection)] };
}

function namesAnything(selection: Selection): boolean {
  const { all, tenants, labels, servers, databases, fromRun } = selection;
  return all || fromRun !== null || [tenants, labels, servers, databases].some((flags) => flags.length > 0);
}

function livesWithin(tenant: Tenant, selection: Selection): boolean {
  const { servers, databases } = selection;
  return (
    (servers.length === 0 || servers.includes(tenant.server)) &&
    (databases.length === 0 || databases.includes(tenant.database))
  );
}

/** Exact ids are looked up; only globs are compared one by one. */
function matcherOf(patterns: readonly string[]): (id: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !hasWildcard(pattern)));
  const globs = patterns.filter(hasWildcard);
  return (id) => exact.has(id) || globs.some((glob) => matchGlob(glob, id) !== null);
}

/** Those of the patterns that match none of the names. */
function unmatched(patterns: readonly string[], names: ReadonlySet<string>): readonly string[] {
  return patterns.filter((pattern) => {
    if (!hasWildcard(pattern)) return !names.has(pattern);
    for (const name of names) if (matchGlob(pattern, name) !== null) return false;
    return true;
  });
}

function checkNamesMatch(tenants: readonly Tenant[], selection: Selection): void {
  if (!namesAnything(selection)) {
    throw new UsageError('no tenant is selected', {
      hint: 'select with --tenant <id or glob>, --label, --server, --database or --from-run, or everything with --all',
    });
  }
  const ids = new Set(tenants.map((tenant) => tenant.id));
  const servers = new Set(tenants.map((tenant) => tenant.server));
  const databases = new Set(tenants.map((tenant) => tenant.database));
  const problems = [
    ...unmatched(selection.tenants, ids).map((name, index) => noMatch('--tenant', name, index, ids)),
    ...selection.servers
      .filter((name) => !servers.has(name))
      .map((name, index) => noMatch('--server', name, index, servers)),
    ...selection.databases
      .filter((name) => !databases.has(name))
      .map((name, index) => noMatch('--database', name, index, databases)),
    ...selection.labels.flatMap((requirement) => labelProblem(requirement, tenants)),
  ];
  if (problems.length === 0) return;
  const [first = '', ...others] = problems;
  throw new UsageError(others.length === 0 ? first : `${problems.length} parts of the selection match no tenant`, {
    details: others.length === 0 ? [] : problems,
    hint: 'see who is there with: tenantctl tenants list --all (or let it pass with --allow-empty)',
  });
}

function noMatch(flag: string, name: string, index: number, known: ReadonlySet<string>): string {
  const near = index < maxSuggestions && !hasWildcard(name) ? closest(name, known) : null;
  return `${flag} ${quoted(name)} matches no tenant${near === null ? '' : `: did you mean ${quoted(near)}?`}`;
}

function labelProblem(requirement: LabelRequirement, tenants: readonly Tenant[]): readonly string[] {
  if (tenants.some((tenant) => meetsRequirement(tenant.labels, requirement))) return [];
  return [`--label ${quoted(formatRequirement(requirement))} matches no tenant`];
}

function exceptWarnings(tenants: readonly Tenant[], selection: Selection): readonly string[] {
  const ids = new Set(tenants.map((tenant) => tenant.id));
  return unmatched(selection.except, ids).map((name) => `--except ${quoted(name)} matches no tenant`);
}

function goneWarnings(tenants: readonly Tenant[], selection: Selection): readonly string[] {
  if (selection.fromRun === null) return [];
  const ids = new Set(tenants.map((tenant) => tenant.id));
  const gone = [...new Set(selection.fromRun)].filter((id) => !ids.has(id));
  if (gone.length === 0) return [];
  const some = gone.slice(0, 3).map(printable).join(', ');
  return [`${gone.length} of that run's tenants are no longer in the fleet: ${some}${gone.length > 3 ? ', …' : ''}`];
}

/** Reads `2/8`: the second of eight parts. */
export function parseShard(text: string): Shard {
  const match = /^([1-9]\d{0,4})\/([1-9]\d{0,4})$/.exec(text);
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (match !== null && index <= count) return { index, count };
  throw new UsageError(`shard ${quoted(text)} is not understood`, {
    hint: 'write --shard 1/4 for the first of four parts',
  });
}

/** By hash of the id, so that a tenant stays in its part whoever else comes or goes. */
export function isInShard(id: string, shard: Shard): boolean {
  return createHash('sha256').update(id).digest().readUIntBE(0, 6) % shard.count === shard.index - 1;
}

/** The ids in what `--tenant -` read: one a line. */
export function idsFromText(text: string): readonly string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/**
 * The discover entries that the selection can touch: a server that is down does not matter to a command for another
 * one, and when every id is one of the file's, nothing is looked up at all.
 */
export function sourcesToRead(
  inventory: Pick<Inventory, 'tenants' | 'discover'>,
  selection: Selection,
): readonly DiscoverEntry[] {
  if (!namesAnything(selection)) return [];
  const ids = new Set(inventory.tenants.map((tenant) => tenant.id));
  const names = selection.tenants.length > 0 ? selection.tenants : (selection.fromRun ?? []);
  if (names.length > 0 && names.every((name) => ids.has(name))) return [];
  return inventory.discover.filter((entry) => canTouch(entry, selection));
}

function canTouch(entry: DiscoverEntry, selection: Selection): boolean {
  // The rows of a query may live anywhere.
  if (entry.kind === 'query') return true;
  if (selection.servers.length > 0 && !selection.servers.includes(entry.server)) return false;
  if (selection.databases.length === 0) return true;
  if (entry.kind === 'schemas') return selection.databases.includes(entry.database);
  return selection.databases.some((database) => matchGlob(entry.pattern, database) !== null);
}
