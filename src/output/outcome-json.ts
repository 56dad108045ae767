import type { Failure } from '../errors.ts';
import type { Blocker, Outcome, Totals } from '../fleet/outcome.ts';
import type { ReportMeta, Result, SourceReport } from './result.ts';

/** Name and version of the json and ndjson formats. */
export const jsonSchema = 'tenantctl/1';

/** One outcome as the json formats show it; the order of the keys is part of the contract. */
export function outcomeJson(outcome: Outcome): Readonly<Record<string, unknown>> {
  const { tenant, status, durationMs, attempts } = outcome;
  const { id, server, database, schema } = tenant;
  const blockedBy = outcome.blockedBy?.length ? outcome.blockedBy.map(blockerJson) : undefined;
  const common = { tenant: id, server, database, schema, status, durationMs, attempts, blockedBy };
  switch (outcome.status) {
    case 'done':
      return { ...common, value: outcome.value, finding: outcome.finding };
    case 'failed':
      return { ...common, step: outcome.step, error: failureJson(outcome.error) };
    case 'interrupted':
      return { ...common, step: outcome.step, error: outcome.error && failureJson(outcome.error) };
    case 'skipped':
      return { ...common, reason: outcome.reason, because: outcome.because, value: outcome.value };
  }
}

/** The keys of both json formats' ends, in their order: `run`, `exitCode`, `durationMs`, `totals`, then what there is. */
export function summaryJson(result: Result, meta: ReportMeta): Readonly<Record<string, unknown>> {
  const reserved = {
    command: meta.command,
    run: result.run ?? null,
    exitCode: meta.exitCode,
    durationMs: Math.round(meta.durationMs),
    totals: totalsJson(meta.totals),
    environment: result.environment,
    sources: result.sources?.map(sourceJson),
    ...(meta.error && { error: meta.error }),
  };
  // A command's own keys come after ours and can replace none of them.
  const { schema: _, type: __, outcomes: ___, ...extra } = result.extra ?? {};
  return { ...reserved, ...extra, ...reserved };
}

/** Who keeps a tenant waiting; all keys are always there. */
export function blockerJson(blocker: Blocker): Blocker {
  const { pid, application, user, state, transactionStartedAt, queryStartedAt, tenant } = blocker;
  return { pid, application, user, state, transactionStartedAt, queryStartedAt, tenant };
}

function totalsJson(totals: Totals): Totals {
  const { selected, done, failed, interrupted, skipped, hibernated, findings } = totals;
  return { selected, done, failed, interrupted, skipped, hibernated, findings };
}

function sourceJson(source: SourceReport): Readonly<Record<string, unknown>> {
  const { server, database, error, skipped, hibernated } = source;
  return { server, database, error: failureJson(error), skipped, hibernated };
}

function failureJson(failure: Failure): Failure {
  const { message, code, sqlState, file, line, column, detail, hint } = failure;
  const ordered = { message, code, sqlState, file, line, column, detail, hint };
  return Object.fromEntries(Object.entries(ordered).filter(([, value]) => value !== undefined)) as unknown as Failure;
}
