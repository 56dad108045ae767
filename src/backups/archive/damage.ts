import { TenantError } from '../../errors.ts';

const damagedCode = 'archive-damaged';
const unsupportedCode = 'archive-unsupported';

/** The bytes cannot be what pg_dump wrote; `offset` counts from the first byte of the archive. */
export function damaged(what: string, offset: number): TenantError {
  return new TenantError({ message: `damaged archive: ${what} at byte ${offset}`, code: damagedCode });
}

/** The bytes may be all right, but they are of a kind that cannot be read here. */
export function unsupported(message: string, hint: string): TenantError {
  return new TenantError({ message, code: unsupportedCode, hint });
}

export function isDamage(error: unknown): error is TenantError {
  return error instanceof TenantError && error.failure.code === damagedCode;
}

export function isUnsupported(error: unknown): error is TenantError {
  return error instanceof TenantError && error.failure.code === unsupportedCode;
}
