import { TenantError } from '../errors.ts';
import { toFailure } from '../postgres/failure.ts';
import { adviceOnInvalid, findInvalidIndexes } from './invalid-indexes.ts';
import type { TenantWork } from './tenant-work.ts';

/** Names of migrations, or `1 of 2 statements of …`. */
export interface Staying {
  readonly committed: readonly string[];
  /** By a COMMIT that is in a migration: nobody knows how much of them. */
  readonly committedUnasked: readonly string[];
}

/** What one transaction did goes with it. When something else stays, the operator must know what: `error`, and that. */
export async function sayWhatStays(
  work: TenantWork,
  error: unknown,
  { committed, committedUnasked }: Staying,
): Promise<unknown> {
  if (work.inTransaction && committed.length === 0 && committedUnasked.length === 0) return error;
  // The error comes first: a session that cannot answer any more must not hide it.
  const invalid = await findInvalidIndexes(work.session, work.tenant).catch(() => []);
  const { detail, hint, ...failure } = toFailure(error);
  const details = [
    ...(detail === undefined ? [] : [detail]),
    ...(committed.length === 0 ? [] : [`already committed on this tenant: ${committed.join(', ')}`]),
    ...(committedUnasked.length === 0 ? [] : [`${unaskedText}: ${committedUnasked.join(', ')}`]),
    ...(invalid.length === 0 ? [] : [`invalid indexes: ${invalid.join(', ')}`]),
  ];
  const advice = [
    ...(committedUnasked.length === 0 ? [] : [unaskedAdvice]),
    ...(invalid.length === 0 ? [] : [adviceOnInvalid(work.tenant, invalid)]),
  ];
  // What waits for somebody else's build is mended by waiting only.
  const told = advice.length === 0 || failure.code === 'index-in-build' ? hint : advice.join('; ');
  return new TenantError(
    {
      ...failure,
      ...(details.length === 0 ? {} : { detail: details.join('; ') }),
      ...(told === undefined ? {} : { hint: told }),
    },
    { cause: error },
  );
}

const unaskedText = 'committed by the migrations themselves, as a whole or in part, and not in the history';
const unaskedAdvice =
  'remove COMMIT and ROLLBACK from the file, and undo by hand what stays on this tenant: what was committed would run once more';
