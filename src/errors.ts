/** What went wrong with one tenant, as a plain value: it travels in outcomes, the ledger and every report format. */
export interface Failure {
  /** Lower case, no full stop. */
  readonly message: string;
  /** A stable word for scripts, where there is one: `locked`, `schema-missing`, `timeout`, … */
  readonly code?: string;
  /** The server's SQLSTATE, five characters. */
  readonly sqlState?: string;
  /** Path of the migration file as the operator wrote it, with 1-based line and column of the statement. */
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  /** The server's DETAIL, when it says more than the message. */
  readonly detail?: string;
  /** What to do next, usually a command. */
  readonly hint?: string;
}

/** The published exit codes; docs/exit-codes.md explains each. */
export const exitCodes = {
  ok: 0,
  findings: 1,
  usage: 2,
  partial: 3,
  failed: 4,
  refused: 5,
  internal: 70,
  interrupted: 130,
  terminated: 143,
} as const;

/** The caller must act: flags, inventory, selection. Thrown before a server is touched. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string | undefined;
  /** More than one mistake is reported at once, a line each. */
  readonly details: readonly string[];

  constructor(message: string, options: { hint?: string; details?: readonly string[]; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
    this.details = options.details ?? [];
  }
}

/** A guard said no to the whole command; nothing was changed. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly hint: string | undefined;
  readonly details: readonly string[];

  constructor(message: string, options: { hint?: string; details?: readonly string[]; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
    this.details = options.details ?? [];
  }
}

/** One tenant's failure on its way to an outcome. */
export class TenantError extends Error {
  override readonly name = 'TenantError';
  readonly failure: Failure;

  constructor(failure: Failure, options: { cause?: unknown } = {}) {
    super(failure.message, options);
    this.failure = failure;
  }
}

/** The operator stopped the command before a tenant was begun: nothing was changed. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}

/** Our own mistake: exit 70, a stack with --debug. */
export class InternalError extends Error {
  override readonly name = 'InternalError';
}
