import type { Outcome } from '../fleet/outcome.ts';
import { distinctBlockers, nameBlocker, waitedLine } from './blockers.ts';
import { type Cause, type CauseOptions, commandCause, listCauses } from './causes.ts';
import { describeFailure } from './failure-groups.ts';
import { markdownBlock, markdownCode, markdownHead, markdownRow, markdownText } from './markdown.ts';
import type { ReportMeta, Result } from './result.ts';
import { summaryText } from './summary-text.ts';

const examples = 3;

/** A page of Markdown for the summary of a step, in whole lines: totals, causes, the answer, the tenants not done. */
export function* stepSummary(result: Result, meta: ReportMeta, options: CauseOptions): Generator<string> {
  yield `## ${markdownText(`tenantctl ${meta.command}`)}\n\n`;
  const totals = summaryText(result, meta);
  const facts = [
    ...(result.environment === undefined ? [] : [`environment ${markdownCode(result.environment)}`]),
    ...(totals === null ? [] : [`**${markdownText(totals)}**`]),
    `exit code ${meta.exitCode}`,
  ];
  yield `${facts.join(', ')}\n`;
  const waited = waitedLine(result.outcomes, false);
  if (waited !== null) yield `\n${markdownText(waited)}\n`;

  const causes = meta.error === undefined ? listCauses(result, options) : [commandCause(meta.error, meta.exitCode)];
  if (causes.length > 0) {
    yield '\n### What went wrong\n\n';
    yield markdownHead(['', 'cause', 'tenants', 'do them again']);
    for (const cause of causes) yield causeRow(cause);
  }
  const text = result.text ?? [];
  if (text.length > 0) {
    yield '\n### Report\n\n';
    for (const line of text) yield markdownBlock([line]);
  }
  yield* tenantTable(result.outcomes);
}

function causeRow({ title, text, more, tenants, retry }: Cause): string {
  const names = tenants.slice(0, examples).map(markdownCode).join(', ');
  const others = tenants.length > examples ? ` and ${tenants.length - examples} more` : '';
  const cause = [text, ...more].map(markdownText).join('<br>');
  return markdownRow([markdownText(title), cause, names + others, retry === null ? '' : markdownCode(retry)]);
}

function* tenantTable(outcomes: readonly Outcome[]): Generator<string> {
  const rows = outcomes.filter(isNotDone);
  if (rows.length === 0) return;
  yield '\n### Tenants not done\n\n';
  yield markdownHead(['tenant', 'place', 'outcome', 'step', 'why']);
  for (const outcome of rows) {
    const { id, server, database, schema } = outcome.tenant;
    const place = [server, database, ...(schema === null ? [] : [schema])].join('/');
    const step = 'step' in outcome && outcome.step !== null ? markdownCode(outcome.step) : '';
    const word = outcome.status === 'skipped' ? 'not started' : outcome.status;
    yield markdownRow([markdownCode(id), markdownCode(place), word, step, markdownText(reasonOf(outcome))]);
  }
}

function isNotDone(outcome: Outcome): boolean {
  return outcome.status === 'skipped' ? outcome.reason === 'not-started' : outcome.status !== 'done';
}

function reasonOf(outcome: Outcome): string {
  if (outcome.status === 'skipped') return outcome.because ?? '';
  const error = 'error' in outcome && outcome.error !== undefined ? describeFailure(outcome.error) : '';
  const blockers = distinctBlockers([outcome]).slice(0, examples).map(nameBlocker);
  const blocked = blockers.length === 0 ? '' : `blocked by ${blockers.join(', ')}`;
  return [error, blocked].filter((text) => text !== '').join('; ');
}
