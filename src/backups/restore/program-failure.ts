import { TenantError } from '../../errors.ts';

/**
 * What psql and pg_restore say of an error of the server, as the server's own: `psql:<stdin>:12: ERROR:  23503: …`
 * (psql with VERBOSITY=verbose). The word for the severity may be in any language; the SQLSTATE behind it is not.
 */
export function programFailure(error: unknown): unknown {
  if (!(error instanceof TenantError)) return error;
  const { message, detail = '', hint } = error.failure;
  const text = `${message}\n${detail}`;
  for (const [, sqlState = '', said = ''] of text.matchAll(/:\s+\S+:\s+([0-9A-Z]{5}): (.*)$/gm)) {
    // 00, 01 and 02 are notices and warnings.
    if (/^0[0-2]/.test(sqlState)) continue;
    const more = /^DETAIL:\s+(.*)$/m.exec(detail)?.[1];
    const failure = {
      message: said,
      sqlState,
      ...(more === undefined ? {} : { detail: more }),
      ...(hint === undefined ? {} : { hint }),
    };
    return new TenantError(failure, { cause: Object.assign(new Error(said), { code: sqlState }) });
  }
  return error;
}
