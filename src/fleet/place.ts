import type { Failure } from '../errors.ts';
import type { Blocker } from './outcome.ts';
import type { Tenant } from './tenant.ts';

/**
 * Tenants of one database that are handled together: one for a migration, some hundred for a status. None at all for
 * work that belongs to the database; when it throws, that is its own affair.
 */
export interface Batch {
  readonly tenants: readonly Tenant[];
  /** Connections it takes while it runs; 1 when not said. */
  readonly connections?: number;
  /** What it does to its database, for `mayRunBeside`. */
  readonly lanes?: ReadonlySet<string>;
}

/** How long an attempt that is made again waits: this tenant alone, or all of a server whose connections were lost. */
export type Pause = { readonly of: 'tenant'; readonly ms: number } | { readonly of: 'server' };

/** Of an attempt that is made again; what is not said is true. */
export interface RetryFacts {
  /** Nothing stays of it, nor of those before. */
  readonly isUntouched?: boolean;
  /** It came to its work: asking for a lock that somebody has is none. */
  readonly isAttempt?: boolean;
}

/** How a batch tells the executor about its tenants. */
export interface Task<V> {
  /** Aborted on the second Ctrl-C and when the time is up: cancel what runs on the server. */
  readonly signal: AbortSignal;
  /** Aborted on the first Ctrl-C: do not begin anything long, give up waiting. */
  readonly stop: AbortSignal;
  /** Names what happens to a tenant now; an outcome that is not `done` carries the last one. */
  step(tenant: Tenant, step: string): void;
  done(tenant: Tenant, value: V, options?: { readonly finding?: boolean }): void;
  failed(tenant: Tenant, error: unknown): void;
  /** It had only waited when the run was stopped: nothing of it was touched. */
  notStarted(tenant: Tenant): void;
  /** Another attempt after a pause, from the back of the queue. */
  retry(tenant: Tenant, error: unknown, pause: Pause, facts?: RetryFacts): void;
  /** A part is done and stays; the rest gets a turn of its own, for it may run only beside what its lanes allow. */
  goOn(tenant: Tenant, lanes: ReadonlySet<string>): void;
  /** Who keeps it waiting; an empty list: nobody any more. */
  blocked(tenant: Tenant, blockers: readonly Blocker[]): void;
}

/** One database on one server, and how its tenants are worked on. */
export interface Place<Scope = unknown, V = unknown> {
  readonly server: string;
  readonly database: string;
  readonly tenants: readonly Tenant[];
  /** Connections that `open` takes and `close` gives back (the holder of a snapshot); 0 when not said. */
  readonly heldConnections?: number;
  /** What spans all batches of the database (a snapshot's holder, a catalogue read for all). */
  open?(signal: AbortSignal): Promise<Scope>;
  /** Cuts the work. */
  batches(scope: Scope): readonly Batch[];
  /** May this batch start while others run in this database? Always, when it is not said. */
  mayRunBeside?(batch: Batch, running: Iterable<Batch>): boolean;
  /**
   * Does one batch. When it throws, settled tenants stay settled and the rest is halved and tried again,
   * until the guilty tenant stands alone.
   */
  work(scope: Scope, batch: Batch, task: Task<V>): Promise<void>;
  close?(scope: Scope): Promise<void>;
}

/** What an error means for the tenants it did not name. */
export type ErrorKind =
  /** The database cannot be reached or is going away: halving would be a storm of attempts. */
  | 'connection'
  /** The server has no connection left: fewer at once, and once more later. */
  | 'too-many-connections'
  | 'other';

/** What the executor must know about errors; it knows no PostgreSQL itself. */
export interface ErrorReader {
  kind(error: unknown): ErrorKind;
  toFailure(error: unknown, tenant: Tenant): Failure;
}
