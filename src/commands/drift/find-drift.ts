import path from 'node:path';
import type { Context } from '../../context.ts';
import { type AcceptedDifference, acceptDifferences, acceptsAny } from '../../drift/accepted.ts';
import { compareFacts, type Difference } from '../../drift/compare.ts';
import type { FactSet, TenantShape } from '../../drift/fact.ts';
import { groupByShape, type ScannedTenant, type ShapeGroup } from '../../drift/group.ts';
import type { Held, NotHeld, Reference } from '../../drift/reference.ts';
import { type Failure, RefusedError, UsageError } from '../../errors.ts';
import { type AcceptedEntry, coversTenant, isOver } from '../../fleet/accepted-drift.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { toFailure } from '../../postgres/failure.ts';
import type { Fleet } from '../open-fleet.ts';
import type { ComparisonOptions } from './drift-options.ts';
import { makeReference } from './open-reference.ts';
import { readTenantFacts, scanFleet } from './scan-fleet.ts';

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
  readonly groups: readonly DriftGroup[];
  readonly staleEntries: readonly StaleEntry[];
  /** Of all that were scanned: `done` with the shape, or why there is no answer, those that could not be compared included. */
  readonly outcomes: readonly Outcome<TenantShape>[];
}

/** Groups whose facts are read side by side. */
const readingAtOnce = 4;
/** A representative that is locked or gone by now has others that look the same. */
const mostReaders = 3;

/** What differs between a group's tenants and what they are held to; or why that cannot be said. */
type Compared = ComparedGroup | { readonly group: ShapeGroup; readonly noAnswer: NoAnswer };

interface HeldGroup {
  readonly group: ShapeGroup;
  readonly held: Held | NotHeld;
}

interface ComparedGroup {
  readonly group: ShapeGroup;
  readonly differences: readonly Difference[];
  readonly templated: readonly string[];
}

type NoAnswer =
  | { readonly status: 'failed'; readonly step: string; readonly error: Failure }
  | { readonly status: 'interrupted'; readonly step: string };

const step = 'comparing';

/** Scans tenants, and compares one of each shape with what it is held to, in full. */
export async function findDrift(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  options: ComparisonOptions,
  scan = scanFleet,
): Promise<FoundDrift> {
  const entries = await readAccepted(context, fleet, options);
  const outcomes = await scan(context, fleet, tenants);
  const scanned = outcomes.flatMap(({ tenant, ...outcome }) => {
    return outcome.status === 'done' ? [{ tenant, shape: outcome.value }] : [];
  });
  const reference = await makeReference(context, fleet, { against: options.against, scanned });
  const compared = await compareGroups(context, fleet, groupByHeld(groupByShape(scanned), reference));
  const unanswered = new Map(
    compared.flatMap((each) =>
      'noAnswer' in each ? each.group.members.map(({ tenant }) => [tenant, each.noAnswer] as const) : [],
    ),
  );
  const known = compared.filter((each) => 'differences' in each);
  return {
    reference,
    groups: numberGroups(known.flatMap((each) => splitByAccepted(each, entries, context.now()))),
    staleEntries: findStale(known, entries, context.now()),
    outcomes: outcomes.map((outcome) => {
      const { tenant, durationMs } = outcome;
      const noAnswer = unanswered.get(tenant);
      return noAnswer === undefined ? outcome : { tenant, durationMs, ...noAnswer };
    }),
  };
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

/** Tenants of one shape may be held to different things: a template in each database, the migrations that they had. */
function groupByHeld(groups: readonly ShapeGroup[], reference: Reference): readonly HeldGroup[] {
  return groups.flatMap((group) => {
    const held = group.members.map((member) => ({ member, held: reference.factsFor(member) }));
    const parts = Map.groupBy(held, (each) => ('why' in each.held ? `why ${each.held.why}` : `key ${each.held.key}`));
    return [...parts.values()].map((part) => {
      return { held: part[0]!.held, group: { ...group, members: part.map(({ member }) => member) } };
    });
  });
}

/** A few at a time; in the order of the groups. */
async function compareGroups(
  context: Context,
  fleet: Fleet,
  groups: readonly HeldGroup[],
): Promise<readonly Compared[]> {
  const compared: Compared[] = [];
  const queue = groups.entries();
  const worker = async () => {
    for (const [index, { group, held }] of queue) {
      compared[index] = context.interrupts.stop.aborted
        ? { group, noAnswer: { status: 'interrupted', step } }
        : await compareGroup(context, fleet, group, held);
    }
  };
  await Promise.all(Array.from({ length: readingAtOnce }, worker));
  return compared;
}

async function compareGroup(
  context: Context,
  fleet: Fleet,
  group: ShapeGroup,
  held: Held | NotHeld,
): Promise<Compared> {
  if ('why' in held) {
    const { why, hint } = held;
    const error = { message: why, code: 'no-reference', ...(hint === undefined ? {} : { hint }) };
    return { group, noAnswer: { status: 'failed', step, error } };
  }
  try {
    const [expected, actual] = await Promise.all([held.facts(), readOneOf(context, fleet, group)]);
    return { group, differences: compareFacts(expected, actual), templated: actual.templated };
  } catch (error) {
    // A guard's word, or a mistake in what was asked for, is about the whole command.
    if (error instanceof UsageError || error instanceof RefusedError) throw error;
    return { group, noAnswer: { status: 'failed', step, error: toFailure(error) } };
  }
}

async function readOneOf(context: Context, fleet: Fleet, { members }: ShapeGroup): Promise<FactSet> {
  let lastError: unknown;
  for (const { tenant } of members.slice(0, mostReaders)) {
    try {
      return await readTenantFacts(context, fleet, tenant);
    } catch (error) {
      lastError = error;
    }
  }
  throw lastError;
}

/** Tenants of one shape for whom the same entries count. */
function splitByAccepted(
  { group, differences, templated }: ComparedGroup,
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
    return { major, version, shape, members, differences: open, accepted, templated };
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
