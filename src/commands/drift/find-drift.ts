import path from 'node:path';
import type { Context } from '../../context.ts';
import { type AcceptedDifference, acceptDifferences, acceptsAny } from '../../drift/accepted.ts';
import type { Difference } from '../../drift/compare.ts';
import type { TenantShape } from '../../drift/fact.ts';
import { groupByShape, type ScannedTenant } from '../../drift/group.ts';
import type { Reference } from '../../drift/reference.ts';
import { type AcceptedEntry, coversTenant, isOver } from '../../fleet/accepted-drift.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { listNames, plural } from '../../words.ts';
import type { Fleet } from '../open-fleet.ts';
import { type ComparedGroup, compareGroups, type UncomparedGroup } from './compare-groups.ts';
import type { ComparisonOptions } from './drift-options.ts';
import { makeReference } from './open-reference.ts';
import { scanFleet } from './scan-fleet.ts';
import { scanVoters } from './scan-voters.ts';

/** Tenants that look the same, are held to the same, and of whom the same is accepted: one answer for all of them. */
export interface DriftGroup {
  /** From 1, the largest first. */
  readonly number: number;
  readonly major: number;
  /** The newest applied migration. */
  readonly version: string | null;
  readonly shape: string;
  /** At least one, in the order of selection. */
  readonly members: readonly ScannedTenant[];
  /** What nobody accepted. */
  readonly differences: readonly Difference[];
  readonly accepted: readonly AcceptedDifference[];
  /** Keys of facts that are equal only because the tenant's own names were put aside. */
  readonly templated: readonly string[];
  /** Given when what they are held to could be something else with the same right. */
  readonly doubt?: string;
}

/** An entry of the file of accepted differences that is not what it was. */
export interface StaleEntry {
  readonly entry: AcceptedEntry;
  /** `over`: its last day is gone; `unused`: those it covers differ no more in this. */
  readonly state: 'over' | 'unused';
  /** Those that it would have covered, or covers. */
  readonly tenants: readonly string[];
}

export interface FoundDrift {
  readonly reference: Reference;
  /** What a reader of the answer should know of how it came about, a line each. */
  readonly notes: readonly string[];
  readonly groups: readonly DriftGroup[];
  readonly staleEntries: readonly StaleEntry[];
  /** Of all that were scanned: `done` with the shape, or why there is no answer, those that could not be compared included. */
  readonly outcomes: readonly Outcome<TenantShape>[];
  /** Those of them that are alone where they are, with the words for it: they are `done`, and in no group. */
  readonly alone: ReadonlyMap<Tenant, string>;
}

/** Scans tenants, and compares one of each shape with what it is held to, in full. */
export async function findDrift(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  options: ComparisonOptions,
  scan = scanFleet,
): Promise<FoundDrift> {
  const entries = await readAccepted(context, fleet, options);
  const { against } = options;
  const { outcomes, scanned, voters, notes } = await scanVoters(context, fleet, tenants, { against, scan });
  const reference = await makeReference(context, fleet, { against, scanned, voters });
  const compared = await compareGroups(context, fleet, groupByShape(scanned), reference);
  const known = compared.filter((each) => 'differences' in each);
  const open = compared.filter((each) => 'noAnswer' in each);
  // A run in which nobody was compared must not look like one without drift.
  const alone = known.length === 0 ? [] : open.filter((each) => each.alone !== undefined);
  const unanswered = byTenant(open.filter((each) => !alone.includes(each)));
  return {
    reference,
    notes: [...notes, ...reference.notes, ...describeAlone(alone)],
    alone: new Map([...byTenant(alone)].map(([tenant, { alone: why = '' }]) => [tenant, why])),
    groups: numberGroups(known.flatMap((each) => splitByAccepted(each, entries, context.now()))),
    staleEntries: findStale(known, entries, context.now()),
    outcomes: outcomes.map((outcome) => {
      const { tenant, durationMs } = outcome;
      const open = unanswered.get(tenant);
      return open === undefined ? outcome : { tenant, durationMs, ...open.noAnswer };
    }),
  };
}

function byTenant(groups: readonly UncomparedGroup[]): ReadonlyMap<Tenant, UncomparedGroup> {
  return new Map(groups.flatMap((each) => each.group.members.map(({ tenant }) => [tenant, each] as const)));
}

function describeAlone(groups: readonly UncomparedGroup[]): readonly string[] {
  const names = groups.flatMap(({ group: { members, version } }) =>
    members.map(({ tenant }) => `${tenant.id} (${version ?? 'no migration'})`),
  );
  if (names.length === 0) return [];
  const own = names.length === 1 ? 'alone at its version' : 'alone at their version';
  return [`${plural(names.length, 'tenant')} could not be compared, ${own}: ${listNames(names)}`];
}

async function readAccepted(
  context: Context,
  { inventory }: Fleet,
  { accepted }: ComparisonOptions,
): Promise<readonly AcceptedEntry[]> {
  const file = accepted === null ? inventory.drift.accepted : path.resolve(context.cwd, accepted);
  if (file === null) return [];
  // Loaded here: yaml and zod take longer to load than a small fleet takes to scan.
  const { readAcceptedDrift } = await import('../../fleet/read-accepted-drift.ts');
  return readAcceptedDrift(file, accepted ?? (path.relative(context.cwd, file) || file));
}

/** Tenants of one shape for whom the same entries count. */
function splitByAccepted(
  { group, differences, templated, doubt }: ComparedGroup,
  entries: readonly AcceptedEntry[],
  now: Date,
): readonly Omit<DriftGroup, 'number'>[] {
  const useful = entries.filter((entry) => !isOver(entry, now) && acceptsAny(entry, differences));
  const { major, version, shape } = group;
  const parts = Map.groupBy(group.members, ({ tenant }) =>
    useful.flatMap((entry, index) => (coversTenant(entry, tenant) ? [index] : [])).join(),
  );
  return [...parts].map(([covering, members]) => {
    const own = useful.filter((_, index) => covering.split(',').includes(String(index)));
    const { open, accepted } = acceptDifferences(differences, own);
    const answer = { major, version, shape, members, differences: open, accepted, templated };
    return doubt === undefined ? answer : { ...answer, doubt };
  });
}

function numberGroups(groups: readonly Omit<DriftGroup, 'number'>[]): readonly DriftGroup[] {
  const sorted = groups.toSorted(
    (a, b) => b.members.length - a.members.length || a.differences.length - b.differences.length,
  );
  return sorted.map((group, index) => ({ number: index + 1, ...group }));
}

/** Entries that are over, and those about selected tenants that let nothing pass any more. */
function findStale(
  compared: readonly ComparedGroup[],
  entries: readonly AcceptedEntry[],
  now: Date,
): readonly StaleEntry[] {
  return entries.flatMap((entry): readonly StaleEntry[] => {
    const idsOf = (groups: typeof compared) =>
      groups.flatMap(({ group }) => group.members.map(({ tenant }) => tenant)).filter((it) => coversTenant(entry, it));
    const concerned = idsOf(compared.filter(({ differences }) => acceptsAny(entry, differences)));
    const ids = (tenants: readonly Tenant[]) => tenants.map(({ id }) => id);
    if (isOver(entry, now)) return [{ entry, state: 'over', tenants: ids(concerned) }];
    const covered = idsOf(compared);
    return concerned.length > 0 || covered.length === 0 ? [] : [{ entry, state: 'unused', tenants: ids(covered) }];
  });
}
