import { type Failure, TenantError } from '../errors.ts';
import { toFailure } from '../postgres/failure.ts';
import type { Migration } from './folder.ts';
import { lineAndColumn } from './sql-file.ts';

/** A text sent to the server: our own statements in front, then a piece of a migration file. */
export interface SentScript {
  readonly prefix: string;
  readonly prefixStatements: number;
  readonly text: string;
  /** Where the text begins in the file, in UTF-16 units. */
  readonly offset: number;
  /** Where each statement of the text begins in the file; null when the parser did not understand it. */
  readonly statements: readonly { readonly offset: number }[] | null;
}

/**
 * Adds file, line and column to an error. Where the server gave no position (42P07, 23505, 42703 of ALTER and many
 * more) the statement is the one after those that completed.
 */
export function locateError(
  error: unknown,
  migration: Migration,
  sent: SentScript | null,
  completed: number,
): TenantError {
  // What JavaScript throws in a migration is the migration's mistake and not ours.
  const { code, hint, ...failure } = toFailure(error);
  // A file or a host that it did not find is its own too: our hints are about the server.
  const isOwnHint = migration.kind === 'js' && failure.sqlState === undefined;
  const offset = sent === null ? null : (offsetOfPosition(error, sent) ?? offsetOfStatement(sent, completed));
  const located: Failure = {
    ...failure,
    ...(code === undefined || code === 'internal' ? {} : { code }),
    ...(hint === undefined || isOwnHint ? {} : { hint }),
    file: migration.displayPath,
    ...(offset === null ? {} : lineAndColumn(migration.text, offset)),
  };
  return new TenantError(located, { cause: error });
}

function offsetOfPosition(error: unknown, { text, offset, prefix }: SentScript): number | null {
  if (typeof error !== 'object' || error === null || !('position' in error)) return null;
  const position = Number(error.position);
  if (!Number.isInteger(position)) return null;
  // The server counts characters from 1, JavaScript counts UTF-16 units.
  const units = [...(prefix + text)].slice(0, position - 1).join('').length;
  return units < prefix.length ? null : offset + units - prefix.length;
}

function offsetOfStatement({ prefixStatements, statements }: SentScript, completed: number): number | null {
  return statements?.[completed - prefixStatements]?.offset ?? null;
}
