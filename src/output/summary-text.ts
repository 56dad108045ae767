import type { Totals } from '../fleet/outcome.ts';
import { plural } from '../words.ts';
import type { ReportMeta, Result } from './result.ts';
import { safeText } from './safe-text.ts';
import { noStyle, type Style } from './style.ts';
import { formatDuration } from './text.ts';

/** `50 tenants: 49 done, 1 failed in 1.8 s (run …)`; null for an answer that is about no tenants. */
export function summaryText(result: Result, meta: ReportMeta, style: Style = noStyle): string | null {
  const { totals } = meta;
  if (totals.selected === 0)
    return meta.error !== undefined || (result.text ?? []).length > 0 ? null : 'no tenants selected';
  const run = result.run == null ? '' : style.dim(` (run ${safeText(result.run)})`);
  const counts = countWords(totals, style).join(', ');
  return `${plural(totals.selected, 'tenant')}: ${counts} in ${formatDuration(meta.durationMs)}${run}`;
}

function countWords(totals: Totals, style: Style): readonly string[] {
  const words: string[] = [];
  const add = (count: number, word: string, paint: (text: string) => string): void => {
    if (count > 0) words.push(paint(`${count} ${word}`));
  };
  add(totals.done, 'done', style.green);
  add(totals.failed, 'failed', style.red);
  add(totals.interrupted, 'interrupted', style.red);
  add(totals.skipped, 'not started', style.yellow);
  add(totals.hibernated, 'hibernated', style.dim);
  add(totals.findings, totals.findings === 1 ? 'finding' : 'findings', style.yellow);
  return words;
}
