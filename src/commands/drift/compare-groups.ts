import type { Context } from '../../context.ts';
import { compareFacts, type Difference } from '../../drift/compare.ts';
import type { FactSet } from '../../drift/fact.ts';
import type { ShapeGroup } from '../../drift/group.ts';
import type { Held, NotHeld, Reference } from '../../drift/reference.ts';
import { type Failure, RefusedError, UsageError } from '../../errors.ts';
import { toFailure } from '../../postgres/failure.ts';
import type { Fleet } from '../open-fleet.ts';
import { readTenantFacts } from './scan-fleet.ts';

/** Groups whose facts are read side by side. */
const readingAtOnce = 4;
/** A representative that is locked or gone by now has others that look the same. */
const mostReaders = 3;

/** What differs between a group's tenants and what they are held to; or why that cannot be said. */
type Compared = ComparedGroup | UncomparedGroup;

interface HeldGroup {
  readonly group: ShapeGroup;
  readonly held: Held | NotHeld;
}

export interface ComparedGroup {
  readonly group: ShapeGroup;
  readonly differences: readonly Difference[];
  readonly templated: readonly string[];
  readonly doubt?: string;
}

export interface UncomparedGroup {
  readonly group: ShapeGroup;
  readonly noAnswer: NoAnswer;
  /** The words for tenants that nobody else is like because nobody else is where they are. */
  readonly alone?: string;
}

type NoAnswer =
  | { readonly status: 'failed'; readonly step: string; readonly error: Failure }
  | { readonly status: 'interrupted'; readonly step: string };

const step = 'comparing';

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

/** Compares one tenant of each group with what it is held to, a few at a time; in the order of the groups. */
export async function compareGroups(
  context: Context,
  fleet: Fleet,
  groups: readonly ShapeGroup[],
  reference: Reference,
): Promise<readonly Compared[]> {
  const compared: Compared[] = [];
  const queue = groupByHeld(groups, reference).entries();
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
    const { why, hint, isAlone } = held;
    const error = { message: why, code: 'no-reference', ...(hint === undefined ? {} : { hint }) };
    const noAnswer = { status: 'failed', step, error } as const;
    return isAlone === true ? { group, noAnswer, alone: why } : { group, noAnswer };
  }
  try {
    const [expected, actual] = await Promise.all([held.facts(), readOneOf(context, fleet, group)]);
    const compared = { group, differences: compareFacts(expected, actual), templated: actual.templated };
    return held.doubt === undefined ? compared : { ...compared, doubt: held.doubt };
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
