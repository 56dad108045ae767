import type { Failure } from '../errors.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { CauseOptions } from './causes.ts';
import { describeFailure } from './failure-groups.ts';
import { failureLines } from './failure-lines.ts';
import { describeFinding } from './findings.ts';
import type { ReportMeta, Result, RetryOutcome, SourceReport } from './result.ts';
import { safeText } from './safe-text.ts';

/** How a case ended, in JUnit's words. */
export type CaseStatus = 'passed' | 'failure' | 'error' | 'skipped';

/** What CI shows of one tenant. Readers tell cases apart by class and name, so both are the same in each run. */
export interface Case {
  readonly classname: string;
  readonly name: string;
  readonly durationMs: number;
  readonly status: CaseStatus;
  readonly type?: string;
  readonly message?: string;
  /** Some readers show the text alone, so it begins with the message. */
  readonly lines?: readonly string[];
  readonly file?: Pick<Failure, 'file' | 'line'>;
}

export function statusOf(outcome: Outcome): CaseStatus {
  if (outcome.status === 'done') return outcome.finding === true ? 'failure' : 'passed';
  if (outcome.status === 'failed') return 'failure';
  return outcome.status === 'interrupted' ? 'error' : 'skipped';
}

export function tenantCase(outcome: Outcome, { command }: ReportMeta, options: CauseOptions): Case {
  const { tenant, durationMs } = outcome;
  const classname = className(command, tenant.server, tenant.database);
  const base = { classname, name: tenant.id, durationMs, status: statusOf(outcome) };
  switch (outcome.status) {
    case 'done': {
      if (outcome.finding !== true) return base;
      const message = describeFinding(outcome, options.view);
      return { ...base, type: 'finding', message, lines: [message] };
    }
    case 'failed': {
      const { error } = outcome;
      const { file: _, ...rest } = error;
      const step = outcome.step === null ? [] : [`step: ${safeText(outcome.step)}`];
      const lines = [
        describeFailure(rest),
        ...failureLines(error, [outcome]),
        ...step,
        ...retryLines(outcome, 'failed', options),
      ];
      return {
        ...base,
        type: error.sqlState ?? error.code ?? 'failed',
        message: describeFailure(error),
        lines,
        file: error,
      };
    }
    case 'interrupted': {
      const step = outcome.step === null ? '' : ` (${safeText(outcome.step)})`;
      const message = `in the middle when the run was interrupted, look at it${step}`;
      const error =
        outcome.error === undefined ? [] : [describeFailure(outcome.error), ...failureLines(outcome.error, [])];
      const blocked = failureLines({ message: '' }, [outcome]);
      return {
        ...base,
        type: 'interrupted',
        message,
        lines: [message, ...error, ...blocked, ...retryLines(outcome, 'interrupted', options)],
      };
    }
    case 'skipped': {
      const because = outcome.because === undefined ? '' : `: ${safeText(outcome.because)}`;
      return { ...base, message: `${outcome.reason}${because}` };
    }
  }
}

/** A server or registry that could not be read: which tenants live there is not known. */
export function sourceCase(source: SourceReport, { command }: ReportMeta): Case {
  const { server, database, error } = source;
  const place = database === null ? server : `${server}/${database}`;
  const message = `its tenants are not known: ${describeFailure(error)}`;
  return {
    classname: className(command, server, database ?? 'server'),
    name: `source ${place}`,
    durationMs: 0,
    status: 'error',
    type: error.sqlState ?? error.code ?? 'unreachable',
    message,
    lines: [message, ...failureLines(error, [])],
  };
}

/** What was found that is not about one tenant: a hazard in a file, a health check that complains. */
export function findingCase(finding: Failure, { command }: ReportMeta): Case {
  const { file, line, column, code = 'finding', ...rest } = finding;
  const place =
    file === undefined ? '' : ` ${safeText([file, line, column].filter((it) => it !== undefined).join(':'))}`;
  const message = describeFailure(rest);
  return {
    classname: className(command),
    name: `${code}${place}`,
    durationMs: 0,
    status: 'failure',
    type: code,
    message,
    lines: [message, ...failureLines(finding, [])],
    file: finding,
  };
}

/**
 * The command itself, where no tenant's case tells how it ended: it was refused, it was interrupted, or there was no
 * tenant at all (some readers take a report without cases for a broken one).
 */
export function commandCase(result: Result, meta: ReportMeta): Case {
  const { command, durationMs, error, exitCode } = meta;
  const base = { classname: className(command), name: `tenantctl ${command}`, durationMs };
  if (error !== undefined) {
    const hint = error.hint === undefined ? [] : [`hint: ${safeText(error.hint)}`];
    const lines = [error.message, ...error.details.map(safeText), ...hint];
    return { ...base, status: 'error', type: `exit ${exitCode}`, message: error.message, lines };
  }
  const text = (result.text ?? []).map(safeText);
  if (exitCode === 0) return { ...base, status: 'passed' };
  const message = `ended with exit code ${exitCode}`;
  return { ...base, status: 'error', type: `exit ${exitCode}`, message, lines: [message, ...text] };
}

/** Jenkins makes packages of what stands between dots, so that a server and a database can be opened there. */
function className(command: string, ...places: readonly string[]): string {
  const parts = [command.replaceAll(' ', '_'), ...places];
  return ['tenantctl', ...parts.map((part) => part.replaceAll('.', '_'))].join('.');
}

function retryLines({ tenant }: Outcome, kind: RetryOutcome, { retryCommand }: CauseOptions): readonly string[] {
  const command = retryCommand?.([tenant.id], null, [kind]) ?? null;
  return command === null ? [] : [`retry: ${safeText(command)}`];
}
