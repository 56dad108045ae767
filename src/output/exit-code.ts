import { exitCodes, RefusedError, TenantError, UsageError } from '../errors.ts';
import { countOutcomes } from '../fleet/outcome.ts';
import type { Result } from './result.ts';

export type InterruptSignal = 'SIGINT' | 'SIGTERM';

/** The failure code of our own mistakes inside outcomes; the whole command then ends with 70. */
const internalFailureCode = 'internal';

/** The exit code of a command that came to its end: 70, then 130 or 143, then 3 or 4, then 1, then 0. */
export function exitCodeOf(result: Result, options: { readonly interrupted?: InterruptSignal } = {}): number {
  const { outcomes, sources = [] } = result;
  const isInternal = outcomes.some((it) => it.status === 'failed' && it.error.code === internalFailureCode);
  if (isInternal) return exitCodes.internal;
  if (options.interrupted === 'SIGINT') return exitCodes.interrupted;
  if (options.interrupted === 'SIGTERM') return exitCodes.terminated;
  const totals = countOutcomes(outcomes);
  // Hibernated tenants are in none of these: a sleeping tenant must not turn every night's run red.
  const unfinished = totals.failed + totals.interrupted + totals.skipped;
  if (unfinished > 0) return totals.done > 0 ? exitCodes.partial : exitCodes.failed;
  // Left out on purpose or not: part of the fleet was not reached, and nobody knows who lives there. Unless it sleeps.
  if (sources.some(({ hibernated }) => hibernated !== true)) return exitCodes.partial;
  return totals.findings + (result.findings ?? []).length > 0 ? exitCodes.findings : exitCodes.ok;
}

/** The exit code of a command that ended with an error instead of a result. */
export function exitCodeOfError(error: unknown): number {
  if (error instanceof UsageError) return exitCodes.usage;
  if (error instanceof RefusedError) return exitCodes.refused;
  // A command that works on one thing only (a server that is to be looked at) has nothing done to show.
  if (error instanceof TenantError) return exitCodes.failed;
  return exitCodes.internal;
}
