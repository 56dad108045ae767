import { TenantError } from '../../errors.ts';

const hints: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: make room, or let `tenantctl backups expire` do it',
  EDQUOT: 'the quota of the disk is used up',
  EROFS: 'the file system is mounted read-only',
  EACCES: 'look at the permissions of the folder',
  EEXIST: 'a backup is never written over: another dump took it at the same instant',
};

/** What went wrong with a file of ours, as one line that names it. */
export function writeError(file: string, cause: unknown): TenantError {
  const code = codeOf(cause);
  const hint = hints[code];
  const why = code === 'EEXIST' ? 'it is there already' : code;
  return new TenantError(
    { message: `${file} cannot be written: ${why}`, code: 'store', ...(hint !== undefined && { hint }) },
    { cause },
  );
}

export function readError(file: string, cause: unknown): TenantError {
  const hint = hints[codeOf(cause)];
  return new TenantError(
    { message: `${file} cannot be read: ${codeOf(cause)}`, code: 'store', ...(hint !== undefined && { hint }) },
    { cause },
  );
}

/** `ENOSPC`, or what the error says when it has no such word. */
export function codeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
