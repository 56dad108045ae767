import type { Blocker, Outcome } from './outcome.ts';
import type { Tenant } from './tenant.ts';

/**
 * What happens while a command runs. Events flow outwards only, to progress, ndjson and the ledger;
 * a listener that throws cannot hurt the run.
 */
export type RunEvent =
  /** A phase begins: `reading histories`, `migrating`. `servers` counts the tenants on each server. */
  | { readonly type: 'phase'; readonly name: string; readonly servers: ReadonlyMap<string, number> }
  | { readonly type: 'started'; readonly tenant: Tenant }
  /** It gave its turn back and waits for another one. */
  | { readonly type: 'put-back'; readonly tenant: Tenant }
  | { readonly type: 'step'; readonly tenant: Tenant; readonly step: string }
  /** It waits for what others hold, in a statement or in the queue for its next try; an empty list: no more. */
  | { readonly type: 'blocked'; readonly tenant: Tenant; readonly blockers: readonly Blocker[] }
  | { readonly type: 'settled'; readonly outcome: Outcome }
  /** A phase that only looks has an answer of a tenant, which is no outcome of the command: progress counts it. */
  | { readonly type: 'read'; readonly outcome: Outcome }
  /** Not about one tenant: a server that cannot be read, a limit lowered, a run that stops starting tenants. */
  | { readonly type: 'notice'; readonly level: 'info' | 'warning'; readonly message: string; readonly hint?: string }
  | { readonly type: 'phase-ended'; readonly name: string };

export type EventListener = (event: RunEvent) => void;
