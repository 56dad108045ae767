import type { FactSet } from './fact.ts';
import type { ScannedTenant } from './group.ts';

/** The facts that a tenant is held to. */
export interface Held {
  /** Tenants with an equal key are held to the very same facts. */
  readonly key: string;
  /** Read once a key, when they are first asked for; rejects when they cannot be read. */
  readonly facts: () => Promise<FactSet>;
  /** Given when something else could stand there with the same right: nobody's schema is to be changed for it. */
  readonly doubt?: string;
}

/** Why there is nothing to hold a tenant to: that is no drift, and no proof of the contrary. */
export interface NotHeld {
  readonly why: string;
  /** What to do for an answer, a command mostly. */
  readonly hint?: string;
  /** Nobody else is where it is, a canary for one: no fault, as long as others could be compared. */
  readonly isAlone?: boolean;
}

/** What tenants should be. */
export interface Reference {
  /** As it was asked for: `majority`, `migrations`, `tenant:acme`, … */
  readonly name: string;
  /** What a reader of the answer should know of how it came about, a line each: how a tie was broken. */
  readonly notes: readonly string[];
  factsFor(scanned: ScannedTenant): Held | NotHeld;
}
