import { exitCodes, type Failure } from '../errors.ts';
import type { Outcome } from '../fleet/outcome.ts';
import { plural } from '../words.ts';
import { describeFailure, groupFailures } from './failure-groups.ts';
import { failureLines } from './failure-lines.ts';
import { groupFindings } from './findings.ts';
import { groupNotStarted } from './not-started.ts';
import type { CommandView, ErrorDescription, Result, RetryCommand, RetryOutcome } from './result.ts';
import { safeText } from './safe-text.ts';

/** One thing that went wrong or was found, for one tenant or many. All texts are safe to print and one line each. */
export interface Cause {
  readonly level: 'error' | 'warning';
  /** In few words: `37 tenants failed`. */
  readonly title: string;
  readonly text: string;
  /** Place, detail, hint, who was in the way. */
  readonly more: readonly string[];
  /** Ids, in order of selection. */
  readonly tenants: readonly string[];
  /** As the operator wrote it, with line and column. */
  readonly file?: Pick<Failure, 'file' | 'line' | 'column'>;
  /** The command that does these tenants again. */
  readonly retry: string | null;
}

export interface CauseOptions {
  readonly view: CommandView;
  readonly retryCommand: RetryCommand | null;
}

/** Everything that keeps a result from being clean, the gravest first: each once, however many tenants it befell. */
export function listCauses(result: Result, options: CauseOptions): readonly Cause[] {
  const { outcomes, findings = [] } = result;
  const interrupted = outcomes.filter(({ status }) => status === 'interrupted');
  return [
    ...failureCauses(result, options),
    ...sourceCauses(result),
    ...(interrupted.length === 0 ? [] : [interruptedCause(interrupted, result, options)]),
    ...[...groupFindings(outcomes, options.view)].map(([text, group]): Cause => {
      return {
        level: 'warning',
        title: `${plural(group.length, 'tenant')} with a finding`,
        text,
        more: [],
        tenants: idsOf(group),
        retry: null,
      };
    }),
    ...findings.map(findingCause),
    ...notStartedCauses(result, options),
  ];
}

const errorTitles: ReadonlyMap<number, string> = new Map([
  [exitCodes.usage, 'cannot begin'],
  [exitCodes.refused, 'refused'],
]);

/** The one cause of a command that ended as a whole. */
export function commandCause(error: ErrorDescription, exitCode: number): Cause {
  const hint = error.hint === undefined ? [] : [`hint: ${safeText(error.hint)}`];
  const more = [...error.details.map(safeText), ...hint];
  return {
    level: 'error',
    title: errorTitles.get(exitCode) ?? 'ended with an error',
    text: error.message,
    more,
    tenants: [],
    retry: null,
  };
}

function failureCauses(result: Result, { retryCommand }: CauseOptions): readonly Cause[] {
  const groups = groupFailures(result.outcomes);
  // --from-run selects all that failed in the run: exact for one cause, too much when there are several.
  const run = groups.length === 1 ? (result.run ?? null) : null;
  return groups.map(({ failure, outcomes }) => {
    const { file: _, line: __, column: ___, ...rest } = failure;
    const tenants = idsOf(outcomes);
    return {
      level: 'error',
      title: `${plural(outcomes.length, 'tenant')} failed`,
      text: describeFailure(rest),
      more: failureLines(failure, outcomes),
      tenants,
      ...placeOf(failure),
      retry: retryCommand?.(tenants, run, ['failed']) ?? null,
    };
  });
}

function sourceCauses({ sources = [] }: Result): readonly Cause[] {
  const failed = sources.filter(({ hibernated }) => hibernated !== true);
  return failed.map(({ server, database, error, skipped }) => ({
    level: 'error',
    title: `server ${safeText(database === null ? server : `${server}/${database}`)} ${skipped === true ? 'left out' : 'could not be read'}`,
    text: `its tenants are not known: ${describeFailure(error)}`,
    more: error.hint === undefined ? [] : [`hint: ${safeText(error.hint)}`],
    tenants: [],
    retry: null,
  }));
}

function interruptedCause(outcomes: readonly Outcome[], result: Result, options: CauseOptions): Cause {
  return {
    level: 'error',
    title: `${plural(outcomes.length, 'tenant')} in the middle`,
    text: `in the middle when the run was interrupted, look at ${outcomes.length === 1 ? 'it' : 'them'}`,
    more: [],
    tenants: idsOf(outcomes),
    retry: retryText(outcomes, result, 'interrupted', options),
  };
}

function notStartedCauses(result: Result, options: CauseOptions): readonly Cause[] {
  const groups = groupNotStarted(result.outcomes);
  const scope = groups.size === 1 ? result : { run: null };
  return [...groups].map(([reason, outcomes]) => ({
    level: 'warning',
    title: `${plural(outcomes.length, 'tenant')} never started`,
    text: reason === '' ? 'never started' : `never started: ${safeText(reason)}`,
    more: [],
    tenants: idsOf(outcomes),
    retry: retryText(outcomes, scope, 'skipped', options),
  }));
}

function findingCause(finding: Failure): Cause {
  const { file: _, ...rest } = finding;
  return {
    level: 'warning',
    title: finding.code ?? 'finding',
    text: describeFailure(rest),
    more: failureLines(finding, []),
    tenants: [],
    ...placeOf(finding),
    retry: null,
  };
}

function placeOf({ file, line, column }: Failure): Pick<Cause, 'file'> {
  if (file === undefined) return {};
  return { file: { file, ...(line !== undefined && { line }), ...(column !== undefined && { column }) } };
}

function retryText(
  outcomes: readonly Outcome[],
  { run }: Pick<Result, 'run'>,
  kind: RetryOutcome,
  { retryCommand }: CauseOptions,
): string | null {
  return retryCommand?.(idsOf(outcomes), run ?? null, [kind]) ?? null;
}

function idsOf(outcomes: readonly Outcome[]): readonly string[] {
  return outcomes.map(({ tenant }) => tenant.id);
}
