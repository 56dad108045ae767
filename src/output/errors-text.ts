import { InternalError, RefusedError, TenantError, UsageError } from '../errors.ts';
import { describeFailure } from './failure-groups.ts';
import type { ErrorDescription } from './result.ts';
import { safeText } from './safe-text.ts';
import { noStyle, type Style } from './style.ts';

/** What stderr says when a command ends with an error: `error: …`, its details, `hint: …`; a stack only for --debug. */
export function errorText(error: unknown, options: { readonly style?: Style; readonly debug?: boolean } = {}): string {
  const { style = noStyle, debug = false } = options;
  const { message, details, hint } = describeError(error);
  const lines = [
    `${style.red('error:')} ${message}`,
    ...details.map((detail) => `  ${safeText(detail)}`),
    ...(hint === undefined ? [] : [`${style.bold('hint:')} ${safeText(hint)}`]),
    ...(debug ? stackLines(error).map((line) => style.dim(line)) : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** An error in the words of a report. */
export function describeError(error: unknown): ErrorDescription {
  if (error instanceof UsageError || error instanceof RefusedError) {
    return { message: safeText(error.message), details: error.details, hint: error.hint };
  }
  if (error instanceof TenantError) {
    const { detail, hint } = error.failure;
    return { message: describeFailure(error.failure), details: detail === undefined ? [] : [detail], hint };
  }
  const text = error instanceof Error ? error.message : String(error);
  const name = error instanceof Error && !(error instanceof InternalError) ? `${error.name}: ` : '';
  return {
    message: `internal error: ${safeText(name + text)}`,
    details: [],
    hint: 'this is a bug in tenantctl; run the command again with --debug and report what it prints',
  };
}

/** The stack of the error and of what caused it. */
function stackLines(error: unknown, depth = 0): readonly string[] {
  if (!(error instanceof Error) || depth > 5) return [];
  const own = (error.stack ?? error.message).split('\n').map(safeText);
  const caused = stackLines(error.cause, depth + 1);
  return caused.length === 0 ? own : [...own, 'caused by:', ...caused];
}
