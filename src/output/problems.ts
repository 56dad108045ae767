import { isHibernated, type Outcome } from '../fleet/outcome.ts';
import { listNames, plural } from '../words.ts';
import { blockedByLines, distinctBlockers, nameBlocker } from './blockers.ts';
import { describeFailure, type FailureGroup, groupFailures } from './failure-groups.ts';
import { groupNotStarted } from './not-started.ts';
import type { Result, RetryCommand, RetryOutcome, SourceReport } from './result.ts';
import { safeText } from './safe-text.ts';
import type { Style } from './style.ts';

interface ProblemOptions {
  readonly style: Style;
  readonly retryCommand: RetryCommand | null;
  /** All names instead of three. */
  readonly verbose: boolean;
}

/**
 * Lines about all that did not go well: failures by cause with the command that retries just those, tenants that were
 * in the middle, tenants that were never started, servers that could not be read. Empty when all went well.
 */
export function describeProblems(result: Result, options: ProblemOptions): readonly string[] {
  const groups = groupFailures(result.outcomes);
  const interrupted = result.outcomes.filter((it) => it.status === 'interrupted');
  const notStarted = groupNotStarted(result.outcomes);
  return [
    ...groups.flatMap((group) => groupLines(group, result, groups.length === 1, options)),
    ...(groups.length > 1
      ? retryLine('retry all failed', groups.flatMap(outcomesOf), ['failed'], result, options)
      : []),
    ...interruptedLines(interrupted, options),
    ...notStartedLines(notStarted, options),
    ...hibernatedLines(result.outcomes, options),
    ...carryOnLine(interrupted, [...notStarted.values()].flat(), result, options),
    ...(result.sources ?? []).flatMap((source) => sourceLines(source, options.style)),
  ];
}

function outcomesOf(group: FailureGroup): readonly Outcome[] {
  return group.outcomes;
}

function groupLines(group: FailureGroup, result: Result, isOnly: boolean, options: ProblemOptions): readonly string[] {
  const { failure, outcomes } = group;
  const { style } = options;
  // --from-run selects all that failed in the run: exact for one cause, too much when there are several.
  const scope = isOnly ? result : { ...result, run: null };
  return [
    `${style.red(plural(outcomes.length, 'tenant'))}: ${describeFailure(failure)}`,
    `  ${names(outcomes, options.verbose)}`,
    ...blockedByLines(outcomes).map((line) => `  ${line}`),
    ...(failure.detail === undefined ? [] : [style.dim(`  detail: ${safeText(failure.detail)}`)]),
    ...(failure.hint === undefined ? [] : [`  hint: ${safeText(failure.hint)}`]),
    ...retryLine('  retry', outcomes, ['failed'], scope, options),
  ];
}

/** The tenants that need a look each: all of them by name and step, while they are few. */
function interruptedLines(outcomes: readonly Outcome[], { style, verbose }: ProblemOptions): readonly string[] {
  if (outcomes.length === 0) return [];
  const shown = verbose ? outcomes : outcomes.slice(0, 20);
  return [
    `${style.red(plural(outcomes.length, 'tenant'))} in the middle when the run was interrupted, look at ${outcomes.length === 1 ? 'it' : 'them'}`,
    ...shown.map((outcome) => `  ${safeText(outcome.tenant.id)}${stepAndError(outcome)}`),
    ...(outcomes.length > shown.length ? [`  and ${outcomes.length - shown.length} more`] : []),
  ];
}

function stepAndError(outcome: Outcome): string {
  if (outcome.status !== 'interrupted') return '';
  const step = outcome.step === null ? '' : ` (${safeText(outcome.step)})`;
  const error = outcome.error === undefined ? '' : `: ${describeFailure(outcome.error)}`;
  const blockers = distinctBlockers([outcome]).map(nameBlocker);
  return `${step}${error}${blockers.length === 0 ? '' : `, blocked by ${listNames(blockers)}`}`;
}

function notStartedLines(
  byReason: ReadonlyMap<string, readonly Outcome[]>,
  { style, verbose }: ProblemOptions,
): readonly string[] {
  return [...byReason].flatMap(([reason, group]) => [
    `${style.yellow(plural(group.length, 'tenant'))} never started${reason === '' ? '' : `: ${safeText(reason)}`}`,
    `  ${names(group, verbose)}`,
  ]);
}

/** Of a command that did nothing because all whom it was to work on sleep; among others, a number in the totals is enough. */
function hibernatedLines(outcomes: readonly Outcome[], { verbose, style }: ProblemOptions): readonly string[] {
  if (outcomes.length === 0 || !outcomes.every(isHibernated)) return [];
  const [first] = outcomes;
  const one = first?.status === 'skipped' && first.because !== undefined ? `: ${safeText(first.because)}` : '';
  if (outcomes.length === 1) return [`${style.dim('1 tenant')} sleeps, and is left alone${one}`];
  return [
    `${style.dim(plural(outcomes.length, 'tenant'))} sleep, and are left alone`,
    `  ${names(outcomes, verbose)}`,
    '  hint: see since when with `tenantctl tenants list`, and wake them with `tenantctl wake`',
  ];
}

function carryOnLine(
  interrupted: readonly Outcome[],
  notStarted: readonly Outcome[],
  result: Result,
  options: ProblemOptions,
): readonly string[] {
  const outcomes: readonly RetryOutcome[] = [
    ...(interrupted.length > 0 ? (['interrupted'] as const) : []),
    ...(notStarted.length > 0 ? (['skipped'] as const) : []),
  ];
  if (outcomes.length === 0) return [];
  return retryLine('  carry on', [...interrupted, ...notStarted], outcomes, result, options);
}

function retryLine(
  label: string,
  outcomes: readonly Outcome[],
  kinds: readonly RetryOutcome[],
  result: Pick<Result, 'run'>,
  { retryCommand, style }: ProblemOptions,
): readonly string[] {
  const ids = outcomes.map((outcome) => outcome.tenant.id);
  const command = retryCommand?.(ids, result.run ?? null, kinds) ?? null;
  return command === null ? [] : [`${label}: ${style.bold(safeText(command))}`];
}

function sourceLines(source: SourceReport, style: Style): readonly string[] {
  const place = safeText(source.database === null ? source.server : `${source.server}/${source.database}`);
  const verdict = source.skipped === true ? 'left out' : 'could not be read';
  const paint = source.hibernated === true ? style.dim : style.red;
  return [
    source.hibernated === true
      ? `${paint(`server ${place}`)} sleeps, its tenants are not known: ${describeFailure(source.error)}`
      : `${paint(`server ${place}`)} ${verdict}, its tenants are not known: ${describeFailure(source.error)}`,
    ...(source.error.hint === undefined ? [] : [`  hint: ${safeText(source.error.hint)}`]),
  ];
}

function names(outcomes: readonly Outcome[], verbose: boolean): string {
  const ids = outcomes.map((outcome) => safeText(outcome.tenant.id));
  return verbose ? ids.join(', ') : listNames(ids);
}
