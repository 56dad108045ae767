import { type Difference, driftClasses } from '../../drift/compare.ts';
import { describeDifference } from '../../drift/describe-difference.ts';
import type { DriftClass, Fact, TenantShape, Unmodelled } from '../../drift/fact.ts';
import { foldDifferences } from '../../drift/fold-differences.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { DriftGroup, FoundDrift, StaleEntry } from './find-drift.ts';

/** `value` of a done outcome. */
export interface DriftValue {
  /** Two tenants with the same one are alike in everything. */
  readonly shape: string;
  readonly version: string | null;
  readonly major: number;
  /** `number` of one of `groups`, which has the definitions; null: it was not compared. */
  readonly group: number | null;
  /** Why it was not compared with anything: it is alone at its version. */
  readonly why: string | null;
  readonly against: string;
  /** Differences by class. What belongs to an object that is missing or extra counts with it, what is accepted does not. */
  readonly classes: Readonly<Record<DriftClass, number>>;
  readonly differences: readonly DifferenceSummary[];
  /** How many more are accepted. */
  readonly accepted: number;
  readonly unmodelled: readonly Unmodelled[];
}

interface DifferenceSummary extends Pick<Difference, 'class' | 'change' | 'kind' | 'name' | 'table'> {
  readonly text: string;
}

/** Each tenant's own part of what was found. */
export function driftOutcomes({ groups, outcomes, reference, alone }: FoundDrift): readonly Outcome<DriftValue>[] {
  const byTenant = new Map(
    groups.flatMap((group) => {
      const common = commonValue(group, reference.name);
      return group.members.map(({ tenant }) => [tenant, common] as const);
    }),
  );
  return outcomes.map((outcome): Outcome<DriftValue> => {
    if (outcome.status !== 'done') return outcome;
    const { unmodelled } = outcome.value;
    const common = byTenant.get(outcome.tenant) ?? aloneValue(outcome.value, alone.get(outcome.tenant), reference.name);
    return { ...outcome, value: { ...common, unmodelled } };
  });
}

/** The further keys of the json document. */
export function driftExtra({ groups, reference, notes, staleEntries }: FoundDrift): Readonly<Record<string, unknown>> {
  return {
    against: reference.name,
    notes,
    groups: groups.map(groupJson),
    staleEntries: staleEntries.map(staleJson),
  };
}

function commonValue(group: DriftGroup, against: string): Omit<DriftValue, 'unmodelled'> {
  const { shape, version, major, number, differences, accepted } = group;
  const told = foldDifferences(differences);
  const count = (each: DriftClass) => told.filter(({ difference }) => difference.class === each).length;
  return {
    shape,
    version,
    major,
    group: number,
    why: null,
    against,
    classes: countClasses(count),
    differences: differences.map(summarize),
    accepted: accepted.length,
  };
}

/** No difference is told of it, and no sameness. */
function aloneValue(
  { shape, version, major }: TenantShape,
  why: string | undefined,
  against: string,
): Omit<DriftValue, 'unmodelled'> {
  if (why === undefined) throw new Error('a tenant is in no group, and nothing says why');
  return {
    shape,
    version,
    major,
    group: null,
    why,
    against,
    classes: countClasses(() => 0),
    differences: [],
    accepted: 0,
  };
}

function countClasses(count: (each: DriftClass) => number): Record<DriftClass, number> {
  return Object.fromEntries(driftClasses.map((each) => [each, count(each)])) as Record<DriftClass, number>;
}

function summarize(difference: Difference): DifferenceSummary {
  const { change, kind, name, table } = difference;
  return { class: difference.class, change, kind, name, table, text: describeDifference(difference) };
}

function groupJson({ number, major, version, shape, members, differences, accepted, templated }: DriftGroup) {
  return {
    number,
    major,
    version,
    shape,
    tenants: members.map(({ tenant }) => tenant.id),
    differences: differences.map(differenceJson),
    accepted: accepted.map(({ difference, entry }) => {
      const { reason, until, at } = entry;
      return { ...differenceJson(difference), reason, until, at };
    }),
    templated: templated.map((key) => {
      const [kind, name] = key.split('\0');
      return { kind, name };
    }),
  };
}

function differenceJson(difference: Difference) {
  const { attributes, reference, actual } = difference;
  return { ...summarize(difference), attributes, reference: attributesOf(reference), actual: attributesOf(actual) };
}

function attributesOf(fact: Fact | null): Fact['attributes'] | null {
  return fact?.attributes ?? null;
}

function staleJson({ entry, state, tenants }: StaleEntry) {
  const { kind, name, attribute, until, reason, at } = entry;
  return { at, state, kind, name, attribute, until, reason, tenants };
}
