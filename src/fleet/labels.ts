import { UsageError } from '../errors.ts';
import type { Labels } from './tenant.ts';

/** One part of a selector: `tier=gold`, `tier!=free`, `region`, `!region`. */
export type LabelRequirement =
  | { readonly kind: 'equals'; readonly key: string; readonly value: string }
  | { readonly kind: 'differs'; readonly key: string; readonly value: string }
  | { readonly kind: 'has'; readonly key: string }
  | { readonly kind: 'lacks'; readonly key: string };

/** Reads `tier=gold,region,!trial`; a comma is an "and". Throws a UsageError that shows what is understood. */
export function parseLabelSelector(selector: string): readonly LabelRequirement[] {
  return selector.split(',').map((part) => {
    const requirement = parseRequirement(part.trim());
    if (requirement !== null) return requirement;
    throw new UsageError(`label selector ${JSON.stringify(selector)} is not understood`, {
      hint: 'write tier=gold, tier!=free, region (has the label) or !region (has it not), with a comma for "and"',
    });
  });
}

function parseRequirement(part: string): LabelRequirement | null {
  const match = /^(!?)\s*([^\s!=]+)(?:\s*(!=|==?)\s*([^=!]*))?$/u.exec(part);
  if (match === null) return null;
  const [, not, key = '', operator, value = ''] = match;
  if (operator === undefined) return { kind: not === '!' ? 'lacks' : 'has', key };
  if (not === '!') return null;
  return { kind: operator === '!=' ? 'differs' : 'equals', key, value };
}

/** As in kubectl, `tier!=free` also holds for a tenant that has no `tier` at all. */
export function meetsRequirement(labels: Labels, requirement: LabelRequirement): boolean {
  // Own properties only: a label may be called `constructor`.
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.kind) {
    case 'equals':
      return value === requirement.value;
    case 'differs':
      return value !== requirement.value;
    case 'has':
      return value !== undefined;
    case 'lacks':
      return value === undefined;
  }
}

/** The requirement as a person would write it. */
export function formatRequirement(requirement: LabelRequirement): string {
  switch (requirement.kind) {
    case 'equals':
      return `${requirement.key}=${requirement.value}`;
    case 'differs':
      return `${requirement.key}!=${requirement.value}`;
    case 'has':
      return requirement.key;
    case 'lacks':
      return `!${requirement.key}`;
  }
}

/** Why a label cannot be selected later, or null: commas, `=` and `!` are the selector's own. */
export function labelKeyProblem(key: string): string | null {
  if (key === '') return 'a label needs a name';
  if (key === '__proto__') return 'this name cannot be used for a label';
  if (!key.isWellFormed() || /[\p{Cc}\s,=!]/u.test(key)) {
    return 'a label name may not hold white space, control characters, a comma, "=" or "!"';
  }
  return null;
}

/** Why a label's value cannot be selected later, or null. */
export function labelValueProblem(value: string): string | null {
  if (!value.isWellFormed() || /[\p{Cc},=!]/u.test(value)) {
    return 'a label value may not hold control characters, a comma, "=" or "!"';
  }
  return value.trim() === value ? null : 'a label value may not begin or end with white space';
}
