import type { Outcome } from '../fleet/outcome.ts';
import type { CommandView } from './result.ts';
import { safeText } from './safe-text.ts';

/** `version 0007_payments, pending 1`: what the command's table says of a finding, without the tenant's own name. */
export function describeFinding(outcome: Outcome, view: CommandView): string {
  const cells = view.row(outcome, { verbose: true }) ?? [];
  const facts = cells.flatMap((cell, index) => {
    const isEmpty = cell === '' || cell === '-' || cell === outcome.tenant.id;
    return isEmpty ? [] : [`${view.columns[index] ?? ''} ${safeText(cell)}`.trim()];
  });
  return facts.length === 0 ? 'finding' : facts.join(', ');
}

/** Tenants of which the same is to be said. */
export function groupFindings(
  outcomes: readonly Outcome[],
  view: CommandView,
): ReadonlyMap<string, readonly Outcome[]> {
  const byText = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    if (outcome.status !== 'done' || outcome.finding !== true) continue;
    const text = describeFinding(outcome, view);
    const group = byText.get(text);
    if (group === undefined) byText.set(text, [outcome]);
    else group.push(outcome);
  }
  return byText;
}
