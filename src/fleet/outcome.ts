import type { Failure } from '../errors.ts';
import type { Tenant } from './tenant.ts';

/** `not-started` counts towards exit 3 and 4; `hibernated` has a total of its own. */
export type SkipReason = 'not-started' | 'hibernated';

/** What a command for migrations or structure says of a tenant that sleeps and is therefore left alone. */
export interface Owed {
  /** Names of migrations of the folder that it will get when it wakes, oldest first; null: what it has is not known. */
  readonly owed: readonly string[] | null;
}

/** A session that keeps a tenant waiting: it holds a lock, or a snapshot that an index build waits for. */
export interface Blocker {
  /** Of its backend. */
  readonly pid: number;
  /** Its application_name. */
  readonly application: string | null;
  readonly user: string | null;
  /** `active`, `idle in transaction`, … */
  readonly state: string | null;
  /** RFC 3339, UTC: when its transaction, and its current or last statement, began. */
  readonly transactionStartedAt: string | null;
  readonly queryStartedAt: string | null;
  /** The tenant that it works on, when it is one of ours. */
  readonly tenant: string | null;
}

interface Settled {
  readonly tenant: Tenant;
  /** Milliseconds from the first touch of this tenant to its end; 0 when it was never touched. */
  readonly durationMs: number;
  /** Said when it took more than one. */
  readonly attempts?: number;
  /** Who was last seen to keep it waiting. */
  readonly blockedBy?: readonly Blocker[];
}

/** Exactly one of these for each selected tenant, whatever happened to its batch. */
export type Outcome<V = unknown> =
  | (Settled & { readonly status: 'done'; readonly value: V; readonly finding?: boolean })
  | (Settled & { readonly status: 'failed'; readonly step: string | null; readonly error: Failure })
  /** Was in the middle: look at it. */
  | (Settled & { readonly status: 'interrupted'; readonly step: string | null; readonly error?: Failure })
  /** Never touched. */
  | (Settled & {
      readonly status: 'skipped';
      readonly reason: SkipReason;
      readonly because?: string;
      readonly value?: Owed;
    });

export interface Totals {
  readonly selected: number;
  readonly done: number;
  readonly failed: number;
  readonly interrupted: number;
  readonly skipped: number;
  readonly hibernated: number;
  readonly findings: number;
}

/** Left alone because it sleeps: neither done nor a fault. */
export function isHibernated(outcome: Outcome): boolean {
  return outcome.status === 'skipped' && outcome.reason === 'hibernated';
}

/** Counts outcomes by status; `skipped` leaves hibernated tenants out, which have a total of their own. */
export function countOutcomes(outcomes: readonly Outcome[]): Totals {
  const totals = {
    selected: outcomes.length,
    done: 0,
    failed: 0,
    interrupted: 0,
    skipped: 0,
    hibernated: 0,
    findings: 0,
  };
  for (const outcome of outcomes) {
    if (isHibernated(outcome)) totals.hibernated += 1;
    else totals[outcome.status] += 1;
    if (outcome.status === 'done' && outcome.finding === true) totals.findings += 1;
  }
  return totals;
}
