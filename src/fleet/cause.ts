import type { Failure } from '../errors.ts';
import type { Tenant } from './tenant.ts';

/** Stands in a neutral text where a tenant's own name stood. */
const placeholder = '{tenant}';

/**
 * The same text for each tenant that failed for the same reason: two failures with one key are one cause for the
 * report and for the same-cause brake. DETAIL is left out on purpose: it holds the values of single rows.
 */
export function causeKey(failure: Failure, tenant: Tenant): string {
  const identity = failure.sqlState ?? failure.code ?? '';
  // Disk full, out of memory: what the message names, a file or a size, is another one each time.
  if (failure.sqlState?.startsWith('53')) return JSON.stringify([identity]);
  return JSON.stringify([identity, failure.file ?? '', failure.line ?? 0, neutralText(failure.message, tenant)]);
}

/** A text about one tenant with that tenant's own names replaced, so that it can speak for many. */
export function neutralText(text: string, tenant: Tenant): string {
  const names = ownNames(tenant).map(escapePattern);
  if (names.length === 0) return text;
  const quoted = new RegExp(`(["'])(?:${names.join('|')})\\1`, 'gu');
  const neutral = text.replace(quoted, `$1${placeholder}$1`);
  // Without quotes only a whole word of some length is a name: tenant "a" must not turn every "a" into one.
  const long = names.filter((name) => name.length > 2);
  if (long.length === 0) return neutral;
  const whole = new RegExp(`(?<![\\p{L}\\p{N}_{])(?:${long.join('|')})(?![\\p{L}\\p{N}_}])`, 'gu');
  return neutral.replace(whole, placeholder);
}

/** Longest first, so that a name that begins with another is replaced as a whole. */
function ownNames(tenant: Tenant): readonly string[] {
  const names = [tenant.schema, tenant.id, tenant.role, tenant.database];
  const present = names.filter((name): name is string => name !== null && name !== '');
  return [...new Set(present)].sort((a, b) => b.length - a.length);
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/gu, '\\$&');
}
