import type { Failure } from '../errors.ts';
import type { Outcome } from '../fleet/outcome.ts';
import { blockedByLines } from './blockers.ts';
import { safeText } from './safe-text.ts';

/** What a report adds below a failure's message: place, detail, hint, who was in the way. Safe to print. */
export function failureLines(failure: Failure, outcomes: readonly Outcome[]): readonly string[] {
  const { file, line, column, detail, hint } = failure;
  const position = [line, column].flatMap((it) => (it === undefined ? [] : [`:${it}`])).join('');
  return [
    ...(file === undefined ? [] : [`at ${safeText(file)}${position}`]),
    ...(detail === undefined ? [] : [`detail: ${safeText(detail)}`]),
    ...(hint === undefined ? [] : [`hint: ${safeText(hint)}`]),
    ...blockedByLines(outcomes),
  ];
}
