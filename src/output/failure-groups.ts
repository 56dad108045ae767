import type { Failure } from '../errors.ts';
import { causeKey, neutralText } from '../fleet/cause.ts';
import type { Outcome } from '../fleet/outcome.ts';
import { safeText } from './safe-text.ts';
import { baseName, cutText } from './text.ts';

export type FailedOutcome<V = unknown> = Extract<Outcome<V>, { status: 'failed' }>;

/** Tenants that failed for one cause. The failure speaks for all of them. */
export interface FailureGroup {
  readonly failure: Failure;
  readonly outcomes: readonly FailedOutcome[];
}

/** Longer messages are server output gone wild; the json report has all of it. */
const maxMessageWidth = 500;

/** Failures by cause, the most frequent first; in a group the order of selection is kept. */
export function groupFailures(outcomes: readonly Outcome[]): readonly FailureGroup[] {
  const byCause = new Map<string, FailedOutcome[]>();
  for (const outcome of outcomes) {
    if (outcome.status !== 'failed') continue;
    const key = causeKey(outcome.error, outcome.tenant);
    const group = byCause.get(key);
    if (group === undefined) byCause.set(key, [outcome]);
    else group.push(outcome);
  }
  return [...byCause.values()]
    .map((group) => ({ failure: sharedFailure(group), outcomes: group }))
    .sort((a, b) => b.outcomes.length - a.outcomes.length);
}

/** What is equal in all failures stays; a text that differs only by the tenants' own names loses those names. */
function sharedFailure(group: readonly FailedOutcome[]): Failure {
  const first = group[0]!;
  const shared = (pick: (failure: Failure) => string | undefined): string | undefined => {
    const text = pick(first.error);
    if (text === undefined || group.every((it) => pick(it.error) === text)) return text;
    const neutral = neutralText(text, first.tenant);
    const isSame = group.every((it) => neutralText(pick(it.error) ?? '', it.tenant) === neutral);
    return isSame ? neutral : undefined;
  };
  const { detail: _detail, hint: _hint, ...rest } = first.error;
  const detail = shared((it) => it.detail);
  const hint = shared((it) => it.hint);
  return {
    ...rest,
    message: shared((it) => it.message) ?? first.error.message,
    ...(detail !== undefined && { detail }),
    ...(hint !== undefined && { hint }),
  };
}

/** `42P07 relation "x" already exists (0043_add_x.sql:12)`: one line, safe to print. */
export function describeFailure(failure: Failure): string {
  const state = failure.sqlState === undefined ? '' : `${safeText(failure.sqlState)} `;
  const line = failure.line === undefined ? '' : `:${failure.line}`;
  const place = failure.file === undefined ? '' : ` (${safeText(baseName(failure.file))}${line})`;
  return state + cutText(safeText(failure.message), maxMessageWidth) + place;
}
